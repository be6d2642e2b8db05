"""How things look on a terminal."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "accepted": "green",
    "dispatched": "green",
    "fired": "green",
    "pending": "cyan",
    "sending": "cyan",
    "unsure": "yellow",
    "held": "yellow",
    "duplicate": "dim",
    "unmatched": "dim",
    "dead": "bold red",
    "error": "bold red",
    "unauthorized": "red",
    "missed": "red",
}


COPIED = frozenset({"id", "at", "created", "state", "verdict", "tries", "UTC", "local time"})
"""Columns that are narrow, or there to be copied: their words are never broken."""


def console() -> Console:
    # Into a pipe or a file a table goes unfolded: a program or `less -S` reads it there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 250)


def say(words: str) -> None:
    """One line of text, however long: terminals wrap it, pipes get it whole."""
    typer.echo(words)


def warn(words: str) -> None:
    typer.secho(f"warning: {words}", fg="yellow", err=True)


def table(*columns: str) -> Table:
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # Ids are there to be copied: they are never broken.
        rows.add_column(column, no_wrap=column in COPIED, overflow="fold")
    return rows


def word(text: str) -> Text:
    """A state or an outcome in its colour."""
    return Text(text, style=STYLES.get(text, ""))


def moment(rfc3339: str) -> str:
    """An instant to the second."""
    return rfc3339[:19].replace("T", " ") + "Z"


def plain(text: object) -> Text:
    """Text from outside: never read as markup, and no escape sequence reaches the terminal."""
    shown = "" if text is None else str(text)
    return Text("".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in shown))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
