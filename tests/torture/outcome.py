"""What came of a run: its figures as a table, and as JSON."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.harness.reckoning import Finding, Tally, Wrong

SHOWN = 20
"""Findings that are printed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures. ``kills`` are by what the daemon was doing, ``restarts`` the seconds from each
    launch until it served, ``held`` the seconds for which the sender was held back so that the
    daemon could catch up, ``answers`` how many sendings were answered how. ``deliveries`` are
    those sent, ``database`` the bytes of its file; the ``tally`` counts what is settled."""

    seconds: float
    kills: Mapping[str, int]
    restarts: tuple[float, ...]
    held: float
    deliveries: int
    answers: Mapping[str, int]
    database: int
    tally: Tally
    findings: tuple[Finding, ...]

    @property
    def count(self) -> int:
        """How often it was killed."""
        return sum(self.kills.values())

    def as_json(self) -> dict[str, Any]:
        found = Counter(finding.wrong for finding in self.findings)
        restarts = sorted(self.restarts) or [0.0]
        tally = self.tally
        return {
            "kills": {"all": self.count, **self.kills},
            "seconds": round(self.seconds, 1),
            "restart_seconds": {
                "median": round(statistics.median(restarts), 3),
                "p99": round(restarts[len(restarts) * 99 // 100], 3),
                "max": round(restarts[-1], 3),
            },
            "held_back_seconds": round(self.held, 1),
            "database_megabytes": round(self.database / 1e6, 1),
            "deliveries": {
                "sent": self.deliveries,
                "answers": dict(sorted(self.answers.items())),
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
                "early": found[Wrong.EARLY],
            },
            "sent_twice": {
                "explained": tally.explained,
                "unexplained": found[Wrong.SENT_AGAIN],
            },
            "unasked": found[Wrong.UNASKED],
            "trouble": found[Wrong.TROUBLE],
            "findings": [str(finding) for finding in self.findings],
        }

    def table(self) -> str:
        """The figures for people, as a Markdown table, and below it the first findings."""
        return table_of(list(self._rows()), self.findings)

    def _rows(self) -> Iterator[tuple[str, str]]:
        figures = self.as_json()
        kills, restart = figures["kills"], figures["restart_seconds"]
        deliveries, instants = figures["deliveries"], figures["instants"]
        phases = ", ".join(f"{count:,} {phase}" for phase, count in self.kills.items())
        answers = ", ".join(f"{count:,} {kind}" for kind, count in deliveries["answers"].items())
        yield "what", "how many"
        yield "SIGKILLs", f"{kills['all']:,} ({phases})"
        yield "duration", f"{figures['seconds']:,.0f} s"
        yield (
            "from launch until it serves",
            f"median {restart['median']:.2f} s, p99 {restart['p99']:.2f} s, "
            f"longest {restart['max']:.2f} s",
        )
        yield "the database in the end", f"{figures['database_megabytes']:,.0f} MB, intact"
        yield "of the duration, the sender was held back", f"{figures['held_back_seconds']:,.0f} s"
        yield "deliveries sent", f"{deliveries['sent']:,} ({answers})"
        yield "acknowledged", f"{deliveries['acknowledged']:,}"
        yield "of these lost", f"{deliveries['lost']:,}"
        yield "with two dispatches", f"{deliveries['doubled']:,}"
        yield "received by GitHub, acknowledged or not", f"{deliveries['received']:,}"
        yield "cron instants owed", f"{instants['owed']:,}"
        yield "fired", f"{instants['fired']:,}"
        yield "booked as missed, with the reason", f"{instants['missed']:,}"
        yield "skipped", f"{instants['skipped']:,}"
        yield "fired twice", f"{instants['fired_twice']:,}"
        yield "fired before their time", f"{instants['early']:,}"
        sent_twice = figures["sent_twice"]
        yield "requests sent again, the answer died with the daemon", f"{sent_twice['explained']:,}"
        yield "requests sent again without that reason", f"{sent_twice['unexplained']:,}"
        yield "received for nothing that was sent or owed", f"{figures['unasked']:,}"
        yield "complaints of the daemon", f"{figures['trouble']:,}"


def table_of(rows: Sequence[tuple[str, str]], findings: Sequence[Finding]) -> str:
    """A table of two columns, of which the first row is the head, and the first findings."""
    width = max(len(name) for name, _ in rows)
    lines = [f"| {name:{width}} | {value} |" for name, value in rows]
    rule = f"|{'-' * (width + 2)}|---|"
    shown = [str(finding) for finding in findings[:SHOWN]]
    if len(findings) > SHOWN:
        shown.append(f"… and {len(findings) - SHOWN} more")
    return "\n".join([lines[0], rule, *lines[1:], *shown])
