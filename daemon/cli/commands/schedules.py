"""When cron entries fire, what became of it, and how to make up for it."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import completing
from daemon.cli.commands.program import AsJson, ConfigDir, Database, Limit, Url, panel

command = panel("Schedules")

After = Annotated[str | None, typer.Option(metavar="INSTANT", help="RFC 3339; default: now.")]


@command(name="next")
def next_(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="This entry only, enabled or not.",
            autocompletion=completing.crons,
        ),
    ] = None,
    config_dir: ConfigDir = None,
    after: After = None,
    number: Annotated[int, typer.Option("-n", min=1, max=1000, help="Instants per entry.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show when each enabled cron entry fires next."""
    from daemon.cli.preview import show_next

    show_next(config_dir, name, after, number, as_json=as_json)


@command()
def explain(
    expression: Annotated[
        list[str],
        typer.Argument(
            metavar="EXPRESSION",
            help="In quotes; or an entry's name.",
            autocompletion=completing.crons,
        ),
    ],
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Whose clock; default: UTC.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The entry's name, of which H is made.")
    ] = None,
    after: After = None,
    number: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many instants.")] = 5,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Say in words when a cron expression, or an entry, fires, with its next instants."""
    from daemon.cli.preview import explain

    if len(expression) > 1:
        raise typer.BadParameter("put the expression in quotes: a shell reads * as file names")
    explain(expression[0], config_dir, timezone, name, after, number, as_json=as_json)


@command()
def calendar(
    days: Annotated[int | None, typer.Option(min=1, max=31, help="How many; default: 1.")] = None,
    week: Annotated[bool, typer.Option("--week", help="The same as --days 7.")] = False,
    after: After = None,
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Default: that of all entries, or else UTC."),
    ] = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Draw how many dispatches fall due in each minute of a day, or hour of some days."""
    from daemon.cli.calendar import show_calendar

    if week and days is not None:
        raise typer.BadParameter("give either --days or --week")
    show_calendar(config_dir, 7 if week else days or 1, after, timezone, as_json=as_json)


@command()
def fire(
    cron: Annotated[
        str,
        typer.Argument(
            help="The name of the cron entry.",
            autocompletion=completing.crons,
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="INSTANT", help="As if for this instant, RFC 3339; sent then if still to come."
        ),
    ] = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Fire a cron entry by hand: now, or for an instant that it missed or should have."""
    from daemon.cli.acting import fire_cron
    from daemon.cli.target import Target

    fire_cron(Target(config_dir, database, url), cron, at, as_json=as_json)


@command()
def backfill(
    cron: Annotated[
        str,
        typer.Argument(
            help="The name of the cron entry.",
            autocompletion=completing.crons,
        ),
    ],
    first: Annotated[
        str, typer.Option("--from", metavar="INSTANT", help="The first instant, RFC 3339.")
    ],
    last: Annotated[
        str | None,
        typer.Option("--to", metavar="INSTANT", help="The last instant, included; default: now."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would fire; fire nothing.")
    ] = False,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Fire all that a cron entry's schedule has in a span of time and did not fire."""
    from daemon.cli.accounted import backfill
    from daemon.cli.target import Target

    target = Target(config_dir, database, url)
    backfill(target, cron, first, last, dry_run=dry_run, as_json=as_json)


@command()
def firings(
    cron: Annotated[
        str | None,
        typer.Argument(
            metavar="[CRON]", help="Only of this entry.", autocompletion=completing.crons
        ),
    ] = None,
    limit: Limit = 20,
    outcome: Annotated[
        str | None,
        typer.Option(
            help="Only fired, or only missed.",
            autocompletion=completing.firing_outcomes,
        ),
    ] = None,
    before: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Only what was scheduled before.")
    ] = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what became of each cron instant: fired, or missed and why."""
    from daemon.cli.accounted import show_firings
    from daemon.cli.target import Target

    show_firings(Target(config_dir, database, url), cron, limit, outcome, before, as_json=as_json)


@command()
def incidents(
    entry: Annotated[
        str | None,
        typer.Argument(
            metavar="[CRON]", help="Only of this entry.", autocompletion=completing.crons
        ),
    ] = None,
    limit: Limit = 20,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what schedules promised and did not happen, or too late."""
    from daemon.cli.accounted import show_incidents
    from daemon.cli.target import Target

    show_incidents(Target(config_dir, database, url), entry, limit, as_json=as_json)
