"""``dispatchd db`` as a process: beside a daemon under load, killed with SIGKILL in the middle, and
a backup that is put back."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.dispatch import Settlement, State
from daemon.event import Outcome, Verdict
from daemon.simulator import Fault, FaultKind
from daemon.store import Store, migrate
from daemon.store.checking import check
from tests.environment import inherited
from tests.harness import Daemon, Sender, run_command, stand_in
from tests.store.samples import LEASE, attempted, delivered, dispatched

DEADLINE = 60.0
KILLS = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
def environ(path: Path, tmp_path: Path) -> Mapping[str, str]:
    return {
        **inherited(),
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "DISPATCHD_CONFIG_DIR": str(tmp_path),
        "DISPATCHD_DATABASE_URL": f"sqlite:///{path}",
    }


def store_at(path: Path) -> Store:
    return Store.open(f"sqlite:///{path}", owner="tests", now=datetime.now(UTC))


async def fill(path: Path, count: int) -> None:
    """Deliveries of 20 KB, half of them dispatched and accepted."""
    store, now = store_at(path), datetime.now(UTC)
    for number in range(count):
        event = delivered(number, at=now, body=bytes([number % 256]) * 20_000)
        await store.record(event, [dispatched(number, event)])
    for dispatch in (await store.claim(now, count // 2, LEASE)).dispatches:
        await store.settle(dispatch.id, attempted(dispatch), Settlement(State.ACCEPTED), now)
    await store.close()


def go_to(path: Path, schema: str) -> None:
    with migrate.opened(path, datetime.now(UTC)) as (engine, taken), engine.begin() as connection:
        migrate.go(connection, taken, schema)


def unlink(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink()


def there(target: Path) -> list[bool]:
    """Whether it is there, and what a copy was begun as."""
    return [each.exists() for each in (target, target.with_name(f"{target.name}.partial"))]


def write(file: Path, text: str) -> None:
    file.write_text(text)


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.*.backup"))


def copied(path: Path, name: str) -> Path:
    return Path(shutil.copy(path, path.with_name(name)))


async def killed_amid(arguments: list[str], environ: Mapping[str, str], after: float) -> bool:
    """Runs the command and kills it ``after`` so many seconds; whether it was still at work."""
    program = str(Path(sys.executable).with_name("dispatchd"))
    process = await asyncio.create_subprocess_exec(
        *(program, *arguments),
        env=environ,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(after):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        return True
    return False


async def duration_of(arguments: list[str], environ: Mapping[str, str]) -> float:
    began = time.monotonic()
    ended = await run_command(arguments, environ)
    assert ended.status == 0, ended.stderr
    return time.monotonic() - began


# A restore


async def test_what_was_acknowledged_before_a_backup_is_there_once_it_is_put_back(
    tmp_path: Path,
) -> None:
    """The backup is made under load, the daemon killed under load, its database lost."""
    copy = tmp_path / "backup.sqlite"
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
        Sender() as sender,
    ):
        # GitHub takes nothing until later: only the database knows what is owed to it.
        github.inject(Fault(FaultKind.STATUS, times=None))
        await daemon.start()
        names = [f"delivery-{number}" for number in range(5000)]
        enough = asyncio.Event()

        def answered() -> None:
            if len(sender.answers) > 200:
                enough.set()

        sending = asyncio.create_task(
            sender.push_all(daemon.url, names, at_once=8, answered=answered)
        )
        await enough.wait()
        before = set(sender.acknowledged)
        backed_up = await daemon.command("db", "backup", str(copy), "--json")
        assert backed_up.status == 0, backed_up.stderr
        told = json.loads(backed_up.stdout)
        assert (told["file"], told["schema"]) == (str(copy), migrate.HEAD)
        assert told["bytes"] > 100_000
        looked = await daemon.command("db", "check")
        assert looked.status == 0, looked.stderr
        assert not sending.done()
        assert len(sender.acknowledged) > len(before)
        await daemon.kill()
        await sending
        unlink(daemon.home.glob("state.sqlite*"))
        assert (await daemon.command("db", "check", str(copy))).status == 0
        shutil.move(copy, daemon.database)
        github.clear()
        await daemon.start()
        await github.until(
            lambda: before <= {str(each.client_payload["delivery"]) for each in github.received}
        )
        # What it took in meanwhile it takes in again.
        assert await sender.push(daemon.url, "after") == 202
        assert await daemon.terminate() == 0
        sound = await daemon.command("db", "check", "--json")
        assert json.loads(sound.stdout)["problems"] == []


# Killed amid


async def test_a_backup_that_is_killed_leaves_no_file_under_its_name_and_the_next_one_works(
    path: Path, environ: Mapping[str, str], chance: random.Random
) -> None:
    await fill(path, 1000)
    took = await duration_of(["db", "backup", str(path.parent / "first")], environ)
    for number in range(KILLS):
        target = path.parent / f"copy-{number}"
        arguments = ["db", "backup", str(target)]
        if await killed_amid(arguments, environ, chance.uniform(0.3, 1) * took):
            assert not there(target)[0] or check(target, quick=False).problems == ()
        assert check(path, quick=False).problems == ()
    arguments = ["db", "backup", str(path.parent / f"copy-{KILLS - 1}"), "--force"]
    assert (await run_command(arguments, environ)).status == 0
    assert there(path.parent / f"copy-{KILLS - 1}") == [True, False]


@pytest.mark.parametrize("back", [False, True])
async def test_a_migration_that_is_killed_is_done_or_not_begun(
    path: Path, environ: Mapping[str, str], chance: random.Random, back: bool
) -> None:
    await fill(path, 500)
    old, new = ("0001", migrate.HEAD) if not back else (migrate.HEAD, "0001")
    if not back:
        go_to(path, old)
    arguments = ["db", "migrate", "--no-backup", "--to", new]
    took = await duration_of(arguments, environ_for(copied(path, "timed.sqlite"), environ))
    for number in range(KILLS):
        trial = copied(path, f"{number}.sqlite")
        here = environ_for(trial, environ)
        await killed_amid(arguments, here, chance.uniform(0.5, 1) * took)
        report = check(trial, quick=False)
        assert report.schema in (old, new)
        assert report.problems == ()
        assert (await run_command(arguments, here)).status == 0
        assert check(trial, quick=False).schema == new


async def test_a_vacuum_that_is_killed_leaves_the_old_file_or_the_new_one(
    path: Path, environ: Mapping[str, str], chance: random.Random
) -> None:
    await fill(path, 1000)
    arguments = ["db", "vacuum"]
    took = await duration_of(arguments, environ_for(copied(path, "timed.sqlite"), environ))
    for number in range(KILLS):
        trial = copied(path, f"{number}.sqlite")
        await killed_amid(arguments, environ_for(trial, environ), chance.uniform(0.3, 1) * took)
        assert check(trial, quick=False).problems == ()
        store = store_at(trial)
        assert len(await store.events(10_000)) == 1000
        await store.close()


def environ_for(path: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    return {**environ, "DISPATCHD_DATABASE_URL": f"sqlite:///{path}"}


# What they say


async def test_a_migration_says_what_it_does_and_keeps_a_copy_of_what_was(
    path: Path, environ: Mapping[str, str]
) -> None:
    await fill(path, 3)
    go_to(path, "0008")
    asked = await run_command(["db", "migrate", "--dry-run"], environ)
    assert asked.stdout.splitlines()[:2] == [
        f"{path}: schema 0008 to {migrate.HEAD}",
        "  0009: Follow-ups: what is owed after a dispatch went wrong.",
    ]
    assert asked.stdout.endswith("nothing was changed (--dry-run)\n")
    assert check(path, quick=True).schema == "0008"
    done = await run_command(["db", "migrate"], environ)
    assert (done.status, done.stderr) == (0, "")
    (copy,) = backups(path)
    assert f"backed up as {copy}" in done.stdout
    assert check(copy, quick=False).schema == "0008"
    assert check(path, quick=False).schema == migrate.HEAD
    again = await run_command(["db", "migrate"], environ)
    assert f"schema {migrate.HEAD}, the newest, nothing to do" in again.stdout
    unknown = await run_command(["db", "migrate", "--to", "9999"], environ)
    assert unknown.status == 2
    assert "there is no schema '9999'; there are 0001 to" in unknown.stderr


async def test_beside_a_running_daemon_only_what_disturbs_it_is_refused(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
    ):
        await daemon.start()
        for refused in (["migrate"], ["migrate", "--to", "0008"], ["vacuum"]):
            ended = await daemon.command("db", *refused)
            assert ended.status == 2, refused
            assert f"another dispatchd (pid {daemon.pid}) uses {daemon.database}" in ended.stderr
        for allowed in (["check"], ["check", "--quick"], ["migrate", "--dry-run"]):
            ended = await daemon.command("db", *allowed)
            assert (ended.status, ended.stderr) == (0, ""), allowed
        assert await daemon.terminate() == 0


async def test_what_is_wrong_exits_with_1_and_what_cannot_be_looked_at_with_2(
    path: Path, environ: Mapping[str, str]
) -> None:
    missing = await run_command(["db", "check"], environ)
    assert missing.status == 2
    assert f"there is no database {path}" in missing.stderr
    store = store_at(path)
    event = delivered(1)
    await store.record(event, [Verdict("push", Outcome.DISPATCHED)])
    await store.close()
    wrong = await run_command(["db", "check"], environ)
    assert wrong.status == 1
    assert wrong.stdout == (
        f"wrong: 1 events were dispatched, and owe nothing; one is {event.id} "
        "(`dispatchd replay` them)\n"
    )
    assert f"{path} is not sound: 1 found wrong" in wrong.stderr
    for arguments in (["db", "backup", "/nowhere/copy"], ["db", "backup", str(path)]):
        assert (await run_command(arguments, environ)).status == 2
    memory = {**environ, "DISPATCHD_DATABASE_URL": "sqlite://"}
    assert "the database is in memory" in (await run_command(["db", "vacuum"], memory)).stderr


async def test_a_newer_schema_is_refused_and_the_way_back_is_told(
    path: Path, environ: Mapping[str, str]
) -> None:
    await fill(path, 1)
    write(path.with_name("CRONS.json"), "[]")
    with migrate.opened(path, datetime.now(UTC)) as (engine, _), engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for arguments in (["db", "check"], ["db", "migrate"], ["run"]):
        given = {**environ, "GH_TOKEN": "ghp_OnlyForThisTest0001", "GH_REPO": "a/b"}
        ended = await run_command(arguments, given)
        assert ended.status == 2, arguments
        assert "was written by a newer dispatchd (its schema is 9999" in ended.stderr
        assert f"have it go back with `dispatchd db migrate --to {migrate.HEAD}`" in ended.stderr
