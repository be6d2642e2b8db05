"""A log for people: structlog's columns, in colours on a terminal."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TextIO, cast

from daemon.journal.plain import shown
from daemon.log_line import Line, Value


class Text:
    """Writes to a stream; without colours where that is no terminal, or NO_COLOR is set."""

    def __init__(self, stream: TextIO) -> None:
        # It loads all that paints tracebacks, 4 MB, which a service has no use for.
        from structlog import dev

        colors = stream.isatty() and not os.environ.get("NO_COLOR")
        dim, bright, key, value, reset = (
            (dev.DIM, dev.BRIGHT, dev.CYAN, dev.MAGENTA, dev.RESET_ALL)
            if colors
            else ("", "", "", "", "")
        )
        levels = dev.ConsoleRenderer.get_default_level_styles(colors)
        column = dev.KeyValueColumnFormatter
        self._stream = stream
        self._render = dev.ConsoleRenderer(
            sort_keys=False,
            columns=[
                dev.Column("timestamp", column(None, dim, reset, str)),
                dev.Column("level", dev.LogLevelColumnFormatter(levels, reset)),
                dev.Column("event", column(None, bright, reset, str, 24)),
                dev.Column("", column(key, value, reset, _shown)),
            ],
        )

    def put(self, line: Line) -> None:
        fields = {
            "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "level": line.level.name.lower(),
            "event": line.event,
            **{name: value for name, value in line.fields.items() if value not in (None, [])},
        }
        self._stream.write(f"{self._render(None, '', fields)}\n")
        self._stream.flush()


def _shown(value: object) -> str:
    return shown(cast("Value", value))
