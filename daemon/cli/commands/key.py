"""API keys, made for others."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.api_keys import Scope
from daemon.cli.commands.program import AsJson, app

keys = typer.Typer(no_args_is_help=True)
app.add_typer(
    keys,
    name="key",
    help="Make keys for those who call POST /dispatch and the API.",
    rich_help_panel="The daemon",
)


@keys.callback()
def group() -> None:
    """Has ``create`` stay a command of its own, though it is the only one."""


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Who gets it, as a slug: ci.")],
    scope: Annotated[
        list[Scope], typer.Option(help="What it is good for; repeatable: dispatch, read, admin.")
    ],
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN|INSTANT",
            help="Until when: 90d, or 2030-01-01T00:00:00Z. Default: for good.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, show it this once, and print its entry for DAEMON.yaml. Nothing is stored."""
    from daemon.cli.key_making import make_key

    make_key(name, scope, expires, as_json=as_json)
