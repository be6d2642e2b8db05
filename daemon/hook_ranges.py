"""Keeps the networks that GitHub's webhooks come from, for triggers that allow ``github``: fetched
once a day, and known again after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from daemon.addresses import NetworkError, Networks
from daemon.errors import FetchError, StoreError
from daemon.expressions import rfc3339
from daemon.facts import Facts, Trouble
from daemon.github_meta import HookRanges

FRESH = timedelta(hours=24)
"""For how long they are not asked for again. GitHub announces a change weeks ahead."""

NAP = 3600.0
"""The longest sleep, in seconds: a suspend or a step of the clock delays a refresh by no more."""

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 1800.0
"""Seconds between two tries while it fails; they double. It begins with few: at boot the network
may not be up yet, and GitHub sends a delivery only once."""

Fetch = Callable[[HookRanges | None], Awaitable[HookRanges]]
"""Asks GitHub, which may answer that what is known still holds. Raises FetchError."""


class Shelf(Protocol):
    """Where they are kept over a restart."""

    async def hook_ranges(self, source: str) -> HookRanges | None:
        """Those that were kept last of this source."""
        ...

    async def keep_hook_ranges(self, ranges: HookRanges) -> None:
        """Keeps these, in place of any before of the same source."""
        ...


class RangeRefresher:
    """Keeps GitHub's networks as the API at ``source``, a URL, tells them: one at another URL is
    another GitHub.

    They hold until others are told, however old they are by then: while GitHub cannot be asked,
    its deliveries still come from where they came from before.
    """

    def __init__(
        self,
        fetch: Fetch,
        shelf: Shelf,
        source: str,
        *,
        clock: Callable[[], datetime],
        facts: Facts,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._fetch = fetch
        self._shelf = shelf
        self._source = source
        self._clock = clock
        self._facts = facts
        self._sleep = sleep
        self._ranges: HookRanges | None = None
        self._networks: Networks | None = None
        self._failures = 0
        self._needed = asyncio.Event()

    def need(self, *, needed: bool) -> None:
        """Says whether any trigger asks for them. While none does, GitHub is not asked."""
        if needed:
            self._needed.set()
        else:
            self._needed.clear()

    def known(self) -> Networks | None:
        """GitHub's networks; None where they were never told."""
        return self._networks

    async def recall(self) -> None:
        """Takes what was kept, so that it is known before the first delivery."""
        try:
            kept = await self._shelf.hook_ranges(self._source)
            if kept is not None:
                self._take(kept)
        except (StoreError, NetworkError) as error:
            self._tell(f"what was kept of them cannot be read ({error}); they are fetched again")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._needed.wait()
            if self._due():
                await self._refresh()
            await self._sleep(self._pause())

    async def _refresh(self) -> None:
        try:
            ranges = await self._fetch(self._ranges)
        except FetchError as error:
            self._failures += 1
            if self._failures == 1:
                self._tell(f"they could not be fetched: {error}. {self._meanwhile()}")
            return
        self._failures = 0
        self._take(ranges)
        try:
            await self._shelf.keep_hook_ranges(ranges)
        except StoreError as error:
            self._tell(f"they were fetched, but not stored for the next start ({error})")

    def _take(self, ranges: HookRanges) -> None:
        self._networks = Networks.parse(ranges.cidrs)
        self._ranges = ranges

    def _due(self) -> bool:
        if self._ranges is None:
            return True
        # One that is still to come was noted by a clock that was wrong.
        return not timedelta() <= self._clock() - self._ranges.told_at < FRESH

    def _pause(self) -> float:
        if not self._failures:
            return NAP
        return min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 16), LONGEST_PAUSE)

    def _meanwhile(self) -> str:
        if self._ranges is None:
            now = "Until they are, triggers that allow `github` refuse what GitHub sends"
        else:
            now = f"Those of {rfc3339(self._ranges.told_at)} hold until they are"
        return f"{now}; this is tried again, and told once"

    def _tell(self, what: str) -> None:
        self._facts.publish(Trouble("hook_ranges", f"the networks of GitHub's webhooks: {what}"))
