"""The same bad days over real processes: one daemon that meets every wrong answer, and one to which
GitHub is out of reach in every way there is."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from daemon.dispatch import State
from daemon.event import FiringOutcome
from daemon.simulator import Fault, FaultKind
from daemon.views import dispatch_details
from tests.harness import Daemon, Entry, Sender, dispatch_id_of, stand_in
from tests.names import Names
from tests.tls import Authority, tls_front

pytestmark = pytest.mark.no_cover

DEADLINE = 45.0
QUICK = 1.0
"""Seconds in which a delivery is answered whatever GitHub does; it usually takes a hundredth."""

EVERY_SECOND: Entry = {
    "name": "tick",
    "schedule": "* * * * * *",
    "dispatch": {"event_type": "tick", "client_payload": {"at": "{{ firing.scheduled_at }}"}},
}
PLACE = "/repos/acme/shop/dispatches"
WRONG_ANSWERS = [
    Fault(FaultKind.STATUS, status=500),
    Fault(FaultKind.STATUS, status=502),
    Fault(FaultKind.STATUS, acts=True),
    Fault(FaultKind.RESET),
    Fault(FaultKind.RESET, acts=True),
    Fault(FaultKind.STALL, seconds=1),
    Fault(FaultKind.ENDLESS),
    Fault(FaultKind.DRIP),
    Fault(FaultKind.REDIRECT),
    Fault(FaultKind.SECONDARY, retry_after=1),
    Fault(FaultKind.SECONDARY, status=429, retry_after=1),
    Fault(FaultKind.PRIMARY, seconds=1),
]
SAID = [
    r"GitHub answered 500: \"Internal Server Error\"; it may have acted",
    r"GitHub answered 502: \"502 Bad Gateway",
    r"GitHub answered 503: \"Service Unavailable\"",
    r"GitHub answered 503: \"{\"message\": \" Service Unavailable Service",
    r"GitHub answered 503: \"{",
    r"answer was lost \(Connection reset by peer\)",
    r"GitHub redirects in a circle, the last time to http://127",
    r"GitHub answered 403: \"You have exceeded .* ends in 1 s",
    r"GitHub answered 429: \"You have exceeded .* ends in 1 s",
    r"GitHub answered 403: \"API rate limit exceeded",
]


async def test_all_that_github_can_answer_wrongly_loses_and_stops_nothing(tmp_path: Path) -> None:
    """What GitHub received more than once was unsure before."""
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url, crons=[EVERY_SECOND]) as daemon,
        Sender() as sender,
    ):
        await daemon.start()
        # As often as it takes: a tick that goes out at the same time takes some of the turns.
        github.inject(Fault(FaultKind.REDIRECT, times=None, location=PLACE))
        await deliver(sender, daemon, "circle")
        await daemon.until(lambda: bool(daemon.said("attempt unreachable")))
        github.clear()
        for fault in WRONG_ANSWERS:
            github.inject(fault)
        for number in range(2 * len(WRONG_ANSWERS)):
            await deliver(sender, daemon, f"delivery-{number}")
        owed = await all_accepted(daemon)

        told = [json.loads(line) for line in daemon.log if '"next_try"' in line]
        for words in SAID:
            assert any(re.search(words, line["message"]) for line in told), words
        for line in told:
            assert line["message"].isprintable()
            assert instant(line["next_try"]) > instant(line["timestamp"]) - timedelta(seconds=1)

        received = Counter(map(dispatch_id_of, github.received))
        for id_ in owed:
            record = await shown(daemon, id_)
            unsure = [one for one in record["tries"] if one["outcome"] == "ambiguous"]
            assert 1 <= received[id_] <= 1 + len(unsure), record
            assert unsure or not record["reason"], record
        assert await daemon.terminate() == 0
        await assert_fired_every_second(daemon)


async def test_a_limit_that_names_no_time_stops_the_sending_and_nothing_else(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url, crons=[EVERY_SECOND]) as daemon,
        Sender() as sender,
    ):
        await daemon.start()
        await daemon.until(lambda: bool(daemon.said("dispatch accepted")))
        before = github.writes  # and a second's rest from the cron entry
        github.inject(Fault(FaultKind.SECONDARY))
        await deliver(sender, daemon, "refused")
        await daemon.until(lambda: bool(daemon.said("attempt throttled")))
        (line,) = daemon.said("attempt throttled")
        wait = instant(line["next_try"]) - instant(line["timestamp"])
        assert timedelta(seconds=59) < wait < timedelta(seconds=76)
        assert "a rate limit that names no time to wait" in line["message"]
        fired = len(daemon.said("cron fired"))
        for number in range(5):
            await deliver(sender, daemon, f"delivery-{number}")
        await daemon.until(lambda: len(daemon.said("cron fired")) > fired)
        assert github.writes == before + 1
        record = await daemon.command("dispatches", line["dispatch_id"])
        assert "names no time to wait" in record.stdout
        assert await daemon.terminate() == 0
        async with daemon.records() as store:
            counts = await store.counts()
    assert counts[State.PENDING] >= 6
    assert github.writes == before + 1


NO_NAME = "the name github.test does not resolve"
EXPIRED = "the TLS certificate is out of date (certificate has expired); check this machine's clock"
ANOTHER = "the TLS certificate is another server's (Hostname mismatch"
UNTRUSTED = "the TLS certificate is not trusted (unable to get local issuer certificate)"


async def test_github_out_of_reach_is_told_apart_and_survived_in_every_way(tmp_path: Path) -> None:
    """Nothing was sent in any of them, so nothing is doubled."""
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as daemons:
        daemons.create_task(survived([NO_NAME, EXPIRED], directory(tmp_path / "1")))
        daemons.create_task(survived([ANOTHER, UNTRUSTED], directory(tmp_path / "2")))


async def survived(ways: Sequence[str], place: Path) -> None:
    """GitHub is out of reach in these ways, one after the other, and then in reach. At its IPv6
    address nobody ever is."""
    names = Names(place)
    authority, unknown = (Authority(directory(place / name)) for name in ("ours", "other"))
    right = authority.certificate("github.test")
    wrong = {
        EXPIRED: authority.certificate("github.test", expired=True),
        ANOTHER: authority.certificate("elsewhere.test"),
        UNTRUSTED: unknown.certificate("github.test"),
    }
    async with (
        stand_in() as github,
        tls_front(github, right) as front,
        Daemon(
            directory(place / "home"),
            f"https://github.test:{front.port}",
            crons=[EVERY_SECOND],
            environ={**names.environ, "SSL_CERT_FILE": str(authority.root)},
        ) as daemon,
        Sender() as sender,
    ):
        await daemon.start()
        for way in ways:
            if way in wrong:
                names.set("github.test", "::1", "127.0.0.1")
                front.present(wrong[way])
            began = len(daemon.log)
            await deliver(sender, daemon, way)
            await daemon.until(partial(unreachable, daemon, way, began))
        await daemon.until(lambda: bool(daemon.said("cron fired")))
        assert github.requests == 0

        front.present(right)
        github.inject(Fault(FaultKind.ENDLESS))
        owed = await all_accepted(daemon)
        await github.until(lambda: github.stalled == 0)  # it hung up on the endless one
        assert await daemon.terminate() == 0
        await assert_fired_every_second(daemon)
    received = Counter(map(dispatch_id_of, github.received))
    assert owed <= set(received)
    assert set(received.values()) == {1}


def unreachable(daemon: Daemon, way: str, since: int) -> bool:
    """Whether its log has said so from the line ``since`` on."""
    return any(way in line["message"] for line in daemon.said("attempt unreachable", since))


async def deliver(sender: Sender, daemon: Daemon, name: str) -> None:
    """Sends a delivery and sees it taken, quickly."""
    began = time.monotonic()
    assert await sender.push(daemon.url, name) == 202
    assert time.monotonic() - began < QUICK


async def all_accepted(daemon: Daemon) -> set[str]:
    """The ids of all dispatches that were recorded up to now, once GitHub has taken them."""
    owed = {id_ for line in daemon.said("verdict dispatched") for id_ in line["dispatches"]}

    def accepted() -> set[str]:
        return {line["dispatch_id"] for line in daemon.said("dispatch accepted")}

    await daemon.until(lambda: owed <= accepted())
    return owed


async def shown(daemon: Daemon, dispatch_id: str) -> dict[str, Any]:
    """The dispatch as its record stands."""
    async with daemon.records() as store:
        dispatch = await store.dispatch(dispatch_id)
        assert dispatch is not None
        runs = (await store.runs([dispatch_id]))[dispatch_id]
        return dispatch_details(dispatch, await store.attempts(dispatch_id), runs, ())


async def assert_fired_every_second(daemon: Daemon) -> None:
    async with daemon.records() as store:
        firings = await store.firings(500)
    assert {firing.outcome for firing in firings} == {FiringOutcome.FIRED}
    instants = [firing.scheduled_at for firing in firings]
    assert {later - earlier for later, earlier in pairwise(instants)} <= {timedelta(seconds=1)}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def directory(path: Path) -> Path:
    path.mkdir()
    return path
