"""How many lines of a kind may be written, so that a flood of bad requests cannot fill a disk.
Pure: the time is an argument."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many lines at once, and then so many a minute."""

    burst: int
    per_minute: float


ALLOWANCES: Mapping[str, Sequence[Allowance]] = {
    # All together; those with one status; those with one status of one client.
    "request refused": (Allowance(120, 60), Allowance(60, 30), Allowance(20, 10)),
    # All together; those of one trigger.
    "verdict limited": (Allowance(120, 60), Allowance(20, 10)),
    # All together; those of one part of the daemon.
    "trouble": (Allowance(120, 60), Allowance(30, 30)),
    # All together; those of one library.
    "library": (Allowance(60, 30), Allowance(20, 10)),
}
"""By event: one for all its lines, and one for each of their `kinds`, which narrow each other."""

KNOWN_MAX = 1024
"""Kinds that are known at a time. One that is forgotten has its whole burst again; the one above it
holds."""

NAMED_MAX = 3
"""Kinds that a summary names."""


@dataclass(slots=True)
class KeptBack:
    """Lines of one event that were not written, since ``since``, in seconds of the same clock; and
    how many of the narrowest kinds, as far as they are known."""

    since: float
    count: int = 0
    kinds: Counter[tuple[str, ...]] = field(default_factory=Counter)

    @property
    def most(self) -> list[str]:
        """The kinds that were kept back most, each with how often."""
        found = self.kinds.most_common(NAMED_MAX)
        return [f"{' '.join(filter(None, kind))}: {count}" for kind, count in found]


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Pace:
    """Decides which lines are written."""

    def __init__(self, allowances: Mapping[str, Sequence[Allowance]] = ALLOWANCES) -> None:
        self._allowances = allowances
        self._buckets: OrderedDict[tuple[str, ...], _Bucket] = OrderedDict()
        self._kept_back: dict[str, KeptBack] = {}

    def allows(self, event: str, kinds: tuple[str, ...], now: float) -> bool:
        """Whether a line of the event, which counts towards these kinds, is written at ``now``, in
        seconds of a clock that nobody sets."""
        path = (event, *kinds)
        buckets = []
        for depth, allowance in enumerate(self._allowances[event], 1):
            bucket = self._bucket(path[:depth], allowance, now)
            if bucket.left < 1:
                self._keep_back(event, kinds, now)
                return False
            buckets.append(bucket)
        for bucket in buckets:
            bucket.left -= 1
        return True

    def summaries(self) -> dict[str, KeptBack]:
        """What was kept back since this was asked last, by event."""
        found, self._kept_back = self._kept_back, {}
        return found

    def _bucket(self, key: tuple[str, ...], allowance: Allowance, now: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(allowance.burst, now)
            if len(self._buckets) > KNOWN_MAX:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(key)
        gained = max(0.0, now - bucket.at) * allowance.per_minute / 60
        bucket.left = min(allowance.burst, bucket.left + gained)
        bucket.at = now
        return bucket

    def _keep_back(self, event: str, kinds: tuple[str, ...], now: float) -> None:
        kept = self._kept_back.setdefault(event, KeptBack(now))
        kept.count += 1
        if kinds in kept.kinds or len(kept.kinds) < KNOWN_MAX:
            kept.kinds[kinds] += 1
