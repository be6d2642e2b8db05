"""What somebody has to hear of: instants that a schedule promised and that never fired, or too
late; entries that are held since they ran away. Each is recorded once, so that every one counts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

DEAD = "dead"
NO_RUN = "no run"
"""The kinds of news that are about dispatches."""


class IncidentKind(StrEnum):
    """In which way a promise was broken."""

    MISSED = "missed"  # owed, and nobody wanted that it should not fire
    LATE = "late"  # fired, or sent, later than the entry's `alert_after`
    BREAKER = "breaker"  # made more dispatches than its breaker lets through
    CHAIN = "chain"  # a chain of its dispatches got deeper than `max_chain_depth`


class Incident(Struct, frozen=True):
    """``count`` instants of an entry, from ``first`` to ``last``, and what a person needs to know
    of them; ``at`` is when it was noticed."""

    entry: str
    kind: IncidentKind
    first: datetime
    last: datetime
    count: int
    at: datetime
    text: str


class News(Struct, frozen=True):
    """Something that the default `notify` is told, once for each ``kind`` and ``ref``: an incident,
    a dispatch that died or whose run is missing, where its entry tells nobody of that, or that the
    daemon itself is not well, and then that this is ``over``. ``count`` is what it stands for."""

    kind: str
    ref: str
    entry: str
    at: datetime
    count: int
    text: str
    over: bool = False
