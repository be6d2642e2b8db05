"""What is done to entries while the daemon runs."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import completing
from daemon.cli.commands.program import AsJson, ConfigDir, Database, Url, panel

command = panel("Entries at work")

Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...", help="Cron entries or triggers.", autocompletion=completing.entries
    ),
]


@command()
def pause(
    names: Names = None,
    every: Annotated[bool, typer.Option("--all", help="Every entry.")] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for who wonders later.")] = "",
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have cron entries or triggers rest: crons miss their instants, deliveries are held."""
    from daemon.cli.resting import pause
    from daemon.cli.target import Target

    if bool(names) == every:
        raise typer.BadParameter("give either names, or --all")
    pause(Target(config_dir, database, url), names or [], reason, as_json=as_json)


@command()
def resume(
    names: Names = None,
    every: Annotated[bool, typer.Option("--all", help="All that are paused.")] = False,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have paused entries work again, and send what they held."""
    from daemon.cli.resting import resume
    from daemon.cli.target import Target

    if bool(names) == every:
        raise typer.BadParameter("give either names, or --all")
    resume(Target(config_dir, database, url), names or [], as_json=as_json)


@command()
def arm(
    trigger: Annotated[
        str,
        typer.Argument(
            help="The name of the trigger.",
            autocompletion=completing.triggers,
        ),
    ],
    forget: Annotated[
        bool, typer.Option("--forget", help="Delete the secret that it has, and take another.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print the secret that was handed over; arm nothing.")
    ] = False,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Let a trigger take the secret that its sender hands over (Asana, Notion), for ten minutes."""
    from daemon.cli.arming import arm_trigger, show_secret
    from daemon.cli.target import Target

    target = Target(config_dir, database, url)
    if show and forget:
        raise typer.BadParameter("give either --forget or --show")
    if show:
        show_secret(target, trigger, as_json=as_json)
    else:
        arm_trigger(target, trigger, forget=forget, as_json=as_json)
