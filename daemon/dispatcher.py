"""Works the outbox off: claims what is due, sends it as the pacing allows, and settles each with
what GitHub said. It claims no more than may go at once, so that no lease runs out in a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.dispatch import Attempt, Dispatch, Settlement, State
from daemon.errors import StoreError, StoreUnavailable
from daemon.facts import AttemptMade, DispatchSettled, Facts, Trouble
from daemon.github import Accepted, Ambiguous, Answer, Failed, Throttled, Unreachable
from daemon.pacing import Budget, Limits
from daemon.ports import Outbox
from daemon.retry import GiveUp, RetryPolicy

Send = Callable[[Dispatch, Callable[[], None]], Awaitable[tuple[Answer, Attempt, Limits | None]]]
"""Sends a dispatch, and calls the second argument as soon as its request is on its way."""

IN_FLIGHT_MAX = 16
LEASE = timedelta(minutes=2)
"""Longer than a request can take with its redirects: only a dead process outlives its lease."""

TICK = timedelta(seconds=5)
"""The longest sleep: a step of the wall clock is noticed after this."""

STORE_PAUSE = 1.0
"""Seconds between two tries to reach a store that does not answer."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A first attempt's place in the order of its entry: ``before`` is set when the one before it
    is on its way, ``gone`` when it is itself."""

    before: asyncio.Event
    gone: asyncio.Event

    @classmethod
    def after(cls, last: Turn | None) -> Turn:
        before = last.gone if last else asyncio.Event()
        if last is None:
            before.set()
        return cls(before, asyncio.Event())


class Dispatcher:
    """Sends what the outbox owes, several at once, each entry's first attempts in order."""

    def __init__(
        self,
        outbox: Outbox,
        send: Send,
        budget: Budget,
        retry: RetryPolicy,
        *,
        clock: Callable[[], datetime],
        random: Callable[[], float],
        facts: Facts,
    ) -> None:
        self._outbox = outbox
        self._send = send
        self._budget = budget
        self._retry = retry
        self._clock = clock
        self._random = random
        self._facts = facts
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._turns: dict[str, Turn] = {}
        self._awake = asyncio.Event()
        self._stopping = False

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def wake(self) -> None:
        """Something may be due sooner than was thought."""
        self._awake.set()

    async def run(self) -> None:
        """Until ``stop``. Trouble with the store is told and waited out, never fatal."""
        while not self._stopping:
            try:
                self._awake.clear()
                until = await self._send_due()
            except StoreError as error:
                self._facts.publish(Trouble("dispatcher", f"{error}; trying again"))
                until = self._clock() + timedelta(seconds=STORE_PAUSE)
            await self._sleep(until)

    async def stop(self, grace: timedelta) -> None:
        """Claims nothing more and lets what is in flight finish. What has not after ``grace`` is
        broken off: GitHub may have acted on it, so it is left unsure, for the next start."""
        self._stopping = True
        self.wake()
        if self._in_flight:
            _, late = await asyncio.wait(self._in_flight.values(), timeout=grace.total_seconds())
            for task in late:
                task.cancel()
            if late:
                # They note that they were broken off. A store that does not take that in time
                # finds them still claimed at the next start, and takes them for unsure as well.
                await asyncio.wait(late, timeout=STORE_PAUSE)

    async def _send_due(self) -> datetime | None:
        """Starts all that may go now. Returns when to look again; None: when woken."""
        while not self._stopping:
            now = self._clock()
            room = IN_FLIGHT_MAX - len(self._in_flight)
            if room <= 0:
                return None  # a task that ends wakes us
            allowed = self._budget.allowance(now)
            if allowed <= 0:
                return self._budget.next_at(now)
            claim = await self._outbox.claim(now, min(room, allowed), LEASE)
            for dispatch in claim.expired:
                self._facts.publish(DispatchSettled(dispatch))
            # One whose answer could not be stored for so long that its lease ran out is still in
            # our hands: to send it again would build twice.
            claimed = [each for each in claim.dispatches if each.id not in self._in_flight]
            if self._stopping:
                # The stop came meanwhile and waits for what was in flight then: none of these.
                await self._outbox.give_back([each.id for each in claimed], self._clock())
                return None
            for dispatch in claimed:
                self._budget.spend(now, 1)
                self._start(dispatch)
            if not claim.dispatches:
                return await self._outbox.next_due(now)
        return None

    def _start(self, dispatch: Dispatch) -> None:
        if dispatch.attempts:
            turn = Turn.after(None)  # a retry waits for nobody, and nobody for it
        else:
            turn = self._turns[dispatch.entry] = Turn.after(self._turns.get(dispatch.entry))
        task = asyncio.create_task(self._attempt(dispatch, turn), name=dispatch.id)
        self._in_flight[dispatch.id] = task
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task.get_name()]
        self.wake()
        if not task.cancelled() and (error := task.exception()):
            # A fault of ours. The lease runs out and the dispatch is tried again.
            self._facts.publish(Trouble("dispatcher", f"{task.get_name()}: {error!r}"))

    async def _attempt(self, dispatch: Dispatch, turn: Turn) -> None:
        started_at: datetime | None = None
        try:
            await turn.before.wait()
            started_at = self._clock()
            answer, attempt, limits = await self._send(dispatch, turn.gone.set)
        except asyncio.CancelledError:
            if started_at is None:
                await self._outbox.give_back([dispatch.id], self._clock())
            else:
                await self._broken_off(dispatch, started_at)
            raise
        finally:
            turn.gone.set()
            if self._turns.get(dispatch.entry) is turn:
                del self._turns[dispatch.entry]
        now = self._clock()
        settlement = self._settlement(dispatch, answer, now)
        if limits is not None:
            self._budget.observe(now, limits)
        settled = await self._settled(dispatch, attempt, settlement, now)
        self._facts.publish(AttemptMade(settled, attempt))
        if settled.state.final:
            self._facts.publish(DispatchSettled(settled))

    async def _broken_off(self, dispatch: Dispatch, started_at: datetime) -> None:
        reason = "the daemon stopped before GitHub answered"
        now = self._clock()
        attempt = Attempt(
            dispatch_id=dispatch.id,
            number=dispatch.attempts + 1,
            started_at=started_at,
            duration=max(now - started_at, timedelta()),
            outcome=Ambiguous.outcome,
            message=reason,
        )
        settlement = Settlement(State.UNSURE, reason, due_at=now)
        settled = await self._outbox.settle(dispatch.id, attempt, settlement, now)
        self._facts.publish(AttemptMade(settled, attempt))

    async def _settled(
        self, dispatch: Dispatch, attempt: Attempt, settlement: Settlement, now: datetime
    ) -> Dispatch:
        # GitHub has answered: forgetting that could build twice, so the store gets all the time
        # that it needs (until we are stopped).
        while True:
            try:
                return await self._outbox.settle(dispatch.id, attempt, settlement, now)
            except StoreUnavailable as error:
                self._facts.publish(
                    Trouble("dispatcher", f"{dispatch.id} not settled: {error}; trying again")
                )
                await asyncio.sleep(STORE_PAUSE)

    def _settlement(self, dispatch: Dispatch, answer: Answer, now: datetime) -> Settlement:
        match answer:
            case Accepted():
                self._budget.accepted()
                return Settlement(State.ACCEPTED)
            case Failed(reason=reason):
                return Settlement(State.DEAD, reason)
            case Throttled(reason=reason, until=until):
                state = State.PENDING
                if until is None:
                    until = self._retry.throttled_until(
                        self._budget.throttles, now=now, random=self._random
                    )
                self._budget.throttle(now, until)
                next_try = self._retry.after_throttle(
                    until, now=now, retry_until=dispatch.retry_until, expires_at=dispatch.expires_at
                )
            case Unreachable(reason=reason) | Ambiguous(reason=reason):
                state = State.UNSURE if isinstance(answer, Ambiguous) else State.PENDING
                next_try = self._retry.after_failure(
                    dispatch.attempts + 1,
                    now=now,
                    retry_until=dispatch.retry_until,
                    expires_at=dispatch.expires_at,
                    random=self._random,
                )
        if isinstance(next_try, GiveUp):
            return Settlement(State.DEAD, f"gave up: {next_try.reason}; the last answer: {reason}")
        return Settlement(state, reason, due_at=next_try.when, retry_until=next_try.retry_until)

    async def _sleep(self, until: datetime | None) -> None:
        seconds = TICK.total_seconds()
        if until is not None:
            seconds = min(seconds, max(0.0, (until - self._clock()).total_seconds()))
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            pass
