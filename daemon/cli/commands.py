"""Every command with its options and its help; the work is done by the modules beside this one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

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


@app.command()
def run(
    config_dir: ConfigDir = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where to serve (DISPATCHD_LISTEN).")
    ] = None,
    database: Database = None,
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate", help="Talk to a built-in stand-in for GitHub; keeps its own database."
        ),
    ] = False,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    options = {"--config-dir": config_dir, "--listen": listen, "--database": database}
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    # -P: a directory `daemon` where the command is called would not be ours.
    program = [sys.executable, "-P", "-m", "daemon.cli.serving", *given]
    os.execv(program[0], program + ["--simulate"] * simulate)  # noqa: S606 - ourselves


@app.command()
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


After = Annotated[str | None, typer.Option(metavar="INSTANT", help="RFC 3339; default: now.")]


@app.command(name="next")
def next_(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="This entry only, enabled or not.")
    ] = None,
    config_dir: ConfigDir = None,
    after: After = None,
    number: Annotated[int, typer.Option("-n", min=1, max=1000, help="Instants per entry.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show when each enabled cron entry fires next."""
    from daemon.cli.preview import show_next

    show_next(config_dir, name, after, number, as_json=as_json)


@app.command()
def explain(
    expression: Annotated[
        list[str], typer.Argument(metavar="EXPRESSION", help="In quotes; or an entry's name.")
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


@app.command()
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


@app.command(name="test")
def try_out(
    triggers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TRIGGER]...", help="The trigger; with --cases, any number."),
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


@app.command()
def schemes(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One in full, as stripe.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show who can be believed and how: what to write, and where a vendor has its secret."""
    from daemon.cli.schemes import show_schemes

    show_schemes(name, as_json=as_json)


@app.command()
def fire(
    cron: Annotated[str, typer.Argument(help="The name of the cron entry.")],
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Fire a cron entry now; its schedule is not touched."""
    from daemon.cli.acting import fire_cron
    from daemon.cli.target import Target

    fire_cron(Target(config_dir, database, url), cron, as_json=as_json)


@app.command()
def dispatch(
    event_type: Annotated[str, typer.Argument(help="The event_type that workflows listen to.")],
    payload: Annotated[
        str, typer.Option(metavar="JSON", help="The client_payload, an object.")
    ] = "{}",
    repository: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Default: GH_OWNER/GH_REPO.")
    ] = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send one repository_dispatch and wait, for 10 s at most, until GitHub took it."""
    from daemon.cli.acting import send_dispatch
    from daemon.cli.target import Target

    send_dispatch(
        Target(config_dir, database, url), event_type, payload, repository, as_json=as_json
    )


@app.command()
def events(
    event: Annotated[str | None, typer.Argument(metavar="[EVENT]", help="One, in full.")] = None,
    limit: Limit = 20,
    outcome: Annotated[
        str | None, typer.Option(help="Only with such a verdict, as unmatched or error.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Only of this route or cron entry.")] = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what came in, newest first, and what became of it."""
    from daemon.cli.showing import show_events
    from daemon.cli.target import Target

    show_events(Target(config_dir, database, url), event, limit, outcome, source, as_json=as_json)


@app.command()
def dispatches(
    dispatch: Annotated[
        str | None, typer.Argument(metavar="[DISPATCH]", help="One, with its payload and tries.")
    ] = None,
    limit: Limit = 20,
    state: Annotated[str | None, typer.Option(help="Only in this state, as dead.")] = None,
    entry: Annotated[str | None, typer.Option(help="Only of this entry.")] = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what was or is to be sent to GitHub, newest first."""
    from daemon.cli.showing import show_dispatches
    from daemon.cli.target import Target

    show_dispatches(
        Target(config_dir, database, url), dispatch, limit, state, entry, as_json=as_json
    )


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All dead dispatches since --since.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="An instant (RFC 3339), or a time ago (2h).")
    ] = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Judge events (evt_…) again under today's config; send dispatches (dsp_…) again."""
    from daemon.cli.acting import replay_failed, replay_ids
    from daemon.cli.target import Target

    target = Target(config_dir, database, url)
    if bool(ids) == failed or (since is not None and not failed):
        raise typer.BadParameter("give either ids, or --failed with --since")
    if failed:
        if since is None:
            raise typer.BadParameter("--failed needs --since, as in: --failed --since 2h")
        replay_failed(target, since, as_json=as_json)
    else:
        replay_ids(target, ids or [], as_json=as_json)


@app.command()
def cancel(
    ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Cancel dispatches that are not sent yet."""
    from daemon.cli.acting import cancel_ids
    from daemon.cli.target import Target

    cancel_ids(Target(config_dir, database, url), ids, as_json=as_json)


@app.command()
def arm(
    trigger: Annotated[str, typer.Argument(help="The name of the trigger.")],
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


@app.command()
def status(
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show how the daemon is doing."""
    from daemon.cli.showing import show_status
    from daemon.cli.target import Target

    show_status(Target(config_dir, database, url), as_json=as_json)


init = typer.Typer(help="Create config files, and add starter entries to them.")
app.add_typer(init, name="init")

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
        typer.Argument(metavar="[SCHEME]", help="Who sends, as stripe. Without: list them."),
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


@app.command()
def workflow(
    entry: Annotated[str, typer.Argument(help="The name of a trigger or a cron entry.")],
    event_type: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Listen to this one only of the types that it sends."),
    ] = None,
    config_dir: ConfigDir = None,
) -> None:
    """Print a GitHub workflow that listens to what an entry sends."""
    from daemon.cli.listening import show_workflow

    show_workflow(entry, event_type, config_dir)


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
