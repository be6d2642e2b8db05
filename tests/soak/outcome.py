"""What came of a run: its figures as a table, and as JSON."""

from __future__ import annotations

import statistics
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.harness.reckoning import Finding, Tally, Wrong
from tests.soak.gauge import Life, growth
from tests.torture.outcome import table_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures. Of the ``seconds`` that it took, the sender delivered for ``loaded``, and was
    ``held`` back for some more so that the daemon could catch up; ``answer_seconds`` are those of
    each acknowledgement. ``backlog`` counts what was acknowledged and is not received yet,
    ``reloads`` those after which the config was in force that should be, and ``told`` the
    complaints that the daemon had reason for. ``recovered`` are the seconds from when the disk had
    room until a delivery was taken, ``at_rest`` the last life before its load and after it."""

    seconds: float
    loaded: float
    held: float
    disk: str
    deliveries: int
    answers: Mapping[str, int]
    answer_seconds: array[float] = field(repr=False)
    backlog: int
    reloads: Mapping[str, int]
    recovered: float | None
    told: Mapping[str, int]
    lives: tuple[Life, ...]
    at_rest: Life | None
    tally: Tally
    findings: tuple[Finding, ...]

    @property
    def rate(self) -> float:
        """Deliveries a second that were sent while the sender sent."""
        return self.deliveries / self.loaded if self.loaded else 0.0

    @property
    def growth(self) -> float:
        """Megabytes a minute, over all lives."""
        return growth(self.lives)

    @property
    def slope(self) -> float:
        """Megabytes a minute, of the life in the middle when they are sorted by that."""
        return statistics.median(life.slope for life in self.lives) if self.lives else 0.0

    def as_json(self) -> dict[str, Any]:
        found = Counter(finding.wrong for finding in self.findings)
        answers = sorted(self.answer_seconds) or [0.0]
        tally = self.tally
        return {
            "seconds": round(self.seconds, 1),
            "loaded_seconds": round(self.loaded, 1),
            "held_back_seconds": round(self.held, 1),
            "rate": round(self.rate, 1),
            "deliveries": {
                "sent": self.deliveries,
                "answers": dict(sorted(self.answers.items())),
                "answer_ms": {
                    "p50": round(1000 * answers[len(answers) // 2], 1),
                    "p99": round(1000 * answers[len(answers) * 99 // 100], 1),
                    "max": round(1000 * answers[-1], 1),
                },
                "acknowledged": tally.acknowledged,
                "received": tally.received,
                "lost": found[Wrong.LOST],
                "doubled": found[Wrong.DOUBLED],
            },
            "instants": {
                "owed": tally.instants,
                "fired": tally.fired,
                "missed": tally.missed,
                "skipped": found[Wrong.SKIPPED],
                "fired_twice": found[Wrong.FIRED_TWICE],
            },
            "sent_twice": {
                "explained": tally.explained,
                "unexplained": found[Wrong.SENT_AGAIN],
            },
            "kills": len(self.lives),
            "reloads": dict(self.reloads),
            "disk": {"kind": self.disk, "recovered_seconds": self.recovered},
            "told": dict(self.told),
            "memory": {
                "growth_mb_per_minute": round(self.growth, 3),
                "slope_mb_per_minute": round(self.slope, 3),
                "lives": [
                    {
                        "began": round(life.began, 1),
                        "resident_mb": round(life.resident, 1),
                        "slope_mb_per_minute": round(life.slope, 2),
                        "files_at_first": life.files_at_first,
                        "files_at_last": life.files_at_last,
                        "sockets": life.sockets,
                        "threads": life.threads,
                    }
                    for life in self.lives
                ],
            },
            "at_rest": asdict(self.at_rest.samples[-1])
            if self.at_rest and self.at_rest.samples
            else None,
            "trouble": found[Wrong.TROUBLE],
            "findings": [str(finding) for finding in self.findings],
        }

    def table(self) -> str:
        """The figures for people, as a Markdown table, and below it the first findings."""
        return table_of(list(self._rows()), self.findings)

    def line(self) -> str:
        """How far it is, in one line."""
        now = self.lives[-1].samples[-1] if self.lives and self.lives[-1].samples else None
        held = f"{now.resident:5.0f} MB {now.files:3} files {now.sockets:4} sockets" if now else ""
        return (
            f"{self.seconds:6.0f} s  life {len(self.lives):2}  {self.deliveries:8,} sent "
            f"({self.rate:.0f}/s)  {self.answers.get('202', 0):8,} acknowledged  "
            f"{self.backlog:5,} wait  {sum(self.reloads.values()):3} reloads  {held}  "
            f"{len(self.findings)} wrong"
        )

    def _rows(self) -> Iterator[tuple[str, str]]:
        figures = self.as_json()
        deliveries, instants = figures["deliveries"], figures["instants"]
        answers = ", ".join(f"{count:,} {kind}" for kind, count in deliveries["answers"].items())
        took = deliveries["answer_ms"]
        reloads = ", ".join(f"{count} {kind}" for kind, count in figures["reloads"].items())
        told = ", ".join(f"{count} of {what}" for what, count in figures["told"].items())
        slopes = ", ".join(f"{life.slope:+.1f}" for life in self.lives)
        resident = ", ".join(f"{life.resident:.0f}" for life in self.lives)
        recovered = "–" if self.recovered is None else f"{self.recovered:.1f} s"
        yield "what", "how many"
        yield "duration", f"{figures['seconds']:,.0f} s"
        yield "SIGKILLs", f"{figures['kills']}"
        yield "reloads", f"{sum(self.reloads.values())} ({reloads})"
        yield "deliveries sent", f"{deliveries['sent']:,}, {self.rate:.0f} a second ({answers})"
        yield "the sender was held back", f"{figures['held_back_seconds']:,.0f} s"
        yield "acknowledged", f"{deliveries['acknowledged']:,}"
        yield "after", f"p50 {took['p50']} ms, p99 {took['p99']} ms, longest {took['max']:,.0f} ms"
        yield "of these lost", f"{deliveries['lost']:,}"
        yield "with two dispatches", f"{deliveries['doubled']:,}"
        yield "cron instants owed", f"{instants['owed']:,}"
        yield "fired", f"{instants['fired']:,}"
        yield "booked as missed, with the reason", f"{instants['missed']:,}"
        yield "skipped, or fired twice", f"{instants['skipped'] + instants['fired_twice']:,}"
        sent_twice = figures["sent_twice"]
        yield "requests sent again, the answer died with the daemon", f"{sent_twice['explained']:,}"
        yield "requests sent again without that reason", f"{sent_twice['unexplained']:,}"
        yield "from room on the disk to the next delivery taken", recovered
        yield "memory of each life when warm", f"{resident} MB"
        yield "its slope within each", f"{slopes} MB a minute"
        yield "its slope from life to life", f"{self.growth:+.2f} MB a minute"
        yield "descriptors of the last life, threads", self._held_on_to()
        yield "complaints with a reason", told or "0"
        yield "complaints of the daemon", f"{figures['trouble']:,}"

    def _held_on_to(self) -> str:
        threads = max((life.threads for life in self.lives), default=0)
        if not self.lives or self.at_rest is None or not self.at_rest.samples:
            return f"{threads} threads at most"
        rest, first = self.at_rest, self.lives[0].samples[0]
        return (
            f"{rest.files_at_first} files and {first.sockets} sockets before the load, "
            f"{rest.files_at_last} and {rest.samples[-1].sockets} after it and its reloads; "
            f"{threads} threads at most"
        )
