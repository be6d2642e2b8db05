"""Secrets that senders hand over: kept while one is waited for, and never over another one."""

from __future__ import annotations

import asyncio

from daemon.ports import Learned
from daemon.store import Store
from tests.store.samples import NOW, SECOND

UNTIL = NOW + 600 * SECOND


async def test_a_secret_is_kept_only_while_it_is_waited_for(store: Store) -> None:
    assert not await store.learn("asana", "s3cret", NOW)
    assert await store.arm("asana", UNTIL, forget=False) == Learned(None, UNTIL)
    assert not await store.learn("asana", "s3cret", UNTIL + SECOND)
    assert not await store.learn("notion", "s3cret", NOW)
    assert await store.learn("asana", "s3cret", UNTIL)
    assert await store.learned() == {"asana": Learned("s3cret")}


async def test_of_several_at_once_one_is_kept(store: Store) -> None:
    await store.arm("asana", UNTIL, forget=False)
    kept = await asyncio.gather(*(store.learn("asana", f"s{n}", NOW) for n in range(5)))
    assert kept.count(True) == 1
    assert await store.learned() == {"asana": Learned(f"s{kept.index(True)}")}


async def test_a_secret_that_is_there_is_not_overwritten_by_arming(store: Store) -> None:
    await store.arm("asana", UNTIL, forget=False)
    await store.learn("asana", "s3cret", NOW)
    assert await store.arm("asana", UNTIL, forget=False) == Learned("s3cret")
    assert not await store.learn("asana", "other", NOW)


async def test_an_admin_can_have_it_forgotten(store: Store) -> None:
    await store.arm("asana", UNTIL, forget=False)
    await store.learn("asana", "s3cret", NOW)
    assert await store.arm("asana", UNTIL, forget=True) == Learned(None, UNTIL)
    assert await store.learn("asana", "other", NOW)


def test_a_secret_does_not_show_itself() -> None:
    assert "s3cret" not in repr(Learned("s3cret"))
