"""The command line: ``dispatchd``. What a command needs is imported when it runs, so that
``--help`` stays quick."""

from __future__ import annotations


def main() -> None:
    """Runs the command that the process was started with, and exits with its code."""
    from daemon.cli.commands import app
    from daemon.cli.entry import run_program

    run_program(app)
