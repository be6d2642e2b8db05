"""Works follow-ups off: records the dispatch that one comes to, or tells somebody. Each URL has a
task of its own while it is told something, so that none waits for another, and no dispatch for any.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from daemon.aftermath import further_dispatch, notice_of
from daemon.errors import StoreError
from daemon.facts import (
    DispatchAdded,
    DispatchSettled,
    Facts,
    FollowUpSettled,
    IncidentNoticed,
    Trouble,
)
from daemon.follow_up import Cause, FollowUp, Standing
from daemon.ids import IdSource
from daemon.notice import Notice, NotTold, joined
from daemon.ports import FollowUpBook, OwedFollowUp
from daemon.secret import Secret
from daemon.spec import Config, CronSpec, DispatchSpec, NoticeSpec, TriggerSpec, follow_up_of
from daemon.telling_pace import Limit, TellingPace

EVERY = 5.0
"""Seconds between two looks, where nothing wakes it before."""

REST = 0.1
"""Seconds between two looks at least, however often it is woken."""

BATCH = 500
"""Follow-ups that are read at a time."""

GIVE_UP_AFTER = timedelta(hours=24)
"""How long after something went wrong somebody is still tried to be told of it."""

LEASE = timedelta(minutes=1)
"""Before what is being told is told once more, where nobody wrote down what came of it."""

SIMULATED = "SIMULATION: "

Tell = Callable[[Secret, Notice], Awaitable[None]]
"""Tells whoever is at a URL. Raises NotTold."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A follow-up that tells somebody."""

    spec: NoticeSpec
    owed: OwedFollowUp

    def notice(self) -> Notice:
        return notice_of(self.spec, self.owed.follow_up, self.owed.dispatch, self.owed.event)


