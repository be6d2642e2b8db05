"""Tells the default `notify` of news, gathered and paced; and looks whether the daemon itself is
well, which is news as well."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

from msgspec.structs import replace

from daemon.digest import FRESH, digest, due_at
from daemon.errors import StoreError
from daemon.facts import Facts, NewsTold, Trouble, WellnessChanged
from daemon.follow_up import Standing
from daemon.incident import News
from daemon.notice import Notice, NotTold
from daemon.ports import Condition, NewsBook
from daemon.secret import Secret

EVERY = 5.0
"""Seconds between two looks at what is owed, where nothing wakes it before."""

LOOKED_AT_EVERY = timedelta(seconds=15)
"""Between two looks at the daemon's own condition."""

AGREEING = 2
"""Looks in a row that find something otherwise than it was told: what comes and goes is no news."""

REST = 0.1
"""Seconds between two looks at least."""

BATCH = 2000
"""How much is told in one message at most."""

GIVE_UP_AFTER = timedelta(hours=24)
"""How long after something happened somebody is still tried to be told of it."""

AGAIN_FIRST = timedelta(seconds=10)
AGAIN_LAST = timedelta(minutes=10)
"""The wait after a first try that failed, doubled with each further one."""

SIMULATED = "SIMULATION: "

STORE = "store"
"""By this name the database is not well: that cannot be written down, and is told at once."""


class Notifying:
    """The loop. ``target`` is the URL that today's config names, or None; ``condition`` how the
    daemon stands."""

    def __init__(
        self,
        book: NewsBook,
        target: Callable[[], Secret | None],
        tell: Callable[[Secret, Notice], Awaitable[None]],
        condition: Callable[[], Awaitable[Condition]],
        *,
        clock: Callable[[], datetime],
        facts: Facts,
        simulated: bool = False,
    ) -> None:
        self._book = book
        self._target = target
        self._tell = tell
        self._condition = condition
        self._clock = clock
        self._facts = facts
        self._prefix = SIMULATED if simulated else ""
        self._told: list[tuple[datetime, str]] | None = None
        self._standing: dict[str, str] | None = None
        self._looks: dict[str, int] = {}
        self._looked_at: datetime | None = None
        self._failures = 0
        self._not_before: datetime | None = None
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be something to tell."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._woken.clear()
            try:
                await self.look()
            except StoreError as error:
                self._trouble(f"what is owed cannot be read or settled: {error}; trying again")
                await asyncio.sleep(EVERY)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), EVERY)
                await asyncio.sleep(REST)

    async def look(self) -> None:
        """One look: at the daemon, where it is time, and at what is owed. Raises StoreError."""
        target, now = self._target(), self._clock()
        at = self._looked_at
        if target is not None and (at is None or abs(now - at) >= LOOKED_AT_EVERY):
            self._looked_at = now
            await self._examine(target)
        count, owed = await self._book.owed_news(BATCH)
        if not owed:
            return
        if target is None:
            await self._book.settle_news(owed, Standing.NOTHING, "", now)
            return
        if self._told is None:
            self._told = list(await self._book.told_news(now - FRESH))
        waits = self._not_before is not None and now < self._not_before <= now + 2 * AGAIN_LAST
        if waits or now < due_at(owed, self._told, now):
            return
        await self._deliver(target, owed, count - len(owed))

    async def _deliver(self, target: Secret, owed: Collection[News], more: int) -> None:
        failed = await self._send(target, digest([*owed], more))
        now = self._clock()
        if failed is None:
            await self._book.settle_news([*owed], Standing.NOTIFIED, target.reference, now)
            kinds = sorted({each.kind for each in owed})
            told = [each for each in self._told or () if now - FRESH < each[0] <= now]
            self._told = [*told, *((now, kind) for kind in kinds)]
            self._facts.publish(NewsTold(len(owed), target.reference, tuple(kinds)))
            return
        if late := [each for each in owed if now - each.at > GIVE_UP_AFTER]:
            await self._book.settle_news(late, Standing.GAVE_UP, target.reference, now)
            hours = GIVE_UP_AFTER // timedelta(hours=1)
            self._trouble(f"nobody could be told of {len(late)} within {hours} hours: {failed}")

    async def _send(self, target: Secret, notice: Notice) -> NotTold | None:
        """Sends it; what kept it from arriving, after which nothing is sent for a while."""
        try:
            await self._tell(target, replace(notice, title=f"{self._prefix}{notice.title}"))
        except NotTold as error:
            self._failures += 1
            wait = min(AGAIN_LAST, AGAIN_FIRST * 2 ** min(self._failures - 1, 10))
            self._not_before = self._clock() + min(
                AGAIN_LAST * 2, max(wait, error.retry_after or wait)
            )
            self._trouble(
                f"{target.reference} could not be told: {error}; "
                f"trying again at {self._not_before:%FT%TZ}"
            )
            return error
        self._failures, self._not_before = 0, None
        return None

    async def _examine(self, target: Secret) -> None:
        """Writes down what is not well, and what is again, once looks agree. Raises StoreError."""
        unwell = (await self._condition()).about
        standing = self._standing
        if standing is None:
            standing = self._standing = dict(await self._book.standing_ailments())
        differs = unwell.keys() ^ standing.keys()
        self._looks = {name: self._looks.get(name, 0) + 1 for name in differs}
        for name in sorted(differs, key=lambda name: (name != STORE, name)):
            if self._looks[name] >= AGREEING:
                await self._change(target, standing, name, unwell.get(name))

    async def _change(
        self, target: Secret, standing: dict[str, str], name: str, text: str | None
    ) -> None:
        """Something is not well, as ``text`` says, or is well again."""
        now, over = self._clock(), text is None
        told = standing[name] if text is None else text
        news = News(name, f"{now.isoformat()} {over}", "", now, 1, told, over=over)
        if name == STORE:
            if await self._send(target, digest([news])) is not None:
                return  # at the next look once more
        elif over:
            await self._book.end_ailment(news)
        else:
            await self._book.begin_ailment(news)
        if over:
            del standing[name]
        else:
            standing[name] = told
        self._facts.publish(WellnessChanged(name, told, over))

    def _trouble(self, text: str) -> None:
        self._facts.publish(Trouble("notify", text))
