"""Which form the log has, and where it goes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Protocol, TextIO

from daemon.errors import UsageError
from daemon.journal.json_lines import JsonLines
from daemon.log_line import Line, LogFormat


class Log(Protocol):
    """Takes one line at a time. Raises OSError or ValueError where it cannot be written."""

    def put(self, line: Line) -> None: ...


def open_log(
    stream: TextIO | None = None,
    form: LogFormat = LogFormat.AUTO,
    environ: Mapping[str, str] | None = None,
) -> Log:
    """The log in this form, on standard error unless a stream is given. Raises UsageError where it
    cannot have that form."""
    stream = stream or sys.stderr
    match form:
        case LogFormat.AUTO if stream.isatty():
            return _text(stream)
        case LogFormat.AUTO if listened_to_by_journald(stream, environ or {}):
            try:
                return _journald()
            except UsageError:
                return JsonLines(stream)  # it reads standard error as well
        case LogFormat.TEXT:
            return _text(stream)
        case LogFormat.JOURNALD:
            return _journald()
    return JsonLines(stream)


def listened_to_by_journald(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether what is written to the stream goes to the journal. systemd says so of the standard
    error that it made, which may have been led elsewhere since (systemd.exec(5), JOURNAL_STREAM).
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


# Each loads what the others have no use for.


def _text(stream: TextIO) -> Log:
    from daemon.journal.terminal import Text

    return Text(stream)


def _journald() -> Log:
    from daemon.journal.native import Journald

    return Journald()
