"""Remembers the requests that were turned away last, and why: they are no events, and who looks for
a webhook that does not arrive needs them. Never what a request held."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from daemon.facts import RequestRefused

KEPT = 500
"""Different ones; the oldest goes first. What comes again and again is one of them."""

PATH_MAX = 200
REASON_MAX = 500
"""Characters that are kept of what a stranger can make long."""


@dataclass(slots=True)
class Refusal:
    """A request that was refused ``count`` times in the same way, from ``first`` to ``last``."""

    request: RequestRefused
    first: datetime
    last: datetime
    count: int = 1


class Refusals:
    """Subscribes to the requests that are refused."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._kept: OrderedDict[RequestRefused, Refusal] = OrderedDict()

    def hear(self, fact: RequestRefused) -> None:
        request = replace(
            fact,
            method=fact.method[:20],
            path=fact.path[:PATH_MAX],
            reason=fact.reason[:REASON_MAX],
        )
        now = self._clock()
        if (known := self._kept.get(request)) is not None:
            known.count += 1
            known.last = now
            self._kept.move_to_end(request)
            return
        self._kept[request] = Refusal(request, now, now)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def newest(self, limit: int) -> Sequence[Refusal]:
        """Up to ``limit``, the last one first."""
        return [each for each, _ in zip(reversed(self._kept.values()), range(limit), strict=False)]
