"""GitHub on its bad days, through the whole daemon: deliveries and crons go on meanwhile, the
record says what is the matter and when the next try is, and in the end all of it arrives."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from daemon.client import GitHub, session, sessions
from daemon.dispatch import State
from daemon.event import FiringOutcome
from daemon.expressions import rfc3339
from daemon.facts import AttemptMade, DispatchSettled, EventRecorded, FiringAccounted
from daemon.journal import Journal, open_log
from daemon.simulator import Fault, FaultKind, Simulator
from tests.harness import dispatch_id_of
from tests.inprocess import Serving, serving
from tests.specs import SIGNED, cron_entry, trigger_entry

DEADLINE = 20.0
START = datetime(2026, 11, 23, 12, 0, 59, 700_000, tzinfo=UTC)
"""Just before the cron entry is due."""

PUSH = trigger_entry("push", path="/hooks", auth=SIGNED)
NOON = cron_entry("noon", schedule="1 12 * * *")
PLACE = "/repos/octo-org/octo-repo/dispatches"


class Clock:
    """A clock that stands still until it is started, then goes at its usual pace, and can be put
    forward."""

    def __init__(self) -> None:
        self._shown = START
        self._since: float | None = None

    def __call__(self) -> datetime:
        gone = 0.0 if self._since is None else time.monotonic() - self._since
        return self._shown + timedelta(seconds=gone)

    def elapsed(self) -> float:
        """The other clock, which nobody sets: it goes with this one, so that none is set."""
        return self().timestamp()

    def start(self) -> None:
        self._since = time.monotonic()

    def advance(self, by: timedelta) -> None:
        self._shown += by


@dataclass(frozen=True, slots=True)
class BadDay:
    """What GitHub does to every dispatch (``fault`` None: it is away), and what is to come of it.

    ``says`` is found in the record of the attempt, ``state`` is the dispatch's after it, and the
    next try comes ``wait`` seconds after it, at least and at most.
    """

    fault: Fault | None
    says: str
    state: State
    wait: tuple[float, float] = (0, 2)

    @property
    def limits(self) -> bool:
        return self.wait[0] > 0

    async def begin(self, github: Simulator) -> None:
        if self.fault is None:
            await github.stop()
        else:
            github.inject(self.fault)

    async def end(self, github: Simulator) -> None:
        github.clear()
        if self.fault is None:
            await github.start(port=int(github.url.rpartition(":")[2]))


def always(kind: FaultKind, **keys: Any) -> Fault:
    return Fault(kind, times=None, **keys)


BAD_DAYS = {
    "away": BadDay(None, r"could not be reached at 127\S+: Connection refused", State.PENDING),
    "slow": BadDay(
        always(FaultKind.STALL), r"the request was sent, .* lost \(timed out\)", State.UNSURE
    ),
    "reset": BadDay(always(FaultKind.RESET), r"lost \(Connection reset by peer\)", State.UNSURE),
    "reset once it acted": BadDay(
        always(FaultKind.RESET, acts=True), r"it may have acted on it or not", State.UNSURE
    ),
    "500": BadDay(
        always(FaultKind.STATUS, status=500),
        r'GitHub answered 500: "Internal Server Error"; it may have acted',
        State.UNSURE,
    ),
    "502 as a page": BadDay(
        always(FaultKind.STATUS, status=502),
        r'GitHub answered 502: "502 Bad Gateway 502 Bad Gateway nginx"',
        State.UNSURE,
    ),
    "503 once it acted": BadDay(
        always(FaultKind.STATUS, acts=True), r'answered 503: "Service Unav', State.UNSURE
    ),
    "a body without an end": BadDay(
        always(FaultKind.ENDLESS), r'GitHub answered 503: ".* Service Unavailable', State.UNSURE
    ),
    "a byte a second": BadDay(
        always(FaultKind.DRIP, status=500), r'GitHub answered 500: "{', State.UNSURE
    ),
    "redirects in a circle": BadDay(
        always(FaultKind.REDIRECT, location=PLACE),
        r"redirects in a circle, the last time to http://127\.0\.0\.1:\d+" + PLACE,
        State.PENDING,
    ),
    "a secondary limit with retry-after": BadDay(
        always(FaultKind.SECONDARY, retry_after=40),
        r'answered 403: "You have exceeded a secondary rate limit.*limit that ends in 40 s',
        State.PENDING,
        (38, 40),
    ),
    "a secondary limit without retry-after": BadDay(
        always(FaultKind.SECONDARY), r"limit that names no time to wait", State.PENDING, (60, 75)
    ),
    "429": BadDay(
        always(FaultKind.SECONDARY, status=429, retry_after=40),
        r"GitHub answered 429: .*limit that ends in 40 s",
        State.PENDING,
        (38, 40),
    ),
    "the hour's requests used up": BadDay(
        always(FaultKind.PRIMARY, seconds=90),
        r'answered 403: "API rate limit exceeded.*limit that ends in (89|90) s',
        State.PENDING,
        (88, 90),
    ),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits on one request, and the time after which a clock that was put forward is noticed,
    so short that they can be waited out."""
    monkeypatch.setattr(sessions, "GitHub", partial(GitHub, timeout=timedelta(seconds=1)))
    monkeypatch.setattr(session, "BODY_TIMEOUT", 0.2)
    monkeypatch.setattr("daemon.dispatcher.TICK", timedelta(seconds=0.02))
    monkeypatch.setattr("daemon.lost_answers.SETTLED", timedelta(seconds=5))


