"""The daemon itself: run it, and see how it is doing."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from daemon.cli.commands.program import AsJson, ConfigDir, Database, Url, panel

command = panel("The daemon")


@command()
def run(
    config_dir: ConfigDir = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where to serve (DISPATCHD_LISTEN).")
    ] = None,
    database: Database = None,
    log_format: Annotated[
        str | None,
        typer.Option(metavar="FORMAT", help="auto, text, json or journald (DISPATCHD_LOG_FORMAT)."),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="debug, info, warning or error (DISPATCHD_LOG_LEVEL)."),
    ] = None,
    simulate: Annotated[
        bool,
        typer.Option(
            "--simulate", help="Talk to a built-in stand-in for GitHub; keeps its own database."
        ),
    ] = False,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    options = {
        "--config-dir": config_dir,
        "--listen": listen,
        "--database": database,
        "--log-format": log_format,
        "--log-level": log_level,
    }
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    # -P: a directory `daemon` where the command is called would not be ours.
    program = [sys.executable, "-P", "-m", "daemon.cli.serving", *given]
    os.execv(program[0], program + ["--simulate"] * simulate)  # noqa: S606 - ourselves


@command()
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


@command()
def reload(
    diff: Annotated[
        bool, typer.Option("--diff", help="Only show what would change; take nothing over.")
    ] = False,
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have the daemon read its config files anew."""
    from daemon.cli.reloading import reload as reload_config
    from daemon.cli.target import Target

    reload_config(Target(config_dir, database, url), diff=diff, as_json=as_json)


@command()
def doctor(
    config_dir: ConfigDir = None,
    database: Database = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Check all that has to be right: tokens, listeners, secrets, clock, database."""
    from daemon.cli.examining import examine
    from daemon.cli.target import Target

    examine(Target(config_dir, database, url), as_json=as_json)
