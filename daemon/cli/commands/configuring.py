"""What works on the config: check it, try it out, and write it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import completing
from daemon.cli.commands.program import AsJson, ConfigDir, Database, Secrets, Url, app, panel

command = panel("The config")


@command()
def validate(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The same as --config-dir.")
    ] = None,
    config_dir: ConfigDir = None,
    secrets: Secrets = False,
) -> None:
    """Check the config files: every fault of all of them, with its place and a hint."""
    from daemon.cli.offline import validate_config

    if directory is not None and config_dir is not None:
        raise typer.BadParameter("give the directory once")
    validate_config(directory or config_dir, secrets=secrets)


@command(name="test")
def try_out(
    triggers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TRIGGER]...",
            help="The trigger; with --cases, any number.",
            autocompletion=completing.triggers,
        ),
    ] = None,
    payload: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The body to try, byte for byte; - reads it here."),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="K:V", help="A request header; repeatable.")
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="A query parameter; repeatable.")
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="The path called; needed where it holds {params}.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Default: the trigger's first.")] = None,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign the payload with the trigger's own secret.")
    ] = False,
    cases: Annotated[
        bool, typer.Option("--cases", help="Run the golden cases beside the config.")
    ] = False,
    record: Annotated[
        str | None, typer.Option(metavar="EVENT", help="Write a golden case of a stored event.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What --record calls the case.")
    ] = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    secrets: Secrets = False,
    as_json: AsJson = False,
) -> None:
    """Dry run: would this request verify and match, and what would GitHub be sent?

    Exits 0 when the trigger would dispatch (with --cases: when all agree), else 1. Nothing is
    stored and nothing is sent.
    """
    names = triggers or []
    if [payload is not None, cases, record is not None].count(True) != 1:
        raise typer.BadParameter("give one of --payload, --cases and --record")
    if payload is None and (header or query or path or method or sign):
        raise typer.BadParameter("--header, --query, --path, --method and --sign need --payload")
    if record is None and name is not None:
        raise typer.BadParameter("--name needs --record")
    if cases:
        from daemon.cli.cases import run_cases

        run_cases(names, config_dir, secrets=secrets, as_json=as_json)
    elif record is not None:
        from daemon.cli.recording import record_case
        from daemon.cli.target import Target

        record_case(Target(config_dir, database, url), record, names, name, as_json=as_json)
    elif payload is not None:
        from daemon.cli.trial import Trial, try_trigger

        if len(names) != 1:
            raise typer.BadParameter("--payload is tried on one trigger: name it")
        trial = Trial(names[0], payload, header or [], query or [], path, method, sign)
        try_trigger(trial, config_dir, secrets=secrets, as_json=as_json)


@command()
def schemes(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="One in full, as stripe.", autocompletion=completing.schemes
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show who can be believed and how: what to write, and where a vendor has its secret."""
    from daemon.cli.schemes import show_schemes

    show_schemes(name, as_json=as_json)


init = typer.Typer(help="Create config files, and add starter entries to them.")
app.add_typer(init, name="init", rich_help_panel="The config")

Show = Annotated[bool, typer.Option("--print", help="Print the entry; change no file.")]
EventType = Annotated[
    str | None, typer.Option("--event-type", metavar="TYPE", help="What workflows listen to.")
]
EntryName = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="The entry's name; default: the scheme."),
]


@init.callback(invoke_without_command=True)
def init_files(context: typer.Context, config_dir: ConfigDir = None) -> None:
    """Create those of CRONS.json, TRIGGERS.json and DAEMON.yaml that are not there yet."""
    if context.invoked_subcommand is not None:
        if config_dir is not None:
            raise typer.BadParameter(f"--config-dir stands behind {context.invoked_subcommand}")
        return
    from daemon.cli.starting import init_files

    init_files(config_dir)


@init.command(name="trigger")
def init_trigger(
    scheme: Annotated[
        str | None,
        typer.Argument(
            metavar="[SCHEME]",
            help="Who sends, as stripe. Without: list them.",
            autocompletion=completing.schemes,
        ),
    ] = None,
    name: EntryName = None,
    path: Annotated[
        str | None, typer.Option(metavar="PATH", help="Its route; default: /hooks/SCHEME.")
    ] = None,
    event_type: EventType = None,
    config_dir: ConfigDir = None,
    show: Show = False,
) -> None:
    """Add a trigger to TRIGGERS.json, and say what is left to do."""
    from daemon.cli.starting import init_trigger, list_schemes

    if scheme is None:
        if name or path or event_type or show:
            raise typer.BadParameter("name the scheme; without options, this lists them")
        list_schemes()
        return
    init_trigger(scheme, config_dir, name=name, path=path, event_type=event_type, show=show)


@init.command(name="cron")
def init_cron(
    name: Annotated[str, typer.Option(metavar="NAME", help="The entry's name.")] = "nightly",
    schedule: Annotated[
        str, typer.Option(metavar="EXPRESSION", help="When it fires, a cron expression.")
    ] = "30 3 * * *",
    timezone: Annotated[
        str, typer.Option(metavar="ZONE", help="Whose clock that is, as Europe/Berlin.")
    ] = "UTC",
    event_type: EventType = None,
    config_dir: ConfigDir = None,
    show: Show = False,
) -> None:
    """Add a schedule to CRONS.json, and say what is left to do."""
    from daemon.cli.starting import init_cron

    init_cron(
        config_dir,
        name=name,
        schedule=schedule,
        timezone=timezone,
        event_type=event_type,
        show=show,
    )


@command()
def workflow(
    entry: Annotated[
        str,
        typer.Argument(
            help="The name of a trigger or a cron entry.", autocompletion=completing.entries
        ),
    ],
    event_type: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Only this of what it sends or starts: a type or file."),
    ] = None,
    config_dir: ConfigDir = None,
) -> None:
    """Print a GitHub workflow that listens to what an entry sends, or that it starts by name."""
    from daemon.cli.listening import show_workflow

    show_workflow(entry, event_type, config_dir)