@pytest.mark.parametrize("day", BAD_DAYS.values(), ids=BAD_DAYS)
async def test_deliveries_and_crons_go_on_all_is_told_and_all_arrives_afterwards(
    tmp_path: Path, day: BadDay
) -> None:
    clock = Clock()
    github = Simulator(clock)
    async with (
        asyncio.timeout(DEADLINE),
        serving(
            tmp_path,
            triggers=[PUSH],
            crons=[NOON],
            simulator=github,
            clock=clock,
            elapsed=clock.elapsed,
        ) as daemon,
    ):
        await day.begin(github)
        id_ = await push(daemon, "first")
        first = await nth_attempt(daemon, 1, id_)
        clock.start()
        for name in ("second", "third"):
            await push(daemon, name)
        await daemon.until(lambda fact: isinstance(fact, FiringAccounted))
        (fired,) = (fact for fact in daemon.seen if isinstance(fact, FiringAccounted))
        assert fired.outcome is FiringOutcome.FIRED

        wait = first.dispatch.due_at - first.attempt.started_at  # the clock stood still
        assert day.wait[0] <= wait.total_seconds() <= day.wait[1]
        assert first.dispatch.state is day.state
        line = logged(first)
        assert re.search(day.says, line["message"])
        assert line["next_try"] == rfc3339(first.dispatch.due_at)
        _, record = await daemon.call("GET", f"/api/v1/dispatches/{id_}")
        assert re.search(day.says, record["reason"])
        assert record["reason"].isprintable()
        assert record["tries"][0]["message"] == first.attempt.message
        if day.limits:
            assert github.writes == 1

        await day.end(github)
        owed = owed_by(daemon)
        assert len(owed) == 4
        await accepted(daemon, clock, owed)
        received = Counter(map(dispatch_id_of, github.received))
        assert set(received) == owed
        for id_ in owed:
            _, record = await daemon.call("GET", f"/api/v1/dispatches/{id_}")
            # Where GitHub had acted, the run was found, and nothing was sent again.
            assert received[id_] == 1, record
            assert record["reason"] == ""


