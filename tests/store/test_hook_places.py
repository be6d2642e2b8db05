"""Where webhooks are set up is remembered, and what GitHub delivered is found again."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from daemon.event import Delivery, Event
from daemon.store import Store
from tests.store.samples import NOW, delivered, fired

HOUR = timedelta(hours=1)
ROUTE = "/hooks/{team}"


def from_github(number: int, guid: str, route: str = ROUTE) -> Event:
    event = delivered(number, at=NOW + number * HOUR)
    assert isinstance(event.cause, Delivery)
    cause = replace(event.cause, headers={"x-github-delivery": guid}, route=route)
    return replace(event, cause=cause)


async def test_a_place_is_remembered_once_whatever_its_case(store: Store) -> None:
    await store.keep_hook_place("Acme/Shop")
    await store.keep_hook_place("acme/shop")
    assert await store.hook_places() == {"Acme/Shop": None}


async def test_up_to_when_it_was_looked_through_stays_when_it_is_remembered_again(
    store: Store,
) -> None:
    await store.keep_hook_place("acme", NOW)
    await store.keep_hook_place("acme")
    assert await store.hook_places() == {"acme": NOW}
    await store.keep_hook_place("acme", NOW + HOUR)
    assert await store.hook_places() == {"acme": NOW + HOUR}


async def test_a_place_that_is_forgotten_is_not_known_any_more(store: Store) -> None:
    await store.keep_hook_place("acme", NOW)
    await store.keep_hook_place("Acme/Shop", NOW)
    await store.forget_hook_place("acme/shop")
    assert await store.hook_places() == {"acme": NOW}


async def test_what_came_in_by_a_route_in_a_span_is_found_by_githubs_id(store: Store) -> None:
    for event in (
        from_github(1, "a"),
        from_github(2, "b"),
        from_github(3, "c", "/other"),
        fired(4, "nightly", NOW, at=NOW + 2 * HOUR),
        delivered(5, at=NOW + 2 * HOUR),
    ):
        await store.record(event, [])
    asked = {"a", "b", "c", "d"}
    all_day = [(NOW, NOW + 24 * HOUR)]
    assert await store.delivered(asked, [ROUTE], all_day) == {"a", "b"}
    assert await store.delivered({"a"}, [ROUTE, "/other"], all_day) == {"a"}
    assert await store.delivered(asked, [ROUTE], [(NOW + HOUR, NOW + HOUR)]) == {"a"}
    assert await store.delivered(asked, [ROUTE], [(NOW, NOW), (NOW + 2 * HOUR,) * 2]) == {"b"}
    assert await store.delivered(asked, [], all_day) == set()
