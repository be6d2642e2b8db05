"""Works the outbox off, a lane for each credential: claims what is due, sends it as the pacing
allows, and settles each with what GitHub said. It claims no more than may go at once, so that no
lease runs out in a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from daemon.binding import Absent, Finding, Found, Hidden, Unclear, Unknown
from daemon.clockwatch import ClockWatch
from daemon.dispatch import Attempt, Dispatch, OnAmbiguous, Settlement, State
from daemon.errors import StoreError, StoreUnavailable, kind_and_place
from daemon.facts import AttemptMade, DispatchLookedInto, DispatchSettled, Facts, Trouble
from daemon.github import Accepted, Ambiguous, Answer, Failed, Throttled, Unauthorized, Unreachable
from daemon.lane import Lane
from daemon.pacing import Limits
from daemon.ports import Outbox
from daemon.retry import GiveUp, RetryPolicy

Send = Callable[[Dispatch, Callable[[], None]], Awaitable[tuple[Answer, Attempt, Limits | None]]]
"""Sends a dispatch, and calls the second argument as soon as its request is on its way."""

Find = Callable[[Dispatch], Awaitable[Finding]]
"""Looks for what became of a dispatch whose answer was lost. Raises StoreUnavailable."""

IN_FLIGHT_MAX = 16
"""Requests of one lane that GitHub has not answered; it wants no more than 100 from anybody."""

CLAIMED_LEAST = 4
"""For fewer places that are free nothing is claimed, since each claim is a commit: an answer or two
later it is worth it."""

UNSETTLED_MAX = 2 * IN_FLIGHT_MAX
"""Those, and the ones whose answer is being written down."""

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
    """Sends what the outbox owes, several at once, each entry's first attempts in order.

    ``lanes`` are by name; none waits for another. ``clock`` gives the wall
    time; ``elapsed`` gives seconds that no step of it changes, and that go on while the machine is
    suspended.
    """

    def __init__(
        self,
        outbox: Outbox,
        send: Send,
        find: Find,
        lanes: Mapping[str, Lane],
        retry: RetryPolicy,
        *,
        clock: Callable[[], datetime],
        elapsed: Callable[[], float],
        random: Callable[[], float],
        facts: Facts,
    ) -> None:
        self._outbox = outbox
        self._send = send
        self._find = find
        self._lanes = lanes
        self._retry = retry
        self._clock = clock
        self._watch = ClockWatch(clock, elapsed)
        self._following = asyncio.Lock()
        self._random = random
        self._facts = facts
        self._in_flight: dict[str, asyncio.Task[None]] = {}
        self._turns: dict[tuple[str, str], Turn] = {}
        self._awake = asyncio.Event()
        self._turned = asyncio.Event()
        self._stopping = False

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def wake(self) -> None:
        """Something may be due sooner than was thought."""
        self._awake.set()

    async def turn(self) -> None:
        """Returns once it has begun to look anew for what is due: its word that it works."""
        turned = self._turned
        self.wake()
        await turned.wait()

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
            self._turned.set()
            self._turned = asyncio.Event()
            began, looks = False, list[datetime | None]()
            for lane in tuple(self._lanes.values()):  # a reload may come in between
                if self._stopping:
                    return None
                now = self._now()
                await self._follow_clock(now)
                began_here, look = await self._send_of(lane, now)
                began |= began_here
                looks.append(look)
            if not began:
                return min((look for look in looks if look is not None), default=None)
        return None

    async def _send_of(self, lane: Lane, now: datetime) -> tuple[bool, datetime | None]:
        """Starts what of the lane may go now. Returns whether anything did, and else when to look
        again; None: when woken."""
        room = min(IN_FLIGHT_MAX - len(lane.unanswered), UNSETTLED_MAX - len(lane.in_flight))
        if room < CLAIMED_LEAST:
            return False, None  # answers wake us
        allowed = lane.allowance(now)
        if allowed <= 0:
            return False, lane.held_up_until(now)
        # What is in our hands stays there, however late it is: its answer says what becomes of
        # it, and to send it again would build twice.
        claim = await self._outbox.claim(
            now,
            min(room, allowed),
            LEASE,
            frozenset(lane.in_flight),
            lane=lane.name,
            urgent_first=lane.urgent_first(),
        )
        for dispatch in claim.expired:
            self._facts.publish(DispatchSettled(dispatch))
        if self._stopping:
            # The stop came meanwhile and waits for what was in flight then: none of these.
            await self._outbox.give_back([each.id for each in claim.dispatches], self._clock())
            return False, None
        for dispatch in claim.dispatches:
            lane.budget.spend(now, 1)
            self._start(dispatch, lane, unsure=dispatch.id in claim.unsure)
        if claim.dispatches:
            return True, None
        return False, await self._outbox.next_due(now, lane.name)

    def _start(self, dispatch: Dispatch, lane: Lane, *, unsure: bool) -> None:
        if dispatch.attempts or unsure:
            turn = Turn.after(None)  # a retry waits for nobody, and nobody for it
        else:
            queue = (lane.name, dispatch.entry)
            turn = self._turns[queue] = Turn.after(self._turns.get(queue))
        attempt = self._attempt(dispatch, lane, turn, unsure=unsure)
        task = asyncio.create_task(attempt, name=dispatch.id)
        self._in_flight[dispatch.id] = task
        lane.in_flight.add(dispatch.id)
        lane.unanswered.add(dispatch.id)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task.get_name()]
        for lane in self._lanes.values():
            lane.in_flight.discard(task.get_name())
        self.wake()
        if not task.cancelled() and (error := task.exception()):
            # A fault of ours. The lease runs out and the dispatch is tried again.
            self._facts.publish(
                Trouble("dispatcher", f"{task.get_name()}: {kind_and_place(error)}")
            )

    async def _attempt(self, dispatch: Dispatch, lane: Lane, turn: Turn, *, unsure: bool) -> None:
        started_at: datetime | None = None
        set_by = self._watch.set_by
        try:
            await turn.before.wait()
            now = self._clock()
            if lane.closed(now):
                # While it waited for its turn, one before it learned that nothing may go.
                lane.budget.take_back(now)
                await self._outbox.give_back([dispatch.id], now)
                return
            if unsure and (settlement := await self._verified(dispatch)) is not None:
                lane.budget.take_back(self._clock())
                await self._settled(dispatch, lane, None, settlement, self._now())
                return
            started_at = self._clock()
            answer, attempt, limits = await self._send(dispatch, turn.gone.set)
        except asyncio.CancelledError:
            if started_at is None or not turn.gone.is_set():  # nothing went out
                await self._outbox.give_back([dispatch.id], self._clock())
            else:
                await self._broken_off(dispatch, started_at)
            raise
        finally:
            turn.gone.set()
            queue = (lane.name, dispatch.entry)
            if self._turns.get(queue) is turn:
                del self._turns[queue]
            # The next may be claimed while this is settled, in one commit.
            lane.unanswered.discard(dispatch.id)
            self.wake()
        now = self._now()
        if by := self._watch.set_by - set_by:
            dispatch, attempt = _moved(dispatch, by), _begun(attempt, by)
        self._note(lane, answer, attempt, now)
        settlement = self._settlement(dispatch, lane, answer, now)
        if limits is not None:
            lane.budget.observe(now, limits)
        await self._settled(dispatch, lane, attempt, settlement, now)

    async def _verified(self, dispatch: Dispatch) -> Settlement | None:
        """What becomes of a dispatch whose answer was lost, before it is sent once more; None where
        it is to be sent at once."""
        if dispatch.on_ambiguous is OnAmbiguous.RESEND:
            return None
        if dispatch.on_ambiguous is OnAmbiguous.HOLD:
            return Settlement(State.HELD, _held(dispatch.reason, "its entry wants it so"))
        try:
            finding = await self._find(dispatch)
        except StoreUnavailable as error:
            finding = Unknown(str(error), None)
        match finding:
            case Found():
                return Settlement(State.ACCEPTED)
            case Hidden():
                return None
            case Absent():
                # Claimed anew, so that it is on disk when it went out last.
                return Settlement(State.PENDING, "sent again: GitHub had started nothing for it")
            case Unclear(reason=reason):
                return Settlement(State.HELD, _held(dispatch.reason, reason))
        next_try = self._retry.after_failure(
            dispatch.attempts + 1,
            now=self._now(),
            retry_until=dispatch.retry_until,
            expires_at=dispatch.expires_at,
            random=self._random,
        )
        if isinstance(next_try, GiveUp):
            text = f"gave up: {next_try.reason}; {finding.reason}; GitHub may have got it"
            return Settlement(State.DEAD, text)
        due_at = max(next_try.when, finding.until or next_try.when)
        return Settlement(State.UNSURE, dispatch.reason, finding.reason, due_at)

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
        self,
        dispatch: Dispatch,
        lane: Lane,
        attempt: Attempt | None,
        settlement: Settlement,
        now: datetime,
    ) -> None:
        # GitHub has answered: forgetting that could build twice, so the store gets all the time
        # that it needs (until we are stopped).
        while True:
            try:
                await self._follow_clock(now)
                settled = await self._outbox.settle(
                    dispatch.id, attempt, settlement, now, lane=lane.name, spent=lane.budget.spent
                )
                break
            except StoreUnavailable as error:
                self._facts.publish(
                    Trouble("dispatcher", f"{dispatch.id} not settled: {error}; trying again")
                )
                await asyncio.sleep(STORE_PAUSE)
        if attempt is not None:
            self._facts.publish(AttemptMade(settled, attempt))
        if settled.state.final:
            self._facts.publish(DispatchSettled(settled))
        elif attempt is None:
            self._facts.publish(DispatchLookedInto(settled))

    def _note(self, lane: Lane, answer: Answer, attempt: Attempt, now: datetime) -> None:
        """What the answer says of the lane: whether GitHub is there, and takes the credential."""
        if isinstance(answer, Unreachable) and attempt.status is None:
            lane.budget.take_back(now)
            lane.outage.unreachable(now)
            return
        lane.outage.reached()
        name = lane.name or "the credential"
        if isinstance(answer, Unauthorized):
            if lane.refuse(now, answer.reason):
                text = f"{name}: {answer.reason}; what it is for waits, and is tried now and then"
                self._facts.publish(Trouble("dispatcher", text))
        elif attempt.status is not None and lane.taken():
            self._facts.publish(Trouble("dispatcher", f"{name}: GitHub takes it again"))

    def _settlement(
        self, dispatch: Dispatch, lane: Lane, answer: Answer, now: datetime
    ) -> Settlement:
        match answer:
            case Accepted(run=run, at=at):
                lane.budget.accepted()
                return Settlement(State.ACCEPTED, run=run, sent_at=at)
            case Failed(reason=reason):
                return Settlement(State.DEAD, reason)
            case Throttled(reason=reason, until=until):
                state = State.PENDING
                if until is None:
                    until = self._retry.throttled_until(
                        lane.budget.throttles, now=now, random=self._random
                    )
                lane.budget.throttle(now, until)
                next_try = self._retry.after_throttle(
                    until, now=now, retry_until=dispatch.retry_until, expires_at=dispatch.expires_at
                )
            case Unauthorized(reason=reason):
                state = State.PENDING
                next_try = self._retry.after_throttle(
                    lane.refusal.paused_until(now) or now,
                    now=now,
                    retry_until=dispatch.retry_until,
                    expires_at=dispatch.expires_at,
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

    def _now(self) -> datetime:
        """The wall time. GitHub's waits move with it at once, so that none ends early."""
        before = self._watch.set_by
        now = self._watch.now()
        if self._watch.set_by > before:
            for lane in self._lanes.values():
                lane.budget.clock_set_on(self._watch.set_by - before)
        return now

    async def _follow_clock(self, now: datetime) -> None:
        """Moves what waits in the outbox with the wall clock, before anything by its new time is
        written there. Raises StoreUnavailable; the step is followed the next time then."""
        async with self._following:
            while step := self._watch.step:
                await self._outbox.follow_clock(now, step)
                self._watch.followed(step)
                way = "on" if step.by > timedelta() else "back"
                text = f"the clock was set {way} by {abs(step.by).total_seconds():.0f} s; what "
                text += "waits to be sent goes by the time that really passed"
                self._facts.publish(Trouble("dispatcher", text))

    async def _sleep(self, until: datetime | None) -> None:
        seconds = TICK.total_seconds()
        if until is not None:
            seconds = min(seconds, max(0.0, (until - self._clock()).total_seconds()))
        try:
            async with asyncio.timeout(seconds):
                await self._awake.wait()
        except TimeoutError:
            pass


def _held(lost: str, why: str) -> str:
    return f"{lost}; held, since GitHub may have started it: {why}"


def _moved(dispatch: Dispatch, by: timedelta) -> Dispatch:
    """The dispatch as the outbox has it once a step of the clock is followed."""
    return replace(
        dispatch,
        created_at=dispatch.created_at + by,
        due_at=dispatch.due_at + by,
        expires_at=dispatch.expires_at + by,
        retry_until=dispatch.retry_until and dispatch.retry_until + by,
        sent_at=dispatch.sent_at and dispatch.sent_at + by,
    )


def _begun(attempt: Attempt, by: timedelta) -> Attempt:
    """The attempt as begun by the new clock."""
    return replace(attempt, started_at=attempt.started_at + by)
