"""What came in and what goes out."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import completing
from daemon.cli.commands.program import AsJson, ConfigDir, Database, Limit, Url, panel

command = panel("What came in, and what goes out")


@command()
def dispatch(
    event_type: Annotated[str, typer.Argument(help="The event_type that workflows listen to.")],
    payload: Annotated[
        str, typer.Option(metavar="JSON", help="The client_payload, an object.")
    ] = "{}",
    repository: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Default: GH_OWNER/GH_REPO.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for its run too, and for the run to succeed.")
    ] = False,
    expect_branch: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --wait: and for this branch. {key} stands for that key of the payload, "
            "as in job/{job_id}, and {dispatch_id} for the id.",
        ),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="SPAN", help="With --wait: how long; default 30m.")
    ] = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send one repository_dispatch and wait, for 10 s at most, until GitHub took it."""
    from daemon.cli.acting import send_dispatch
    from daemon.cli.target import Target

    target = Target(config_dir, database, url)
    if wait:
        from daemon.cli.acting import read_payload
        from daemon.cli.awaiting import wanted
        from daemon.cli.waiting import send_and_wait

        given = read_payload(payload)
        what = wanted(event_type, given, repository, expect_branch, timeout or "30m")
        send_and_wait(target, what, as_json=as_json)
    elif expect_branch is not None or timeout is not None:
        raise typer.BadParameter("--expect-branch and --timeout go with --wait")
    else:
        send_dispatch(target, event_type, payload, repository, as_json=as_json)


@command()
def events(
    event: Annotated[str | None, typer.Argument(metavar="[EVENT]", help="One, in full.")] = None,
    limit: Limit = 20,
    outcome: Annotated[
        str | None,
        typer.Option(
            help="Only with such a verdict, as unmatched or error.",
            autocompletion=completing.outcomes,
        ),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Only of this route or cron entry.")] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="What was turned away lately instead, and why.")
    ] = False,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what came in, newest first, and what became of it."""
    from daemon.cli.refused import show_refused
    from daemon.cli.showing import show_events
    from daemon.cli.target import Target

    target = Target(config_dir, database, url)
    if not refused:
        show_events(target, event, limit, outcome, source, as_json=as_json)
    elif event is not None or outcome is not None or source is not None:
        raise typer.BadParameter("--refused shows what is no event: give --limit alone with it")
    else:
        show_refused(target, limit, as_json=as_json)


@command()
def dispatches(
    dispatch: Annotated[
        str | None, typer.Argument(metavar="[DISPATCH]", help="One, with its payload and tries.")
    ] = None,
    limit: Limit = 20,
    state: Annotated[
        str | None,
        typer.Option(
            help="Only in this state, as dead.",
            autocompletion=completing.states,
        ),
    ] = None,
    entry: Annotated[
        str | None,
        typer.Option(
            help="Only of this entry.",
            autocompletion=completing.entries,
        ),
    ] = None,
    tree: Annotated[
        bool, typer.Option("--tree", help="All of its chain: what it descends from, and to.")
    ] = False,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what was or is to be sent to GitHub, newest first."""
    from daemon.cli.showing import show_dispatches, show_family
    from daemon.cli.target import Target

    target = Target(config_dir, database, url)
    if not tree:
        show_dispatches(target, dispatch, limit, state, entry, as_json=as_json)
    elif dispatch is None or state is not None or entry is not None:
        raise typer.BadParameter("--tree shows the chain of one dispatch: give its id, and no more")
    else:
        show_family(target, dispatch, as_json=as_json)


@command()
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


@command()
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


@command()
def release(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...")] = None,
    entry: Annotated[
        str | None,
        typer.Option(
            help="All that is held of this entry.",
            autocompletion=completing.entries,
        ),
    ] = None,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send dispatches that are held since they might have run away."""
    from daemon.cli.acting import release_entry, release_ids
    from daemon.cli.target import Target

    target = Target(config_dir, database, url)
    if bool(ids) == (entry is not None):
        raise typer.BadParameter("give either ids, or --entry NAME")
    if entry is not None:
        release_entry(target, entry, as_json=as_json)
    else:
        release_ids(target, ids or [], as_json=as_json)
