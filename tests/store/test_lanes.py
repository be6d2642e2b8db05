"""A queue for each credential: what is claimed from which, in what order, and at what cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy.dialects import sqlite

from daemon.dispatch import Dispatch, Hold, State
from daemon.event import Outcome, Pause, Verdict
from daemon.store import Store, lookups, outbox
from daemon.store.engine import connect, parse
from tests.store.samples import LEASE, NOW, SECOND, delivered, fired, owed

LATER = NOW + 1000 * SECOND
LANES = {"acme/a": "acme", "acme/b": "acme", "octo/a": "octo"}


def lane_of(repository: str) -> str:
    return LANES.get(repository, "")


def opened(url: str, lanes: Callable[[str], str] = lane_of) -> Store:
    return Store.open(url, owner="tests", now=NOW, lane_of=lanes)


def a_dispatch(number: int, repository: str, due: int = 0, *, urgent: bool = False) -> Dispatch:
    dispatch = owed(number, delivered(1), due_at=NOW + due * SECOND)
    return replace(dispatch, repository=repository, urgent=urgent)


async def keep(store: Store, dispatches: Sequence[Dispatch]) -> None:
    verdict = Verdict("push", Outcome.DISPATCHED, dispatches=tuple(dispatches))
    await store.record(delivered(1), [verdict])


async def test_a_claim_takes_of_its_lane_alone(store_url: str) -> None:
    store = opened(store_url)
    try:
        await keep(
            store,
            [a_dispatch(1, "acme/a"), a_dispatch(2, "octo/a"), a_dispatch(3, "nobodys/a")],
        )
        for lane, number in (("octo", 2), ("acme", 1), ("", 3)):
            claim = await store.claim(LATER, 10, LEASE, lane=lane)
            assert [each.id for each in claim.dispatches] == [a_dispatch(number, "x/y").id]
            assert (await store.claim(LATER, 10, LEASE, lane=lane)).dispatches == ()
    finally:
        await store.close()


async def test_the_next_that_is_due_is_told_for_each_lane(store_url: str) -> None:
    store = opened(store_url)
    try:
        dispatches = [a_dispatch(1, "acme/a", 7), a_dispatch(2, "acme/a", 5, urgent=True)]
        await keep(store, [*dispatches, a_dispatch(3, "octo/a", 9)])
        assert await store.next_due(NOW, "acme") == NOW + 5 * SECOND
        assert await store.next_due(NOW, "octo") == NOW + 9 * SECOND
        assert await store.next_due(NOW) is None
    finally:
        await store.close()


async def test_what_is_unfinished_moves_to_the_lane_of_todays_config(tmp_path: Path) -> None:
    """Also what is held, which goes on in the lane when it is released."""
    url = f"sqlite:///{tmp_path}/state.sqlite"
    store = opened(url)
    held = replace(a_dispatch(2, "acme/a"), state=State.HELD, held_by=Hold.PAUSE)
    await keep(store, [a_dispatch(1, "acme/a"), held, a_dispatch(3, "octo/a")])
    await store.close()
    store = opened(url, lambda repository: "new" if repository == "acme/a" else "octo")
    try:
        assert (await store.claim(LATER, 10, LEASE, lane="acme")).dispatches == ()
        assert len((await store.claim(LATER, 10, LEASE, lane="new")).dispatches) == 1
        assert len((await store.claim(LATER, 10, LEASE, lane="octo")).dispatches) == 1
        await store.pause([Pause("push", NOW, "alice")])
        await store.resume(["push"], LATER)
        assert await store.release(LATER, 10) == {"push": 1}
        (released,) = (await store.claim(LATER, 10, LEASE, lane="new")).dispatches
        assert released.id == held.id
    finally:
        await store.close()


owing = st.lists(
    st.builds(
        lambda repository, due, urgent: (repository, due, urgent),
        st.sampled_from([*LANES, "nobodys/a"]),
        st.integers(0, 9),
        st.booleans(),
    ),
    max_size=25,
)
claims = st.lists(
    st.tuples(st.sampled_from(["acme", "octo", ""]), st.integers(1, 6), st.booleans()),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(owing, claims)
def test_every_claim_is_the_head_of_its_lanes_order(
    owing: list[tuple[str, int, bool]], claims: list[tuple[str, int, bool]]
) -> None:
    """By urgency as asked for, then by when it was due, then by age; and nothing twice."""
    dispatches = [
        a_dispatch(number, repository, due, urgent=urgent)
        for number, (repository, due, urgent) in enumerate(owing)
    ]

    async def run() -> None:
        store = opened("sqlite://")
        try:
            await keep(store, dispatches)
            left = list(dispatches)
            for lane, limit, urgent_first in claims:
                queue = [each for each in left if lane_of(each.repository) == lane]
                queue.sort(key=lambda each: (each.urgent != urgent_first, each.due_at, each.id))
                claim = await store.claim(LATER, limit, LEASE, lane=lane, urgent_first=urgent_first)
                assert [each.id for each in claim.dispatches] == [x.id for x in queue[:limit]]
                left = [each for each in left if each not in queue[:limit]]
        finally:
            await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("statement", [outbox.DUE, lookups.NEXT_DUE])
def test_neither_a_claim_nor_a_look_at_a_lane_reads_the_backlog_of_another(
    statement: object, tmp_path: Path
) -> None:
    """SQLite walks along the index from the first that is wanted, and sorts nothing."""
    store = opened(f"sqlite:///{tmp_path}/state.sqlite")
    asyncio.run(store.close())
    engine = connect(parse(f"sqlite:///{tmp_path}/state.sqlite"))
    text = str(statement.compile(dialect=sqlite.dialect()))  # type: ignore[attr-defined]
    with engine.begin() as connection:
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {text}", ("",) * text.count("?")
        ).all()
    engine.dispose()
    told = " ".join(str(row[-1]) for row in plan)
    assert "SEARCH dispatches USING" in told
    assert "INDEX ix_dispatches_lane_urgent_wake_at_id (lane=? AND urgent=?" in told
    assert "TEMP B-TREE" not in told


async def test_crons_and_calls_are_urgent_and_deliveries_are_not_after_an_update_too(
    tmp_path: Path,
) -> None:
    """A database of before the lanes: what it owes is told apart by its events."""
    from alembic import command

    from daemon.store.engine import writing
    from daemon.store.migrate import _config

    engine = writing(connect(parse(f"sqlite:///{tmp_path}/state.sqlite")))
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        cron, webhook = fired(1, "cron", NOW), delivered(2)
        for event, kind, source in ((cron, "firing", "cron"), (webhook, "delivery", "/hook")):
            connection.exec_driver_sql(
                "INSERT INTO events (id, kind, source, at) VALUES (?, ?, ?, 0)",
                (event.id, kind, source),
            )
            connection.exec_driver_sql(
                "INSERT INTO dispatches (id, event_id, entry, repository, event_type, "
                "client_payload, created_at, due_at, expires_at, state, reason, attempts, wake_at) "
                "VALUES (?, ?, 'e', 'acme/a', 'x', '{}', 0, 0, ?, 'pending', '', 0, 0)",
                (f"dsp_{kind}", event.id, int((LATER.timestamp() + 9e9) * 1e6)),
            )
    engine.dispose()
    store = opened(f"sqlite:///{tmp_path}/state.sqlite")
    try:
        claim = await store.claim(LATER, 10, LEASE, lane="acme")
        assert [(each.id, each.urgent) for each in claim.dispatches] == [
            ("dsp_firing", True),
            ("dsp_delivery", False),
        ]
    finally:
        await store.close()


def test_a_backlog_of_one_lane_does_not_slow_another_down(tmp_path: Path) -> None:
    """By the steps of SQLite's own machine, which no other work of this computer changes."""
    url = f"sqlite:///{tmp_path}/state.sqlite"
    steps = []
    for backlog in (0, 20_000):
        store = opened(url)
        dispatches = [a_dispatch(number, "acme/a") for number in range(2, backlog + 2)]
        if dispatches:
            asyncio.run(store.add_dispatches(dispatches))
        asyncio.run(store.close())
        engine = connect(parse(url))
        counted = [0]
        with engine.begin() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None

            def count(counted: list[int] = counted) -> None:
                counted[0] += 1

            driver.set_progress_handler(count, 1)
            asked = {"lane": "octo", "urgent": False, "now": LATER, "most": 10}
            assert connection.execute(outbox.DUE, asked).all() == []
            driver.set_progress_handler(None, 1)
        engine.dispose()
        steps.append(counted[0])
        if not backlog:
            store = opened(url)
            asyncio.run(keep(store, [a_dispatch(1, "acme/a", 5000)]))
            asyncio.run(store.close())
    assert steps[1] <= steps[0] + 10
