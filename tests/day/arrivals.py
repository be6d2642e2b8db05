"""What comes in over a day: crons, a trickle that follows office hours, and bursts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from daemon.simulator import Listener
from tests.specs import SIGNED, cron_entry, trigger_entry

SHOP, SITE, OLD = "acme/shop", "acme/site", "acme/old"
OFFICE_HOURS = (1, 1, 1, 1, 1, 1, 2, 4, 7, 10, 11, 10, 8, 10, 11, 11, 10, 8, 5, 3, 2, 2, 1, 1)
"""How much comes in by the hour of the day, compared to the other hours."""

OTHERS = "others"
"""The event type of what is none of ours."""

SHOWN = "${{ github.event.client_payload.dispatchd.id }}"
LISTENERS = {
    SHOP: [
        Listener("build.yml", "Build", frozenset({"build", "nightly"}), f"Build [{SHOWN}]"),
        Listener("lint.yml", "Lint", frozenset({"build"}), f"Lint [{SHOWN}]"),
        Listener("others.yml", "Others", frozenset({OTHERS}), "Somebody else's"),
    ],
    SITE: [
        Listener("test.yml", "Test", frozenset({"test", "triage", "sync"}), f"Test [{SHOWN}]"),
        Listener("others.yml", "Others", frozenset({OTHERS}), "Somebody else's"),
    ],
    OLD: [Listener("import.yml", "Import", frozenset({"import"}), "Import")],  # shows no id
}
DEPLOY = {
    "via": "workflow_dispatch",
    "workflow": "deploy.yml",
    "ref": "main",
    "repository": SHOP,
    "inputs": {"number": "{{ string(body.number) }}"},
}
DEPLOY_FILE = """
name: Deploy
run-name: "Deploy [${{ inputs.dispatchd }}]"
on:
  workflow_dispatch:
    inputs:
      number: {type: string}
      dispatchd: {type: string}
jobs: {deploy: {runs-on: ubuntu-latest, steps: [{run: echo}]}}
"""
NIGHTLY = 40
"""Entries that fire at the same minute of the night."""


def _sending(name: str, event_type: str, repository: str) -> dict[str, Any]:
    payload = {"number": "{{ body.number }}"}
    dispatch = {"event_type": event_type, "repository": repository, "client_payload": payload}
    return trigger_entry(name, path=f"/{name}", auth=SIGNED, dispatch=dispatch)


def _firing(name: str, schedule: str, event_type: str, repository: str) -> dict[str, Any]:
    dispatch = {"event_type": event_type, "repository": repository}
    return cron_entry(name, schedule=schedule, dispatch=dispatch)


TRIGGERS = [
    _sending("push", "build", SHOP),
    _sending("storm", "test", SITE),
    _sending("issues", "triage", SITE),
    _sending("import", "import", OLD),
    _sending("unheard", "nobody-listens", SITE),
    trigger_entry("deploy", path="/deploy", auth=SIGNED, dispatch=DEPLOY),
]
CRONS = [
    _firing("sync", "*/5 * * * *", "sync", SITE),
    _firing("check", "*/15 * * * *", "build", SHOP),
    _firing("report", "@hourly", "sync", SITE),
    *(_firing(f"nightly-{n:02}", "30 1 * * *", "nightly", SHOP) for n in range(NIGHTLY)),
]
CALL = "call"
MIX = {"push": 60, "storm": 20, "deploy": 9, "import": 4, "unheard": 1, CALL: 6}
"""The trickle."""


@dataclass(frozen=True, order=True, slots=True)
class Arrival:
    """A delivery to the trigger of that name, or a call of ``/dispatch``; ``at`` is in seconds."""

    at: float
    trigger: str


def fired(hours: int) -> int:
    """How often the crons fire within so many hours."""
    return hours * (12 + 4 + 1) + (NIGHTLY if hours >= 2 else 0)


def arrivals(count: int, hours: int, chance: random.Random) -> list[Arrival]:
    """So many: of every hundred nine are one burst of ten minutes in the early afternoon, twenty
    come in bursts of two minutes, and the rest as a trickle."""
    span = hours * 3600.0
    found = [
        Arrival(0.58 * span + chance.uniform(0, 600), "issues") for _ in range(count * 9 // 100)
    ]
    left = count * 20 // 100
    while left > 0:
        size = min(left, chance.randint(40, 160))
        began = _moment(span, chance)
        storm = chance.choice(["push", "storm"])
        found += [Arrival(began + chance.uniform(0, 120), storm) for _ in range(size)]
        left -= size
    while len(found) < count:
        (trigger,) = chance.choices(list(MIX), list(MIX.values()))
        found.append(Arrival(_moment(span, chance), trigger))
    return sorted(each for each in found)


def others(count: int, hours: int, chance: random.Random) -> Iterator[tuple[float, str]]:
    """Runs that somebody else begins, by second and repository."""
    moments = sorted(_moment(hours * 3600.0, chance) for _ in range(count))
    return ((at, chance.choice([SHOP, SITE])) for at in moments)


def _moment(span: float, chance: random.Random) -> float:
    """A moment within ``span`` seconds, which stand for a day; the last minutes stay free."""
    hour = chance.choices(range(24), OFFICE_HOURS)[0]
    return min((hour + chance.random()) / 24 * span, span - 180)
