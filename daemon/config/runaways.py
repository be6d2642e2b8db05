"""Warns of cron entries that make more dispatches than the breaker lets through, and so would be
held though nothing is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from daemon.chain import Breaker
from daemon.config.entry import Entry
from daemon.durations import written
from daemon.schedule import TICK
from daemon.spec import CronSpec

MINUTE = timedelta(minutes=1)


def report_runaways(
    entries: Iterable[Entry], specs: Iterable[CronSpec], breaker: Breaker, now: datetime
) -> None:
    """One warning for each enabled entry that makes too many in the span that begins with its next
    instant: what is denser later is not looked for."""
    nodes = {entry.name: entry.node for entry in entries}
    for spec in specs:
        if not spec.enabled or (made := _made(spec, breaker, now)) <= breaker.max:
            continue
        node = nodes[spec.name]
        place = node.child("schedule") or node.child("every") or node
        place.warn(
            f"makes {made:,} dispatches in {written(breaker.per)}, and its breaker "
            f"({breaker}) holds what is more",
            "raise `breaker` in DAEMON.yaml",
        )


def _made(spec: CronSpec, breaker: Breaker, now: datetime) -> int:
    each = len(spec.dispatches)
    text = spec.schedule.text
    by_the_second = text.startswith("every ") or len(text.split()) == 6
    if not by_the_second and each * (breaker.per // MINUTE + 1) <= breaker.max:
        return 0  # as nearly always: none of thousands of entries need be looked at
    first = spec.schedule.next_after(now)
    if first is None:
        return 0
    return each * spec.schedule.count(first, first + breaker.per - TICK)
