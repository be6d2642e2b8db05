"""Whether a request's sender is believed, trigger by trigger: the rules of the schemes, with what
they need of the world, a certificate or a secret that was learned."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from daemon.errors import FetchError
from daemon.learning import Learning
from daemon.ports import Fetch
from daemon.routes import Panel, Party
from daemon.secret import Secret
from daemon.signatures import Mismatch, Request

HASHED_ON_THE_LOOP = 512 * 1024
"""Bytes of a body whose signature is checked while everybody waits: it takes half a millisecond. A
larger one is checked on a thread, for who sends it may be anybody."""

KEPT = 32
"""Certificates that are kept: a sender has one or two at a time."""

FETCHED_AT_ONCE = 4
FAILED_FOR = timedelta(seconds=10)
"""Anybody may name one that is not there: so many are asked for at once, and not again for a
while."""

Doubts = dict[str, Mismatch | str]
"""Why the sender is not believed, by the name of the trigger that does not believe it."""


class Prover:
    """Asks each party of a panel for its word on a request."""

    def __init__(self, learning: Learning, fetch: Fetch) -> None:
        self._learning = learning
        self._fetch = fetch
        self._certificates: OrderedDict[str, bytes] = OrderedDict()
        self._fetching: dict[str, asyncio.Future[bytes]] = {}
        self._failed: dict[str, datetime] = {}

    async def doubts(self, request: Request, panel: Panel, now: datetime) -> Doubts:
        """Who does not believe the sender, and why."""
        for party in panel.fetching:
            if (url := party.auth.scheme.needs(request)) is not None:
                request = replace(request, fetched={**request.fetched, **await self._at(url, now)})
        if len(request.body) > HASHED_ON_THE_LOOP:
            secrets = [self.secrets(party) for party in panel.parties]
            return await asyncio.to_thread(_doubts, request, panel.parties, secrets, now)
        return _doubts(request, panel.parties, map(self.secrets, panel.parties), now)

    def secrets(self, party: Party) -> Sequence[Secret]:
        """Those that the config gives, else what was learned."""
        auth = party.auth
        if auth.secrets or not auth.scheme.learns_secret:
            return auth.secrets
        return self._learning.secrets(party.triggers[0].name)

    async def _at(self, url: str, now: datetime) -> Mapping[str, bytes]:
        """What is there, by its URL; nothing where it cannot be had, and then the scheme says that
        it lacks it."""
        if url in self._certificates:
            self._certificates.move_to_end(url)
            return {url: self._certificates[url]}
        failed = self._failed.get(url)
        if failed is not None and timedelta() <= now - failed < FAILED_FOR:
            return {}
        fetching = self._fetching.get(url)
        if fetching is None:
            if len(self._fetching) >= FETCHED_AT_ONCE:
                return {}
            fetching = self._fetching[url] = asyncio.ensure_future(self._fetch(url))
            fetching.add_done_callback(lambda done: self._keep(url, done, now))
        try:
            # Another sender may wait for the same.
            return {url: await asyncio.shield(fetching)}
        except FetchError:
            return {}

    def _keep(self, url: str, fetched: asyncio.Future[bytes], now: datetime) -> None:
        del self._fetching[url]
        if fetched.cancelled() or fetched.exception() is not None:
            self._failed = {each: at for each, at in self._failed.items() if now - at < FAILED_FOR}
            self._failed[url] = now
            return
        self._certificates[url] = fetched.result()
        if len(self._certificates) > KEPT:
            self._certificates.popitem(last=False)


def _doubts(
    request: Request,
    parties: Sequence[Party],
    secrets: Iterable[Sequence[Secret]],
    now: datetime,
) -> Doubts:
    """Nothing over a trigger's own limit is hashed for it."""
    size = len(request.body)
    doubts: Doubts = {}
    for party, usable in zip(parties, secrets, strict=True):
        mismatch: Mismatch | None = None
        if size <= party.max_body:
            mismatch = party.auth.scheme.verify(request, usable, now)
            if mismatch is None and size <= party.body_for_all:
                continue
        for trigger in party.triggers:
            if size > trigger.max_body:
                limit = f"{trigger.max_body:,}"
                doubts[trigger.name] = (
                    f"not looked at: {size:,} bytes are over its max_body, {limit}"
                )
            elif mismatch is not None:
                doubts[trigger.name] = mismatch
    return doubts