class FollowingUp:
    """The loop. With ``simulated`` every notice says that it is of a simulation."""

    def __init__(
        self,
        config: Config,
        book: FollowUpBook,
        tell: Tell,
        *,
        ids: IdSource,
        clock: Callable[[], datetime],
        random: Callable[[], float],
        facts: Facts,
        simulated: bool = False,
    ) -> None:
        self._book = book
        self._tell = tell
        self._ids = ids
        self._clock = clock
        self._random = random
        self._facts = facts
        self._prefix = SIMULATED if simulated else ""
        self._paces: dict[Secret, TellingPace] = {}
        self._telling: dict[Secret, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._broken: BaseException | None = None
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """From now on what is owed is done as this config wants it."""
        entries: list[CronSpec | TriggerSpec] = [*config.crons, *config.triggers]
        limits: dict[Secret, set[Limit]] = defaultdict(set)
        self._wanted = False
        for spec in (follow_up_of(entry, cause) for entry in entries for cause in Cause):
            self._wanted = self._wanted or spec is not None
            if isinstance(spec, NoticeSpec) and spec.url is not None:
                limits[spec.url].add((spec.max, spec.per))
        self._entries, self._limits = {entry.name: entry for entry in entries}, limits
        # A URL that nobody is asked to tell any more is forgotten; the book knows what went there.
        self._paces = {
            url: pace
            for url, pace in self._paces.items()
            if pace.limits == frozenset(limits.get(url, ()))
        }
        self.wake()

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled. Where no entry wants follow-ups nothing is asked of the book, once there
        is nothing left of before."""
        while self._broken is None:
            self._woken.clear()
            try:
                owed = await self.look()
                if not self._wanted:
                    if not owed:
                        await self._woken.wait()
                    continue
            except StoreError as error:
                self._tell_of(error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), EVERY)
                await asyncio.sleep(REST)
        raise self._broken

    async def stop(self, within: timedelta) -> None:
        """Lets what is being told arrive, for so long. The rest is told after the next start."""
        if self._telling:
            await asyncio.wait(self._telling.values(), timeout=within.total_seconds())
        for task in self._telling.values():
            task.cancel()

    async def look(self) -> int:
        """One look: does what needs no URL, and begins to tell what does. Returns how many it saw.
        Raises StoreError."""
        owed = await self._book.owed_follow_ups(self._clock(), BATCH)
        to_tell: dict[Secret, list[Asked]] = defaultdict(list)
        for each in owed:
            entry = self._entries.get(each.follow_up.entry)
            match follow_up_of(entry, each.follow_up.cause):
                case DispatchSpec() as spec:
                    await self._dispatch(spec, each)
                case NoticeSpec(url=Secret() as url) as spec:
                    to_tell[url].append(Asked(spec, each))
                case _:
                    why = "is disabled, or asks for nothing any more" if entry else "is gone"
                    await self._settle(each, Standing.NOTHING, f"its entry {why}")
        for url, asked in to_tell.items():
            if url not in self._telling:
                self._telling[url] = task = asyncio.create_task(self._tell_all(url, asked))
                task.add_done_callback(partial(self._ended, url))
        return len(owed)

    def _ended(self, url: Secret, task: asyncio.Task[None]) -> None:
        del self._telling[url]
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, StoreError):
            self._tell_of(error)
        else:
            self._broken = error  # nothing that is known of: it must not pass unseen
            self.wake()

    async def _dispatch(self, spec: DispatchSpec, owed: OwedFollowUp) -> None:
        now = self._clock()
        made = further_dispatch(
            spec,
            owed.follow_up,
            owed.dispatch,
            owed.event,
            dispatch_id=self._ids.dispatch(now),
            now=now,
        )
        settled = _settled(owed.follow_up, Standing.DISPATCHED, now, made=made.id)
        verdict = await self._book.dispatch_follow_up(settled, made)
        if verdict is None:
            return
        self._facts.publish(FollowUpSettled(settled, owed.event.id))
        for incident in verdict.incidents:
            self._facts.publish(IncidentNoticed(incident))
        for dispatch in verdict.dispatches:
            self._facts.publish(DispatchAdded(dispatch))
            if dispatch.state.final:
                self._facts.publish(DispatchSettled(dispatch))

    async def _settle(self, owed: OwedFollowUp, state: Standing, reason: str) -> None:
        settled = _settled(owed.follow_up, state, self._clock(), reason=reason)
        await self._book.change_follow_ups([settled])
        self._facts.publish(FollowUpSettled(settled, owed.event.id))

    async def _tell_all(self, url: Secret, asked: Sequence[Asked]) -> None:
        """Tells what is asked for, as far as the pace of the URL allows: one by one while there is
        room, and all that is left in the last message."""
        # First: where nothing can be written nothing is told, which nobody would know of later. And
        # while it is being told nobody reads it again.
        leased = self._clock() + LEASE
        await self._book.change_follow_ups(
            [replace(each.owed.follow_up, wake_at=leased) for each in asked]
        )
        pace = await self._pace(url, asked)
        room = pace.room(self._clock())
        alone = len(asked) if len(asked) <= room else max(0, room - 1)
        messages = [[each] for each in asked[:alone]]
        if room and asked[alone:]:
            messages.append(list(asked[alone:]))
        tried = 0
        for message in messages:
            tried += len(message)
            if not await self._told(url, pace, message):
                break
        if left := [each.owed.follow_up for each in asked[tried:]]:
            until = pace.free_at(self._clock())
            await self._book.change_follow_ups([replace(each, wake_at=until) for each in left])

    async def _told(self, url: Secret, pace: TellingPace, message: Sequence[Asked]) -> bool:
        """Sends one message, and keeps what came of it."""
        notice = joined([each.notice() for each in message])
        follow_ups = [
            replace(
                each.owed.follow_up,
                attempts=each.owed.follow_up.attempts + 1,
                target=url.reference,
            )
            for each in message
        ]
        failed: NotTold | None = None
        try:
            await self._tell(url, replace(notice, title=f"{self._prefix}{notice.title}"))
        except NotTold as error:
            failed = error
        now = self._clock()
        pace.count(now)
        if failed is None:
            pace.went_well()
            settled = [_settled(each, Standing.NOTIFIED, now) for each in follow_ups]
        else:
            again = pace.failed(now, failed.retry_after, self._random)
            settled = [_tried(each, now, again, failed) for each in follow_ups]
            text = (
                f"{url.reference} could not be told of {len(follow_ups)}: {failed}; "
                f"trying again at {again:%FT%TZ}"
            )
            self._facts.publish(Trouble("follow-ups", text))
        await self._book.change_follow_ups(settled)
        for each, asked in zip(settled, message, strict=True):
            if each.settled_at is not None:
                self._facts.publish(FollowUpSettled(each, asked.owed.event.id))
        return failed is None

    async def _pace(self, url: Secret, asked: Sequence[Asked]) -> TellingPace:
        """The URL's own; what went there before a restart counts."""
        if url not in self._paces:
            # Where a reload took the URL away meanwhile, those who asked still say how often.
            limits = self._limits[url] or {(each.spec.max, each.spec.per) for each in asked}
            pace = TellingPace(limits)
            for at in await self._book.told(url.reference, self._clock() - pace.remembered):
                pace.count(at)
            self._paces[url] = pace
        return self._paces[url]

    def _tell_of(self, error: StoreError) -> None:
        text = f"what is owed cannot be settled: {error}; trying again"
        self._facts.publish(Trouble("follow-ups", text))


def _settled(
    follow_up: FollowUp,
    state: Standing,
    now: datetime,
    *,
    reason: str = "",
    made: str | None = None,
) -> FollowUp:
    return replace(follow_up, state=state, wake_at=None, settled_at=now, reason=reason, made=made)


def _tried(follow_up: FollowUp, now: datetime, again: datetime, failed: NotTold) -> FollowUp:
    """The follow-up after a try that failed: to be tried again, or given up."""
    if again <= follow_up.at + GIVE_UP_AFTER:
        return replace(follow_up, wake_at=again, reason=str(failed))
    hours = GIVE_UP_AFTER // timedelta(hours=1)
    reason = f"nobody could be told within {hours} hours; last: {failed}"
    return _settled(follow_up, Standing.GAVE_UP, now, reason=reason)
