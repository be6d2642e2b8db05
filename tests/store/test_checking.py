"""`check` and the copies: what is found wrong, what is no fault, and what is never touched."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.binding import Judgement
from daemon.dispatch import Settlement, State
from daemon.errors import DispatchdError, StoreError, UsageError
from daemon.event import Due, Missed, Outcome, Verdict
from daemon.run import Match
from daemon.store import Store, copying, migrate
from daemon.store.checking import check
from daemon.store.copying import backup, compact
from daemon.store.engine import LOG_KEPT
from daemon.store.file import shm_of, wal_of
from tests.store.samples import (
    LEASE,
    NOW,
    attempted,
    delivered,
    dispatched,
    id_of,
    key,
    owed,
    prune,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


async def filled(path: Path, *, close: bool = True) -> Store:
    """A database with one of each: pending, accepted, held, dead, a duplicate, a missed instant."""
    store = Store.open(f"sqlite:///{path}", owner="tests", now=NOW)
    for number, state in enumerate((State.PENDING, State.HELD, State.DEAD)):
        event = delivered(number, body=b"x" * 9000)
        made = owed(number, event, state=state)
        if state.final:
            made = replace(made, reason="cannot be made", settled_at=NOW)
        await store.record(event, [Verdict("push", Outcome.DISPATCHED, "", (made,))])
    event = delivered(7)
    await store.record(event, [dispatched(7, event, dedupe=key("k"))])
    again = delivered(8)
    await store.record(again, [dispatched(8, again, dedupe=key("k"))])
    [claimed, *_] = (await store.claim(NOW, 1, LEASE)).dispatches
    await store.settle(claimed.id, attempted(claimed), Settlement(State.ACCEPTED), NOW)
    await store.judge_runs([Judgement(claimed.id, Match.MISSING)], NOW)
    await store.account([Due("nightly", NOW, missed=(Missed(NOW, NOW, "late"),))], [])
    if close:
        await store.close()
    return store


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def names(directory: Path, begin: str) -> list[str]:
    return sorted(each.name for each in directory.iterdir() if each.name.startswith(begin))


def chmod(path: Path, bits: int) -> None:
    path.chmod(bits)


def inode(path: Path) -> int:
    return path.stat().st_ino


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def found(path: Path, *, quick: bool = False) -> list[str]:
    return [str(problem) for problem in check(path, quick=quick).problems]


@pytest.mark.parametrize("quick", [True, False])
async def test_a_sound_database_is_called_so_at_rest_and_in_use(path: Path, quick: bool) -> None:
    store = await filled(path, close=False)
    assert found(path, quick=quick) == []
    await store.ping()
    await store.close()
    before = content_of(path)
    assert found(path, quick=quick) == []
    assert content_of(path) == before


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "UPDATE dispatches SET wake_at = NULL WHERE state = 'pending'",
            "1 unfinished dispatches have no time at which they are looked at",
        ),
        (
            "UPDATE dispatches SET wake_at = 1 WHERE state = 'dead'",
            "1 dispatches that are settled or held have a time at which they would be sent",
        ),
        (
            "UPDATE dispatches SET settled_at = NULL WHERE state = 'dead'",
            "1 dispatches are unfinished and have an end, or are settled and have none",
        ),
        ("UPDATE dispatches SET reason = '' WHERE state = 'dead'", "1 dispatches are dead without"),
        ("UPDATE dispatches SET state = 'lost' WHERE state = 'held'", "are in no state that there"),
        (
            "DELETE FROM dispatches WHERE state = 'held'",
            f"1 events were dispatched, and owe nothing; one is {id_of('evt', 1)}",
        ),
        ("DELETE FROM verdicts WHERE event_id LIKE '%2'", "1 events have no verdict"),
        (
            "INSERT INTO buffered (cron, event_id, behind) VALUES ('c', 'evt_0', 'evt_1')",
            "1 firings that wait for the one before (`overlap: buffer_one`) are not there",
        ),
        ("UPDATE firings SET reason = ''", "1 cron instants were missed without a reason"),
        (
            "DELETE FROM events WHERE id LIKE '%2'",
            "1 rows of dispatches belong to events that are not there",
        ),
    ],
)
async def test_what_breaks_a_rule_is_found_and_told_what_to_do(
    path: Path, statement: str, told: str
) -> None:
    await filled(path)
    change(path, statement)
    problems = found(path)
    assert any(told in each for each in problems), problems
    assert all(each.endswith(")") for each in problems)


@pytest.mark.parametrize("quick", [True, False])
async def test_damage_is_found_and_told(path: Path, quick: bool) -> None:
    await filled(path)
    with path.open("r+b") as file:
        file.seek(4096 * 4)
        file.write(b"\xff" * 4096 * 12)
    assert "damaged" in found(path, quick=quick)[0] or "malformed" in found(path, quick=quick)[0]


async def test_an_index_that_disagrees_is_found_unless_it_is_to_be_quick(path: Path) -> None:
    await filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, '(at)', '(source)') "
            "WHERE name = 'ix_events_at'"
        )
        connection.commit()
    assert found(path, quick=True) == []
    assert any("ix_events_at" in each for each in found(path))


async def test_an_older_schema_is_no_fault(path: Path) -> None:
    await filled(path)
    with migrate.opened(path, NOW) as (engine, taken), engine.begin() as connection:
        migrate.go(connection, taken, "0009")
    report = check(path, quick=False)
    assert (report.schema, report.outdated, report.problems) == ("0009", True, ())


def not_there(_: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.touch()


def directory(path: Path) -> None:
    path.mkdir()


def notes(path: Path) -> None:
    path.write_bytes(b"These are somebody's notes. " * 1000)


def somebody_elses(path: Path) -> None:
    change(path, "CREATE TABLE theirs (n)")


@pytest.mark.parametrize("made", [not_there, empty, directory, notes, somebody_elses])
def test_what_is_no_database_of_ours_cannot_be_checked(
    path: Path, made: Callable[[Path], None]
) -> None:
    made(path)
    with pytest.raises(StoreError, match=str(path)):
        check(path, quick=False)


# Copies


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


async def test_a_backup_is_one_sound_file_for_its_owner_alone(path: Path, tmp_path: Path) -> None:
    store, copy = await filled(path, close=False), tmp_path / "copy"
    await store.record(delivered(9), [Verdict("push", Outcome.UNMATCHED)])
    report = backup(path, copy, replace=False, progress=silent)
    assert (report.schema, report.problems) == (migrate.HEAD, ())
    assert mode(copy) == 0o600
    assert names(tmp_path, "copy") == ["copy"]
    events = await store.events(10)
    await store.close()
    restored = Store.open(f"sqlite:///{copy}", owner="tests", now=NOW)
    assert await restored.events(10) == events
    assert (await restored.space()).shrinks
    await restored.close()


async def test_a_backup_holds_one_moment_however_much_is_written_meanwhile(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it ends: commits of others do not have it begin anew."""
    store, copy = await filled(path, close=False), tmp_path / "copy"
    monkeypatch.setattr(copying, "PAGES", 1)
    steps = 0

    def write(done: int, total: int) -> None:
        nonlocal steps
        steps += 1
        change(path, "INSERT INTO fetched (url, at) VALUES (randomblob(8), 1)")

    backup(path, copy, replace=False, progress=write)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM fetched").fetchone() == (0,)
    assert 10 < steps < 200
    await store.close()


