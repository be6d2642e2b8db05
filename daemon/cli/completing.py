"""What a shell completes for values: names of entries, and the words that an option takes. Asked at
every press of TAB, so the files are read as plain JSON and the daemon is not imported."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

Completion = Callable[[typer.Context, str], list[str]]

SERVICE = Path("/etc/dispatchd")
"""Where the machine's service has its config: for who asks it, and has no config of their own."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""Names that the config takes. A completion of zsh passes through its `eval`: nothing else may."""


def crons(context: typer.Context, incomplete: str) -> list[str]:
    """The names of cron entries."""
    return _starting(incomplete, _names(context, "crons"))


def triggers(context: typer.Context, incomplete: str) -> list[str]:
    """The names of triggers."""
    return _starting(incomplete, _names(context, "triggers"))


def entries(context: typer.Context, incomplete: str) -> list[str]:
    """The names of both."""
    both = (*_names(context, "crons"), *_names(context, "triggers"))
    return _starting(incomplete, both)


def schemes(_: typer.Context, incomplete: str) -> list[str]:
    """The schemes of ``auth``."""
    from daemon.signatures import SCHEMES

    return _starting(incomplete, SCHEMES)


def states(_: typer.Context, incomplete: str) -> list[str]:
    """What a dispatch can be."""
    from daemon.dispatch import State

    return _starting(incomplete, State)


def outcomes(_: typer.Context, incomplete: str) -> list[str]:
    """The verdicts on an event."""
    from daemon.event import Outcome

    return _starting(incomplete, Outcome)


def firing_outcomes(_: typer.Context, incomplete: str) -> list[str]:
    """What can have become of a cron instant."""
    from daemon.event import FiringOutcome

    return _starting(incomplete, FiringOutcome)


def _starting(incomplete: str, words: Iterable[str]) -> list[str]:
    return [str(each) for each in words if each.startswith(incomplete)]


def _names(context: typer.Context, kind: str) -> Iterator[str]:
    """Of the file as it is: with a fault in it, those that are seen; none where it is no JSON."""
    try:
        found = json.loads(_directory(context).joinpath(f"{kind.upper()}.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return
    listed = found.get(kind) if isinstance(found, dict) else found
    for each in listed if isinstance(listed, list) else []:
        name = each.get("name") if isinstance(each, dict) else None
        if isinstance(name, str) and _NAME.fullmatch(name):
            yield name


def _directory(context: typer.Context) -> Path:
    """The config's, as the command would find it."""
    if given := context.params.get("config_dir") or os.environ.get("DISPATCHD_CONFIG_DIR"):
        return Path(given)
    own = Path("config")
    return own if own.is_dir() else SERVICE
