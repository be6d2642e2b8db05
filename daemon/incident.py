"""What did not happen as a schedule promised: instants that never fired, or too late. Each is
recorded once, so that somebody can be told and every one be counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IncidentKind(StrEnum):
    """In which way a promise was broken."""

    MISSED = "missed"  # owed, and nobody wanted that it should not fire
    LATE = "late"  # fired, or sent, later than the entry's `alert_after`


@dataclass(frozen=True, slots=True)
class Incident:
    """``count`` instants of a cron entry, from ``first`` to ``last``, and what a person needs to
    know of them; ``at`` is when it was noticed."""

    entry: str
    kind: IncidentKind
    first: datetime
    last: datetime
    count: int
    at: datetime
    text: str
