"""``dispatchd run``. The command line becomes this program (``python -m daemon.cli.serving``) and
leaves its libraries behind: they would be a sixth of the daemon's memory for as long as it runs."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import faulthandler
import gc
import os
import sys
from functools import partial
from pathlib import Path

from daemon import config
from daemon.app import serve
from daemon.cli.entry import run_program
from daemon.errors import DispatchdError
from daemon.facts import ConfigReloaded, Facts
from daemon.journal import (
    Journal,
    config_warning,
    crashed,
    leaves,
    listen_to_libraries,
    listen_to_loop,
    open_log,
)
from daemon.spec import Config
from daemon.surroundings import Source, Surroundings

SIMULATED_REPOSITORY = {"GH_OWNER": "octocat", "GH_REPO": "simulation"}

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h
LARGE_BLOCK = 512 * 1024
"""Bytes. The socket reads of asyncio ask for half as much each time, which is to stay cheap."""


def run_daemon(config_dir: Path | None, flags: config.Flags, *, simulate: bool) -> None:
    """Loads the config, logs its warnings, serves. Raises ConfigError, UsageError, StoreError."""
    environ = dict(os.environ)
    if simulate:
        print(
            "SIMULATION: a built-in stand-in plays GitHub; nothing leaves this machine",
            file=sys.stderr,
        )
        if not environ.get("GH_REPO"):
            environ |= SIMULATED_REPOSITORY
        environ.setdefault("GH_TOKEN", "simulated")
    give_large_blocks_back()
    faulthandler.enable()  # where it is stuck, the watchdog's signal has it say where
    gc.disable()  # a large config is hundreds of thousands of objects, and they all stay
    directory = config.config_directory(config_dir, environ)
    load = partial(config.load, directory, environ, flags=flags)
    loaded = load()
    settings = loaded.settings
    journal = Journal(open_log(sys.stderr, settings.log_format, environ), settings.log_level)
    listen_to_libraries(journal)
    for warning in loaded.warnings:
        journal.tell(config_warning(warning))
    facts = Facts()
    facts.subscribe(journal.hear)
    # The config lives as long as the process: the collector need not look at it again. A request
    # makes hundreds of objects, which go as it ends: no need to look at the young ones so often.
    gc.freeze()
    facts.subscribe(_keep, ConfigReloaded)
    gc.set_threshold(20_000, 20, 100)
    gc.enable()
    # The writer's thread needs the interpreter for microseconds at a time, and would wait 5 ms for
    # each while the event loop is busy.
    sys.setswitchinterval(0.0005)
    files = (config.CRONS, config.TRIGGERS, config.SETTINGS)
    surroundings = Surroundings(environ, simulate, Source(directory, files, load))
    try:
        asyncio.run(_served(loaded, facts, surroundings, journal))
    except Exception as error:
        if all(isinstance(each, DispatchdError) for each in leaves(error)):
            raise
        crashed(journal, error)
        sys.exit(1)
    finally:
        journal.sum_up()


def _keep(_: ConfigReloaded) -> None:
    """The next config stays as long: looked at with all else, a large one would stall the loop."""
    gc.collect(1)
    gc.freeze()


async def _served(
    loaded: Config, facts: Facts, surroundings: Surroundings, journal: Journal
) -> None:
    listen_to_loop(journal, asyncio.get_running_loop())
    await serve(loaded, facts, surroundings)


def give_large_blocks_back() -> None:
    """Has the allocator take large blocks from the kernel, and give them back as they are freed.

    To parse a list of a megabyte takes a block of several. The C library of GNU raises its own
    limit to the largest block that it ever saw freed: ten megabytes stayed resident for good.
    Others do not know the call, or need none."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
        mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BLOCK)


def main() -> None:
    parser = argparse.ArgumentParser(prog="dispatchd run")
    parser.add_argument("--config-dir", type=Path)
    parser.add_argument("--listen")
    parser.add_argument("--database")
    parser.add_argument("--log-format")
    parser.add_argument("--log-level")
    parser.add_argument("--simulate", action="store_true")
    given = parser.parse_args()
    flags = config.Flags(
        listen=given.listen,
        database=given.database,
        log_format=given.log_format,
        log_level=given.log_level,
    )
    run_daemon(given.config_dir, flags, simulate=given.simulate)


if __name__ == "__main__":
    run_program(main, refused="nothing was started")
