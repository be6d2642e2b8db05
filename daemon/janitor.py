"""Removes what has been kept long enough, or takes up more room than it may, in small batches that
hold nobody up; gives the room back to the disk; and says in time when that gets full."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from daemon.errors import StoreError
from daemon.facts import Facts, Trouble
from daemon.ports import Horizons
from daemon.sizes import UNITS, shown
from daemon.space import Space

LOOK_EVERY = 60.0
"""Seconds between two looks at how much room there is."""

EVERY = 600.0
"""Seconds between two rounds through the history."""

FOUND = 500
"""Events that are looked for at a time. That holds nobody up."""

FEW = 4
"""Events that go first for the size, before it is known how large they are."""

BATCH = 10
BATCH_MAX = 500
"""Events, or pages, that one transaction begins with, and has at most."""

LONG = 0.02
"""Seconds that a transaction may take; the next ones are smaller where one took longer."""

BREATH = 0.05
SHARE = 4
"""Seconds between two batches at least, and how many times as long as a batch itself took: writers
that wait go first."""

KEPT_AT_LEAST = timedelta(hours=1)
"""What is younger never goes for its size: what comes of a dispatch refers to it, and so do the
people who look at it."""

SET_AHEAD = timedelta(hours=1)
CAREFUL = 86_400.0
"""By how much the clock has to be set ahead for it to be doubted, and for how many seconds then: by
a wrong clock all history is old, and what was deleted does not come back."""

KEYS_KEPT = timedelta(days=1)
"""How long a key is kept beyond its end: the clock may be set back."""

SLACK = 16 * UNITS["MiB"]
SLACK_SHARE = 8
"""Free bytes that the file keeps, or which part of it: they are needed again soon."""

VACUUM = "`dispatchd db vacuum`, while the daemon is stopped,"
EASE = 1.25
"""How many times the reserve has to be free before a disk counts as no longer low."""

Mark = tuple[datetime, str]


class Archive(Protocol):
    """What the janitor needs of the store."""

    async def finished(
        self, before: datetime, keys_since: datetime, after: Mark | None, limit: int
    ) -> list[Mark]:
        """Up to ``limit`` events that came before then and owe nothing, oldest first."""
        ...

    async def remove(self, ids: Collection[str], keys_since: datetime) -> int:
        """Removes those of these that still owe nothing; returns how many."""
        ...

    async def expire(self, horizons: Horizons, limit: int) -> int:
        """Removes up to ``limit`` of each other kind; returns how many."""
        ...

    async def space(self) -> Space: ...

    async def shrink(self, most: int) -> int:
        """Gives up to ``most`` free pages back to the disk; returns how many."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """For how long history is kept, and ``windows`` that are longer; and how many bytes the
    database may have, where that is limited."""

    retention: timedelta
    windows: timedelta = timedelta()
    size: int | None = None


class Janitor:
    """Keeps the history within ``limits``. What is unfinished stays however old or large it is."""

    def __init__(
        self,
        archive: Archive,
        limits: Callable[[], Limits],
        *,
        clock: Callable[[], datetime],
        elapsed: Callable[[], float],
        facts: Facts,
    ) -> None:
        self._archive = archive
        self._limits = limits
        self._clock = clock
        self._elapsed = elapsed
        self._ahead = clock() - timedelta(seconds=elapsed())  # of the clock that nobody sets
        self._careful_until = 0.0
        self._facts = facts
        self._events, self._rows, self._pages = _Pace(), _Pace(), _Pace()
        self._low = False
        self._too_large = False

    async def run(self) -> None:
        """Until cancelled."""
        cleaned = -EVERY
        while True:
            try:
                if time.monotonic() - cleaned >= EVERY:
                    await self.clean()
                    cleaned = time.monotonic()
                await self.make_room()
            except StoreError as error:
                self._facts.publish(Trouble("janitor", f"{error}; trying again later"))
            await asyncio.sleep(LOOK_EVERY)

    async def clean(self) -> int:
        """One round through all that may be too old; returns how many rows or events it removed."""
        if self._doubts_the_clock():
            return 0
        now = self._clock()
        limits = self._limits()
        before = now - limits.retention
        windows = now - max(limits.retention, limits.windows)
        horizons = Horizons(before, windows, max(before, now - KEYS_KEPT))
        removed, after = 0, None
        while found := await self._archive.finished(before, before, after, FOUND):
            after = found[-1]
            removed += await self._remove([id_ for _, id_ in found], before)
        count = 1
        while count:
            size = self._rows.batch
            count = await self._rows.of(size, partial(self._archive.expire, horizons, size))
            removed += count
        return removed

    def _doubts_the_clock(self) -> bool:
        """Whether it was set ahead by much within the last day."""
        ahead = self._clock() - timedelta(seconds=self._elapsed())
        step, self._ahead = ahead - self._ahead, ahead
        if step > SET_AHEAD:
            self._careful_until = self._elapsed() + CAREFUL
            text = (
                f"the clock was set ahead by {step // timedelta(hours=1)} h; in case it is wrong, "
                "nothing goes for its age within a day"
            )
            self._facts.publish(Trouble("janitor", text))
        elif step < -SET_AHEAD:  # it was wrong, and is put right
            self._careful_until = 0.0
        return self._elapsed() < self._careful_until

    async def make_room(self) -> None:
        """Gets the database below its size and gives back what it does not need; tells where the
        one cannot be, or the disk gets full."""
        space = await self._archive.space()
        limit = self._limits().size
        if limit is not None and space.used > limit:
            await self._get_below(limit)
            space = await self._archive.space()
        slack = 0 if space.low else max(SLACK, space.used // SLACK_SHARE)
        if space.shrinks and space.free > slack:
            await self._shrink((space.free - slack) // space.page)
            space = await self._archive.space()
        self._tell(space)

    async def _get_below(self, limit: int) -> None:
        """Removes the oldest events that are finished until the rest has room, and few more: bodies
        may be large, so that what some of them gave says how many to take next."""
        now = self._clock()
        before = now - min(KEPT_AT_LEAST, self._limits().retention)
        used, after, size = (await self._archive.space()).used, None, FEW
        while found := await self._archive.finished(before, now, after, FOUND):
            after = found[-1]
            ids = [id_ for _, id_ in found]
            while ids:
                some, ids = ids[:size], ids[size:]
                await self._remove(some, now)
                then, used = used, (await self._archive.space()).used
                if used <= limit:
                    return
                given = (then - used) // len(some)
                wanted = (used - limit) // given + 1 if given > 0 else FOUND
                size = min(wanted, 2 * size, FOUND)

    async def _shrink(self, pages: int) -> None:
        given = 1
        while pages > 0 and given:
            size = min(pages, self._pages.batch)
            given = await self._pages.of(size, partial(self._archive.shrink, size))
            pages -= given

    async def _remove(self, ids: Sequence[str], keys_since: datetime) -> int:
        removed = begun = 0
        while begun < len(ids):
            some = ids[begun : begun + self._events.batch]
            begun += len(some)
            remove = partial(self._archive.remove, some, keys_since)
            removed += await self._events.of(len(some), remove)
        return removed

    def _tell(self, space: Space) -> None:
        """Once when it begins, and of the disk also when it is over."""
        limit = self._limits().size
        too_large = limit is not None and space.used > limit
        if too_large and not self._too_large:
            text = (
                f"the database has {shown(space.used)} and not {shown(limit or 0)} "
                "(`max_database_size`): what is left is owed, or too young to go, or no event; "
                "`dispatchd status` shows what is owed"
            )
            self._facts.publish(Trouble("janitor", text))
        self._too_large = too_large
        if space.low and not self._low:
            back = f"; {VACUUM} gives {shown(space.free)} of it back" if self._stuck(space) else ""
            self._facts.publish(Trouble("disk", space.told() + back))
            self._low = True
        elif self._low and (space.disk_free or 0) > space.reserve * EASE:
            left = f"the database's disk has {shown(space.disk_free or 0)} left again"
            self._facts.publish(Trouble("disk", left))
            self._low = False

    def _stuck(self, space: Space) -> bool:
        return not space.shrinks and space.free > SLACK


class _Pace:
    """How much one transaction does: as much as takes no longer than `LONG`."""

    def __init__(self) -> None:
        self.batch = BATCH

    async def of(self, size: int, work: Callable[[], Awaitable[int]]) -> int:
        """Awaits ``work``, which does ``size``, and rests; returns what it gives."""
        began = time.monotonic()
        done = await work()
        took = time.monotonic() - began
        if took > LONG:
            self.batch = max(self.batch // 2, 1)
        elif size >= self.batch and took < LONG / 2:
            self.batch = min(self.batch * 2, BATCH_MAX)
        await asyncio.sleep(max(BREATH, SHARE * took))
        return done