async def test_a_file_that_is_there_is_replaced_on_demand_alone(path: Path, tmp_path: Path) -> None:
    await filled(path)
    copy = tmp_path / "copy"
    copy.write_text("precious")
    with pytest.raises(UsageError, match="is there already; name a new file, or use --force"):
        backup(path, copy, replace=False, progress=silent)
    assert copy.read_text() == "precious"
    backup(path, copy, replace=True, progress=silent)
    assert check(copy, quick=False).problems == ()


@pytest.mark.parametrize("replace", [True, False])
async def test_the_database_itself_is_never_the_target(
    path: Path, tmp_path: Path, replace: bool
) -> None:
    store = await filled(path, close=False)
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "hard").hardlink_to(path)
    for target in (path, wal_of(path), shm_of(path), tmp_path / "link", tmp_path / "hard"):
        with pytest.raises(UsageError, match="belongs to the database itself"):
            backup(path, target, replace=replace, progress=silent)
    await store.ping()
    await store.close()


async def test_a_damaged_copy_is_not_kept(path: Path, tmp_path: Path) -> None:
    """It could go in the place of a good one."""
    await filled(path)
    change(path, "DELETE FROM events WHERE id LIKE '%2'")
    with pytest.raises(DispatchdError, match="the copy is damaged, and not kept: 1 rows of dis"):
        backup(path, tmp_path / "copy", replace=False, progress=silent)
    assert names(tmp_path, "copy") == []


