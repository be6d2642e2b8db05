"""The program that the commands belong to, and the options that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., None])

app = typer.Typer(
    name="dispatchd",
    help="Schedules and third-party webhooks that reliably start GitHub Actions workflows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigDir = Annotated[
    Path | None,
    typer.Option(
        "--config-dir",
        metavar="DIR",
        help="Where CRONS.json, TRIGGERS.json and DAEMON.yaml are "
        "(default: DISPATCHD_CONFIG_DIR, else ./config).",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print stable JSON instead of tables.")]
Database = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="The database (DISPATCHD_DATABASE_URL)."),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", metavar="URL", help="Reach the daemon there, with API_KEY, not over its socket."
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")]
Secrets = Annotated[
    bool, typer.Option("--secrets", help="Secrets that cannot be resolved are faults.")
]


def panel(title: str) -> Callable[..., Callable[[Command], Command]]:
    """What makes a function a command that the help lists under ``title``."""
    return partial(app.command, rich_help_panel=title)


def _version(wanted: bool) -> None:
    if wanted:
        from daemon import __version__

        typer.echo(f"dispatchd {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Takes the options that stand before a command."""
