"""A simulation says everywhere that it is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from daemon.app import running
from daemon.facts import Facts
from daemon.surroundings import Surroundings
from tests.shell import Shell
from tests.specs import ENVIRON, config, cron_entry

WARNING = "warning: this daemon is a simulation: nothing reaches GitHub\n"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest_asyncio.fixture
async def simulation(tmp_path: Path) -> AsyncIterator[None]:
    """``dispatchd run --simulate``, where the real daemon is not running."""
    environ = {
        **ENVIRON,
        "DISPATCHD_LISTEN": "127.0.0.1:0",
        "DISPATCHD_DATABASE_URL": f"sqlite:///{tmp_path}/dispatchd.sqlite",
    }
    loaded = config(crons=[cron_entry("nightly")], environ=environ)
    async with running(loaded, Facts(), Surroundings(environ, simulate=True)):
        yield


@pytest.mark.usefixtures("simulation")
async def test_each_command_warns_once_that_nothing_reaches_github(shell: Shell) -> None:
    sent = await shell.run("dispatch", "release", "--json")
    assert (sent.json["success"], sent.err) == (True, WARNING)
    dispatch = sent.json["dispatch_id"]
    for args in (
        ["fire", "nightly"],
        ["events"],
        ["dispatches", dispatch],
        ["replay", dispatch, dispatch],
        ["replay", "--failed", "--since", "1h"],
        ["status"],
    ):
        ran = await shell.run(*args)
        assert (ran.code, ran.err) == (0, WARNING), args
    cancelled = await shell.run("cancel", dispatch)
    assert cancelled.code == 1
    assert cancelled.err.startswith(WARNING)


@pytest.mark.usefixtures("simulation")
async def test_it_is_not_github_that_took_a_dispatch(shell: Shell) -> None:
    sent = await shell.run("dispatch", "release")
    assert sent.out.startswith("release: the simulated GitHub took it (dsp_")


async def test_after_its_end_it_is_told_where_the_simulations_database_is(
    shell: Shell, tmp_path: Path
) -> None:
    """What it did is not lost, though the real database is not there, or holds nothing of it."""
    environ = {**ENVIRON, "DISPATCHD_DATABASE_URL": f"sqlite:///{tmp_path}/dispatchd.sqlite"}
    surroundings = Surroundings({**environ, "DISPATCHD_LISTEN": "127.0.0.1:0"}, simulate=True)
    async with running(config(environ=surroundings.environ), Facts(), surroundings):
        pass
    there = f"--database sqlite:///{tmp_path}/dispatchd-simulation.sqlite"
    without = await shell.run("events")
    assert (without.code, there in without.err) == (1, True)
    (_, database) = there.split(" ")
    found = await shell.run("events", "--database", database)
    assert (found.code, "no daemon answers" in found.err) == (0, True)
