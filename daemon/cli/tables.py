"""How things look on a terminal."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import typer
from rich.console import Console
from rich.text import Text

from daemon.cli.layout import Fields, Listing
from daemon.cli.printable import printable

STYLES = {
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
    "accepted": "green",
    "dispatched": "green",
    "fired": "green",
    "handshake": "green",
    "agrees": "green",
    "true": "green",
    "success": "green",
    "waiting": "cyan",
    "queued": "cyan",
    "in_progress": "cyan",
    "probable": "yellow",
    "ambiguous": "yellow",
    "cancelled": "yellow",
    "timed_out": "bold red",
    "failure": "bold red",
    "startup_failure": "bold red",
    "missing": "bold red",
    "pending": "cyan",
    "sending": "cyan",
    "unsure": "yellow",
    "held": "yellow",
    "limited": "yellow",
    "false": "yellow",
    "superseded": "dim",
    "duplicate": "dim",
    "unmatched": "dim",
    "dead": "bold red",
    "error": "bold red",
    "unauthorized": "red",
    "refused (401)": "red",
    "refused": "red",
    "missed": "red",
    "late": "yellow",
    "would fire": "cyan",
    "fired before": "dim",
    "differs": "bold red",
}


def console() -> Console:
    return Console(highlight=False)


def put(shown: Listing | Fields) -> None:
    """Prints it: on a terminal within its width, into a pipe or a file whole."""
    out = console()
    for line in shown.lines(out.width if sys.stdout.isatty() else None, datetime.now(UTC)):
        out.print(line, soft_wrap=True)


def say(words: str) -> None:
    """One line of text, however long: terminals wrap it, pipes get it whole."""
    typer.echo(words)


def warn(words: str) -> None:
    typer.secho(f"warning: {words}", fg="yellow", err=True)


def word(text: str) -> Text:
    """A state or an outcome in its colour."""
    return Text(text, style=STYLES.get(text, ""))


def moment(rfc3339: str) -> str:
    """An instant to the second."""
    return rfc3339[:19].replace("T", " ") + "Z"


def plain(text: object) -> Text:
    """Text from outside: never read as markup, and no escape sequence reaches the terminal."""
    return Text("" if text is None else printable(str(text)))
