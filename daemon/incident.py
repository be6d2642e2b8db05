"""What somebody has to hear of: instants that a schedule promised and that never fired, or too
late; entries that are held since they ran away. Each is recorded once, so that every one counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IncidentKind(StrEnum):
    """In which way a promise was broken."""

    MISSED = "missed"  # owed, and nobody wanted that it should not fire
    LATE = "late"  # fired, or sent, later than the entry's `alert_after`
    BREAKER = "breaker"  # made more dispatches than its breaker lets through
    CHAIN = "chain"  # a chain of its dispatches got deeper than `max_chain_depth`


@dataclass(frozen=True, slots=True)
class Incident:
    """``count`` instants of an entry, from ``first`` to ``last``, and what a person needs to know
    of them; ``at`` is when it was noticed."""

    entry: str
    kind: IncidentKind
    first: datetime
    last: datetime
    count: int
    at: datetime
    text: str
