"""The daemon as a service of systemd."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.commands.program import app

services = typer.Typer(no_args_is_help=True)
app.add_typer(
    services,
    name="service",
    help="Show and install the systemd units to run under.",
    rich_help_panel="The daemon",
)

User = Annotated[
    bool, typer.Option("--user", help="For your own service manager, not the machine's.")
]
Listen = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT", help="Where the socket unit listens (default: as the daemon would)."
    ),
]


@services.command(name="print")
def print_(user: User = False, listen: Listen = None) -> None:
    """Show the units, and change nothing."""
    from daemon.cli.service import print_units

    print_units(listen, user=user)


@services.command()
def install(user: User = False, listen: Listen = None) -> None:
    """Write the units, the user and the directories; start nothing."""
    from daemon.cli.service import install_units

    install_units(listen, user=user)
