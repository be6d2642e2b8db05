"""Which deliveries GitHub is to make once more: what failed while we were down, and has not arrived
since. Pure: what was delivered, and what we have, are arguments."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.github_hooks import KEPT, PING, HookDelivery

ASKED_MAX = 2000
"""Deliveries of one hook that are asked for in one go, the newest; the next go takes the others."""

OVERLAP = timedelta(minutes=5)
"""By how much a look goes back behind the last one: a delivery may have been under way then."""

AROUND = timedelta(minutes=10)
"""By how much GitHub's clock and ours may differ on when a delivery was made."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What did not arrive. ``again`` is to be asked for, oldest first. ``refused`` was answered
    with a status that would come again, which is counted by that status. ``left`` is how many more
    than are asked for in one go there are."""

    again: tuple[HookDelivery, ...]
    refused: Mapping[int, int]
    left: int = 0


def missed(
    deliveries: Collection[HookDelivery],
    since: datetime,
    *,
    with_refused: bool = False,
    most: int = ASKED_MAX,
) -> Missed:
    """What of one hook's ``deliveries`` has not arrived, and failed last at ``since`` or later. A
    ping is nothing to miss. ``with_refused`` also asks for what was refused."""
    tries: dict[str, list[HookDelivery]] = defaultdict(list)
    for delivery in deliveries:
        tries[delivery.guid].append(delivery)
    again: list[tuple[datetime, int, HookDelivery]] = []
    refused: Counter[int] = Counter()
    for several in tries.values():
        last = max(several, key=_order)
        if last.event == PING or last.at < since or any(each.arrived for each in several):
            continue
        if last.refused and not with_refused:
            refused[last.code] += 1
            continue
        first = min(several, key=_order)
        again.append((*_order(first), last))
    again.sort(key=lambda each: each[:2])
    found = tuple(last for _, _, last in again)
    return Missed(found[-most:] if most else (), dict(refused), max(len(found) - most, 0))


def without(found: Missed, guids: Collection[str]) -> Missed:
    """The same without what we have all the same: its answer was late, or got lost."""
    again = tuple(each for each in found.again if each.guid not in guids)
    return Missed(again, found.refused, found.left)


def spans(deliveries: Sequence[HookDelivery]) -> list[tuple[datetime, datetime]]:
    """When these can have reached us, as spans that do not overlap, earliest first."""
    found: list[tuple[datetime, datetime]] = []
    for at in sorted(each.at for each in deliveries):
        first, last = at - AROUND, at + AROUND
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def start_of(through: datetime | None, now: datetime) -> datetime:
    """From when on to look at a start, where all was looked through up to ``through``."""
    earliest = now - KEPT
    return earliest if through is None else max(earliest, min(through, now) - OVERLAP)


def _order(delivery: HookDelivery) -> tuple[datetime, int]:
    return delivery.at, delivery.id
