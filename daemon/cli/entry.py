"""The process around a program, from its streams to its exit code.

Exit codes: 0 done, 1 it failed, 2 the usage or the config is wrong.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path


def run_program(program: Callable[[], object], *, refused: str = "") -> None:
    """Runs ``program`` and exits with the code that it comes to. ``refused`` is what to say where
    its config has faults, beside how many."""
    _open_streams()
    try:
        try:
            _run(program, refused)
        finally:
            # Now: what goes wrong with this at the interpreter's end, nobody could catch.
            sys.stdout.flush()
            sys.stderr.flush()
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        _drop_output()
        sys.exit(1)
    except OSError as error:
        with contextlib.suppress(OSError):
            print(f"dispatchd: {error}", file=sys.stderr, flush=True)
        _drop_output()
        sys.exit(1)


def _run(program: Callable[[], object], refused: str) -> None:
    """Turns the errors that a person can act on into text and an exit code."""
    from daemon.cli.printable import printable
    from daemon.errors import ConfigError, DispatchdError, StoreError, UsageError

    try:
        program()
    except ConfigError as error:
        for fault in error.faults:
            print(printable(str(fault)), file=sys.stderr)
        number = len(error.faults)
        count = "1 fault" if number == 1 else f"{number} faults"
        print(f"{count}; {refused}" if refused else count, file=sys.stderr)
        sys.exit(2)
    except (UsageError, StoreError) as error:
        print(printable(f"dispatchd: {error}"), file=sys.stderr)
        sys.exit(2)
    except DispatchdError as error:
        print(printable(f"dispatchd: {error}"), file=sys.stderr)
        sys.exit(1)


def _open_streams() -> None:
    """A stream that is closed (``>&-``) becomes the null device: else the next file that is opened
    would be in its place. Characters that the output cannot show are escaped."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - until the end
            setattr(sys, name, nowhere)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Lets what is still to be written go nowhere, so that the interpreter can end in peace."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
