"""The command line: ``dispatchd``. What a command needs is imported when it runs, so that
``--help`` stays quick."""

from daemon.cli.entry import main

__all__ = ["main"]
