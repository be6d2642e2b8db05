"""What came of a day: its figures as tables, and as JSON."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

PRIMARY = 5000
"""Requests an hour that GitHub allows a token."""
SHARE_MAX = 0.1
"""Of these, what may be spent on following dispatches."""


@dataclass(slots=True)
class Followed:
    """A dispatch: one of ``crons``, ``calls`` or ``webhooks``."""

    id: str
    kind: str
    due_at: datetime
    sent_at: datetime | None = None

    @property
    def waited(self) -> float:
        """Seconds from its time until it was sent."""
        return max(((self.sent_at or self.due_at) - self.due_at).total_seconds(), 0)


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of it. ``waiting`` is how many were still to be sent at its end. ``reads`` and
    ``unchanged`` (answered 304, and not counted by GitHub) are what following them took."""

    number: int
    due: int
    sent: int
    waiting: int
    writes: int
    reads: int
    unchanged: int

    @property
    def share(self) -> float:
        """What reading took of GitHub's primary budget."""
        return self.reads / PRIMARY

    def row(self) -> str:
        cells = (
            f"{self.number:02}–{self.number + 1:02}",
            *(f"{each:,}" for each in (self.due, self.sent, self.waiting, self.writes)),
            f"{self.reads:,}",
            f"{self.unchanged:,}",
            f"{self.share:.1%}",
        )
        return f"| {' | '.join(f'{cell:>7}' for cell in cells)} |"


HEAD = "|   hour  |   due   |  sent   | waiting | writes  | counted |   304   |  share  |"
RULE = f"|{'|'.join(['--------:'] * 8)}|"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``hours`` are those of the ``day``, and some more until nothing was owed. ``received`` are
    ids of dispatches, as often as GitHub took them; ``held`` are those of an entry whose breaker
    was open. ``strangers`` are runs that are called a dispatch's own for certain and are not."""

    hours: Sequence[Hour]
    day: int
    followed: Sequence[Followed]
    held: frozenset[str]
    received: Sequence[str]
    matches: Mapping[str, int]
    strangers: Sequence[str]
    troubles: Sequence[str]

    @property
    def findings(self) -> list[str]:
        """What is wrong; nothing where all is well."""
        taken = Counter(self.received)
        lost = [each.id for each in self._lost(taken)]
        doubled = [id_ for id_, times in taken.items() if times > 1]
        dear = [hour for hour in self.hours if hour.share > SHARE_MAX]
        return [
            *(f"lost: {id_}" for id_ in lost),
            *(f"sent twice: {id_}" for id_ in doubled),
            *(f"not its own: {each}" for each in self.strangers),
            *(f"hour {hour.number}: {hour.share:.1%} of the limit for reading" for hour in dear),
            *(f"still waits for its run: {n}" for n in [self.matches.get("waiting")] if n),
        ]

    def _lost(self, taken: Mapping[str, int]) -> list[Followed]:
        return [each for each in self.followed if each.id not in taken and each.id not in self.held]

    def waits(self, *kinds: str) -> dict[str, float]:
        """The seconds from due to sent."""
        waits = sorted(each.waited for each in self.followed if each.sent_at and each.kind in kinds)
        if not waits:
            return {"median": 0.0, "p99": 0.0, "longest": 0.0}
        return {
            "median": statistics.median(waits),
            "p99": waits[len(waits) * 99 // 100],
            "longest": waits[-1],
        }

    def as_json(self) -> dict[str, Any]:
        kinds = Counter(each.kind for each in self.followed)
        return {
            "dispatches": len(self.followed),
            "waits": {kind: {"count": kinds[kind], **self.waits(kind)} for kind in sorted(kinds)},
            "matches": dict(sorted(self.matches.items())),
            "reads": sum(hour.reads for hour in self.hours),
            "unchanged": sum(hour.unchanged for hour in self.hours),
            "hours": [
                {name: getattr(hour, name) for name in Hour.__dataclass_fields__}
                for hour in self.hours
            ],
            "findings": self.findings,
            "troubles": list(self.troubles),
        }

    def tables(self) -> str:
        """The figures for people, as Markdown."""
        rows = list(self._rows())
        width = max(len(name) for name, _ in rows)
        lines = [f"| {name:{width}} | {value} |" for name, value in rows]
        lines.insert(1, f"|{'-' * (width + 2)}|---|")
        return "\n".join([HEAD, RULE, *(hour.row() for hour in self.hours), "", *lines])

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "what", "how many"
        yield "dispatches", f"{len(self.followed):,}"
        taken = Counter(self.received)
        yield "of these lost", f"{len(self._lost(taken))}"
        yield "sent twice", f"{sum(times > 1 for times in taken.values())}"
        yield "held by an entry's breaker", f"{len(self.held)}"
        for kind, count in sorted(Counter(each.kind for each in self.followed).items()):
            waits = self.waits(kind)
            text = ", ".join(f"{name} {_span(seconds)}" for name, seconds in waits.items())
            yield f"wait from due to sent, of {count:,} of {kind}", text
        dearest = max(self.hours, key=lambda hour: hour.share)
        busiest = max(self.hours, key=lambda hour: hour.writes)
        yield "writes in the busiest hour", f"{busiest.writes:,}"
        yield "reads that GitHub counted", f"{sum(hour.reads for hour in self.hours):,}"
        yield "reads that were answered 304", f"{sum(hour.unchanged for hour in self.hours):,}"
        per = sum(hour.reads for hour in self.hours) / max(len(self.followed), 1)
        yield "counted reads for each dispatch", f"{per:.2f}"
        yield "in the dearest hour, of GitHub's 5,000", f"{dearest.reads:,} ({dearest.share:.1%})"
        for match, count in sorted(self.matches.items()):
            yield f"match `{match}`", f"{count:,}"
        yield "runs bound to another's dispatch", f"{len(self.strangers)}"


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