async def test_a_limit_without_a_time_is_waited_out_longer_each_time(tmp_path: Path) -> None:
    """A minute at least, then twice that, and so on; no request meanwhile, whatever comes in, and
    one afterwards."""
    clock = Clock()
    github = Simulator(clock)
    paced = {"GH_WRITES_PER_SECOND": "1"}
    async with (
        asyncio.timeout(DEADLINE),
        serving(
            tmp_path,
            triggers=[PUSH],
            environ=paced,
            simulator=github,
            clock=clock,
            elapsed=clock.elapsed,
        ) as daemon,
    ):
        github.inject(Fault(FaultKind.SECONDARY, times=4))
        clock.start()
        await push(daemon, "first")
        for number in range(1, 5):
            refused = (await nth_attempt(daemon, number)).dispatch
            wait = refused.due_at - clock()
            least = timedelta(minutes=2 ** (number - 1)) - timedelta(seconds=1)
            assert least <= wait <= 1.25 * least + timedelta(seconds=2)
            clock.advance(wait - timedelta(seconds=1))
            await push(daemon, f"meanwhile {number}")
            _, status = await daemon.call("GET", "/api/v1/status")
            assert status["limited_until"] == rfc3339(refused.due_at)
            assert github.writes == number
            clock.advance(timedelta(seconds=1))
        await accepted(daemon, clock, owed_by(daemon))
        assert github.writes == 4 + 5


@pytest.mark.parametrize("kind", [FaultKind.STALL, FaultKind.DRIP, FaultKind.ENDLESS])
async def test_one_that_takes_its_time_holds_up_no_other(
    tmp_path: Path, kind: FaultKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "BODY_TIMEOUT", DEADLINE)
    monkeypatch.setattr(sessions, "GitHub", GitHub)
    async with (
        asyncio.timeout(DEADLINE),
        serving(tmp_path, triggers=[PUSH]) as daemon,
    ):
        daemon.simulator.inject(Fault(kind))
        slow = await push(daemon, "slow")
        await daemon.simulator.until(lambda: daemon.simulator.writes == 1)
        quick = [await push(daemon, f"quick {number}") for number in range(5)]
        for id_ in quick:
            assert (await nth_attempt(daemon, 1, id_)).dispatch.state is State.ACCEPTED
        if kind is not FaultKind.ENDLESS:  # which is cut off rather than waited for
            assert attempts(daemon, slow) == []
        daemon.simulator.clear()
        await nth_attempt(daemon, 1, slow)


async def push(daemon: Serving, name: str) -> str:
    """Delivers a push and is answered 202 quickly; the id of its dispatch."""
    began = time.monotonic()
    status, answer = await daemon.deliver(
        "/hooks", {"name": name}, headers={"x-github-delivery": name}
    )
    assert status == 202
    assert time.monotonic() - began < 1
    (id_,) = answer["dispatches"]
    return str(id_)


def attempts(daemon: Serving, dispatch_id: str = "") -> list[AttemptMade]:
    """Those on this dispatch, or all."""
    made = [fact for fact in daemon.seen if isinstance(fact, AttemptMade)]
    return [fact for fact in made if fact.dispatch.id.startswith(dispatch_id)]


async def nth_attempt(daemon: Serving, number: int, dispatch_id: str = "") -> AttemptMade:
    """The attempt of this number on this dispatch, or of all attempts, once it was made."""
    await daemon.until(lambda _: len(attempts(daemon, dispatch_id)) >= number)
    return attempts(daemon, dispatch_id)[number - 1]


def owed_by(daemon: Serving) -> set[str]:
    """The ids of all dispatches that were recorded."""
    recorded = (fact for fact in daemon.seen if isinstance(fact, EventRecorded))
    return {each.id for fact in recorded for one in fact.verdicts for each in one.dispatches}


async def accepted(daemon: Serving, clock: Clock, owed: set[str]) -> None:
    """Puts the clock forward until GitHub has taken all of these."""

    def settled() -> dict[str, State]:
        facts = (fact for fact in daemon.seen if isinstance(fact, DispatchSettled))
        return {fact.dispatch.id: fact.dispatch.state for fact in facts}

    while not owed <= set(settled()):
        due = max(fact.dispatch.due_at for fact in attempts(daemon))
        clock.advance(max(due - clock(), timedelta(seconds=1)))
        daemon.heard.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await daemon.heard.wait()
    assert set(settled().values()) == {State.ACCEPTED}


def logged(fact: AttemptMade) -> dict[str, Any]:
    """The line of the log that tells of it."""
    stream = io.StringIO()
    Journal(open_log(stream)).hear(fact)
    line: dict[str, Any] = json.loads(stream.getvalue())
    return line
