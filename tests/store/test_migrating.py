"""Steps between schemas, taken and undone: what an older version finds, what is kept, and what is
not undone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, select

from daemon.errors import StoreError, UsageError
from daemon.store import migrate, rules, schema
from daemon.store.engine import connect, parse, writing
from tests.store.test_opening import shape

NUMBERS = [f"{number:04}" for number in range(1, int(migrate.HEAD) + 1)]
OLDER = NUMBERS[:-1]


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = writing(connect(parse("sqlite://")))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def newest(connection: Connection) -> Connection:
    migrate.upgrade(connection, "memory")
    return connection


@pytest.mark.parametrize("number", OLDER)
def test_an_older_version_finds_the_tables_that_it_made(
    connection: Connection, number: str
) -> None:
    engine = writing(connect(parse("sqlite://")))
    with engine.begin() as made:
        migrate.go(made, "", number)
        expected = shape(made)
    engine.dispose()
    migrate.go(newest(connection), migrate.HEAD, number)
    assert shape(connection) == expected
    assert migrate.current(connection, "memory") == number
    migrate.go(connection, number, migrate.HEAD)
    assert set(shape(connection)) == set(schema_of_today())


def schema_of_today() -> dict[str, str]:
    engine = writing(connect(parse("sqlite://")))
    with engine.begin() as made:
        migrate.upgrade(made, "memory")
        found = shape(made)
    engine.dispose()
    return found


def fill(connection: Connection) -> None:
    """An event with its dispatch, an accepted one, and cron instants."""
    for statement in (
        "INSERT INTO events (id, kind, source, at) VALUES ('evt_1', 'delivery', '/a', 1)",
        "INSERT INTO verdicts (event_id, position, entry, outcome, reason) "
        "VALUES ('evt_1', 0, 'push', 'dispatched', '')",
        "INSERT INTO dispatches (id, event_id, entry, repository, event_type, client_payload, "
        "created_at, due_at, expires_at, state, reason, attempts, settled_at, wake_at) VALUES "
        "('dsp_1', 'evt_1', 'push', 'o/r', 'x', '{}', 1, 1, 9, 'pending', '', 0, NULL, 1), "
        "('dsp_2', 'evt_1', 'push', 'o/r', 'x', '{}', 1, 1, 9, 'accepted', '', 0, 1, NULL)",
        "INSERT INTO cursors (cron, identity, cursor) VALUES ('nightly', 'x', 5)",
        "INSERT INTO firings (cron, scheduled_at, first, outcome, reason, event_id, count) VALUES "
        "('nightly', 5, 5, 'fired', '', 'evt_1', 1), ('nightly', 4, 2, 'missed', 'late', NULL, 3)",
    ):
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("number", OLDER)
def test_the_way_back_and_forth_loses_nothing_that_is_owed(
    connection: Connection, number: str
) -> None:
    fill(newest(connection))
    migrate.go(connection, migrate.HEAD, number)
    migrate.go(connection, number, migrate.HEAD)
    table, firings = schema.dispatches.c, schema.firings.c
    assert rules.broken(connection) == []
    rows = connection.execute(select(table.id, table.state, table.wake_at).order_by(table.id))
    assert [(row.id, row.state.value, row.wake_at is None) for row in rows] == [
        ("dsp_1", "pending", False),
        ("dsp_2", "accepted", True),
    ]
    booked = connection.execute(select(firings.outcome, firings.reason).order_by(firings.first))
    assert [tuple(map(str, row)) for row in booked] == [("missed", "late"), ("fired", "")]
    assert connection.execute(select(schema.cursors.c.cursor)).scalar_one().microsecond == 5


@pytest.mark.parametrize(
    ("number", "statement", "why"),
    [
        (
            "0010",
            'INSERT INTO news (kind, ref, entry, at, count, text, "over", state) VALUES '
            "('dead', 'dsp_2', 'push', 1, 1, '', 0, 'owed')",
            "1 messages to `notify` are still owed",
        ),
        (
            "0008",
            "INSERT INTO follow_ups (dispatch_id, cause, run_id, run_attempt, entry, at, why, "
            "run_name, run_conclusion, run_url, state, attempts, wake_at, reason, target) VALUES "
            "('dsp_2', 'failed', 1, 1, 'push', 1, '', '', '', '', 'owed', 0, 1, '', '')",
            "1 follow-ups are still owed",
        ),
        (
            "0007",
            "UPDATE dispatches SET state = 'held', held_by = 'depth', wake_at = NULL "
            "WHERE id = 'dsp_1'",
            "1 dispatches are held for another reason than a pause",
        ),
        (
            "0005",
            "UPDATE dispatches SET workflow = 'ci.yml' WHERE id = 'dsp_1'",
            "1 dispatches that start a workflow by its name are still to be sent",
        ),
        (
            "0003",
            "INSERT INTO pauses (entry, since, \"by\", reason) VALUES ('push', 1, 'mona', '')",
            "1 entries are paused",
        ),
        (
            "0003",
            "INSERT INTO buffered (cron, event_id, behind) VALUES ('nightly', 'evt_1', 'evt_0')",
            "1 firings wait for the one before",
        ),
        (
            "0002",
            "INSERT INTO learned (\"trigger\", secret) VALUES ('asana', 'handed over')",
            "1 triggers have a secret",
        ),
    ],
)
def test_a_step_is_not_undone_while_an_older_version_would_lose_something_by_it(
    connection: Connection, number: str, statement: str, why: str
) -> None:
    fill(newest(connection))
    connection.exec_driver_sql(statement)
    with pytest.raises(StoreError, match=f"{why}.*would lose: settle that first, or go back with"):
        migrate.go(connection, migrate.HEAD, number)


def test_the_steps_are_told_in_the_order_in_which_they_are_done() -> None:
    up = migrate.steps("0007", "0009")
    assert [(each.revision, each.undone) for each in up] == [("0008", False), ("0009", False)]
    assert up[1].text == "Follow-ups: what is owed after a dispatch went wrong."
    down = migrate.steps("0009", "0007")
    assert [(each.revision, each.undone) for each in down] == [("0009", True), ("0008", True)]
    assert migrate.steps(migrate.HEAD, migrate.HEAD) == []


@pytest.mark.parametrize("number", ["", "9", "9999", "head", "-1"])
def test_a_schema_that_there_is_not_is_refused(number: str) -> None:
    with pytest.raises(UsageError, match=f"there are 0001 to {migrate.HEAD}"):
        migrate.steps("0007", number)