async def test_of_a_database_that_breaks_a_rule_a_copy_is_kept_all_the_same(
    path: Path, tmp_path: Path
) -> None:
    await filled(path)
    change(path, "UPDATE dispatches SET wake_at = NULL WHERE state = 'pending'")
    report = backup(path, tmp_path / "copy", replace=False, progress=silent)
    assert [each.damaged for each in report.problems] == [False]
    assert names(tmp_path, "copy") == ["copy"]


async def test_what_a_killed_backup_left_is_not_in_the_way(path: Path, tmp_path: Path) -> None:
    await filled(path)
    (tmp_path / "copy.partial").write_bytes(b"half" * 10_000)
    backup(path, tmp_path / "copy", replace=False, progress=silent)
    assert not (tmp_path / "copy.partial").exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    (tmp_path / "other.partial").symlink_to(elsewhere)
    with pytest.raises(UsageError, match=r"cannot write .*other.partial"):
        backup(path, tmp_path / "other", replace=False, progress=silent)
    assert elsewhere.read_text() == "precious"


async def test_without_room_no_copy_is_begun(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(path)

    class Full:
        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Full)
    with pytest.raises(DispatchdError, match=r"has 1000 B left, and .* are needed there"):
        backup(path, tmp_path / "copy", replace=False, progress=silent)
    assert names(tmp_path, "copy") == []


async def test_a_file_of_an_older_version_is_compact_and_can_shrink_from_then_on(
    path: Path,
) -> None:
    await filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    chmod(path, 0o640)
    store = Store.open(f"sqlite:///{path}", owner="tests", now=NOW)
    assert not (await store.space()).shrinks
    events = await store.events(10)
    while await prune(store, NOW + timedelta(days=90), 10):
        pass
    loose = await store.space()
    assert loose.free
    assert await store.shrink(5) == 0
    await store.close()
    compact(path, lambda: None)
    assert mode(path) == 0o640
    store = Store.open(f"sqlite:///{path}", owner="tests", now=NOW)
    space = await store.space()
    assert (space.free, space.shrinks) == (0, True)
    assert space.file < loose.file
    assert {each.id for each in await store.events(10)} <= {each.id for each in events}
    await store.close()


async def test_while_somebody_reads_the_file_is_not_replaced(path: Path) -> None:
    await filled(path)
    store = Store.open(f"sqlite:///{path}", owner="tests", now=NOW)
    await store.close()
    before = inode(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        with pytest.raises(DispatchdError, match="locked"):
            compact(path, lambda: None)
    assert inode(path) == before
    assert found(path) == []


async def test_the_log_is_small_again_after_somebody_has_read_for_long(path: Path) -> None:
    store = Store.open(f"sqlite:///{path}", owner="tests", now=NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        for number in range(30):
            event = delivered(number, body=b"x" * 2**20)
            await store.record(event, [Verdict("push", Outcome.UNMATCHED)])
        assert (await store.space()).log > 30 * 2**20
    for number in range(30, 33):
        await store.record(delivered(number), [Verdict("push", Outcome.UNMATCHED)])
    assert (await store.space()).log <= LOG_KEPT
    await store.close()


async def test_what_a_kill_amid_a_vacuum_broke_off_is_undone_before_it_is_looked_at(
    path: Path, tmp_path: Path
) -> None:
    """The journal by which it is undone lies beside the file; a reader cannot play it back."""
    await filled(path)
    killed = tmp_path / "killed.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = DELETE")
        writer.execute("PRAGMA cache_size = 1")  # so that pages are written before the end
        writer.execute("BEGIN")
        writer.execute("UPDATE events SET body = randomblob(20000)")
        writer.execute("DELETE FROM verdicts")
        shutil.copy(path, killed)
        shutil.copy(f"{path}-journal", f"{killed}-journal")
        writer.execute("ROLLBACK")
    assert check(killed, quick=False).problems == ()
    with closing(sqlite3.connect(killed)) as whole:
        assert whole.execute("SELECT count(*) FROM verdicts").fetchone()[0] > 0
