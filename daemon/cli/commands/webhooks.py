"""Webhooks at GitHub: set up for triggers, and what they missed."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import completing
from daemon.cli.commands.program import AsJson, ConfigDir, Database, Url, app, panel

PANEL = "Webhooks at GitHub"
command = panel(PANEL)
hooks = typer.Typer(no_args_is_help=True)
app.add_typer(
    hooks,
    name="hook",
    help="Set webhooks up on GitHub, show, test and delete them.",
    rich_help_panel=PANEL,
)

Trigger = Annotated[
    str,
    typer.Argument(
        help="The name of the trigger.",
        autocompletion=completing.triggers,
    ),
]
Repository = Annotated[
    str | None, typer.Option(metavar="OWNER/NAME", help="Where (default: GH_OWNER/GH_REPO).")
]
Organization = Annotated[
    str | None, typer.Option(metavar="NAME", help="In an organisation, for all its repositories.")
]
OnlyRepository = Annotated[
    str | None, typer.Option("--repository", metavar="OWNER/NAME", help="Only there.")
]
OnlyOrganization = Annotated[
    str | None, typer.Option("--organization", metavar="NAME", help="Only there.")
]


@hooks.command()
def create(
    trigger: Trigger,
    repository: Repository = None,
    organization: Organization = None,
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="EVENT", help="Default: those that the trigger's expressions name."),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="For a {param} of the path.")
    ] = None,
    hook_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="What GitHub calls (default: public_url and the path)."),
    ] = None,
    track: Annotated[
        bool | None,
        typer.Option(
            "--track/--no-track",
            help="Also workflow_run, which tells of runs (default: where dispatches go).",
        ),
    ] = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Set a webhook up for a trigger, with its secret; one with the same URL is changed."""
    from daemon.cli.hooks import create_hook
    from daemon.cli.target import Target

    create_hook(
        Target(config_dir, database, url),
        trigger,
        _place(repository, organization),
        events=event,
        params=param or [],
        hook_url=hook_url,
        track=track,
        as_json=as_json,
    )


@hooks.command("list")
def listed(
    repository: OnlyRepository = None,
    organization: OnlyOrganization = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the webhooks on GitHub that come here."""
    from daemon.cli.hooks import list_hooks
    from daemon.cli.target import Target

    place = _place(repository, organization)
    list_hooks(Target(config_dir, database, url), place, as_json=as_json)


@hooks.command("test")
def ping(
    trigger: Trigger,
    repository: OnlyRepository = None,
    organization: OnlyOrganization = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have GitHub send a ping to a trigger's webhooks, and show whether it arrived."""
    from daemon.cli.hooks import ping_hooks
    from daemon.cli.target import Target

    place = _place(repository, organization)
    ping_hooks(Target(config_dir, database, url), trigger, place, as_json=as_json)


@hooks.command()
def delete(
    number: Annotated[int, typer.Argument(metavar="ID", help="As `hook list` shows it.")],
    repository: OnlyRepository = None,
    organization: OnlyOrganization = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Delete a webhook on GitHub that comes here."""
    from daemon.cli.hooks import delete_hook
    from daemon.cli.target import Target

    place = _place(repository, organization)
    delete_hook(Target(config_dir, database, url), number, place, as_json=as_json)


@command()
def recover(
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="An instant (RFC 3339), or a time ago (2h); default: all that GitHub keeps.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what was missed.")] = False,
    refused: Annotated[
        bool, typer.Option("--refused", help="Also what was answered with 3xx or 4xx.")
    ] = False,
    repository: OnlyRepository = None,
    organization: OnlyOrganization = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have GitHub deliver again what its webhooks could not, in the last three days."""
    from daemon.cli.hooks import recover
    from daemon.cli.target import Target

    recover(
        Target(config_dir, database, url),
        _place(repository, organization),
        since=since,
        dry_run=dry_run,
        refused=refused,
        as_json=as_json,
    )


def _place(repository: str | None, organization: str | None) -> str | None:
    if repository is not None and organization is not None:
        raise typer.BadParameter("give either --repository or --organization")
    if repository is not None and "/" not in repository:
        raise typer.BadParameter("--repository is OWNER/NAME")
    if organization is not None and "/" in organization:
        raise typer.BadParameter("--organization is a NAME; for a repository: --repository")
    return repository or organization
