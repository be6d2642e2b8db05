"""The delivery promise under one SIGKILL after the other: what ``make torture`` does a thousand
times, twenty times."""

from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path

import pytest

from tests.harness.reckoning import ON_TIME, Finding, Tally, Wrong
from tests.torture.github import LATENCY
from tests.torture.outcome import Outcome
from tests.torture.run import BACKLOG_MAX, PATIENCE, PHASES, STOPPING, YOUNG, Phase, Plan, Torture

pytestmark = pytest.mark.no_cover

KILLS = 20
DEADLINE = 600.0
"""Seconds for what usually takes thirty."""


async def test_no_kill_loses_skips_or_doubles_anything_but_what_it_interrupted(
    tmp_path: Path, chance: random.Random
) -> None:
    """Under 200 deliveries a second and 50 crons of every second: each acknowledged delivery is
    dispatched, each instant fires once, and what is sent twice was being sent at a kill."""
    plan = Plan(KILLS, seed=chance.randrange(2**32), settle_every=KILLS // 2, oldest=1.0)
    async with asyncio.timeout(DEADLINE):
        outcome = await Torture(plan, tmp_path, lambda _: None).run()
    print(outcome.table())
    assert outcome.findings == ()
    assert outcome.count == KILLS
    assert outcome.tally.acknowledged > 10 * KILLS
    assert outcome.tally.fired > 20 * KILLS
    assert outcome.tally.explained > 0, "no kill fell between GitHub's acceptance and our commit"


OUTCOME = Outcome(
    seconds=12.3,
    kills={"starting": 1, "at work": 2},
    restarts=(0.5, 0.7, 0.6),
    held=0.0,
    deliveries=2000,
    answers={"202": 1200, "refused": 800},
    database=5_000_000,
    tally=Tally(deliveries=2000, acknowledged=1200, received=1199, explained=3),
    findings=(Finding(Wrong.LOST, "push-7", "acknowledged, and GitHub never received it"),) * 30,
)


def rows(table: str) -> dict[str, str]:
    """The rows of a Markdown table of two columns."""
    lines = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE)
    return {name.strip(): value for name, value in lines}


def test_an_outcome_tells_figures_and_findings_as_a_table_and_as_json() -> None:
    lines = OUTCOME.table().splitlines()
    shown = rows(OUTCOME.table())
    assert shown["SIGKILLs"] == "3 (1 starting, 2 at work)"
    assert shown["deliveries sent"] == "2,000 (1,200 202, 800 refused)"
    assert shown["of these lost"] == "30"
    assert lines.count("lost: push-7: acknowledged, and GitHub never received it") == 20
    assert lines[-1] == "… and 10 more"
    figures = json.loads(json.dumps(OUTCOME.as_json()))
    assert figures["kills"] == {"all": 3, "starting": 1, "at work": 2}
    assert figures["restart_seconds"] == {"median": 0.6, "p99": 0.7, "max": 0.7}
    assert figures["sent_twice"] == {"explained": 3, "unexplained": 0}
    assert len(figures["findings"]) == 30


def test_the_page_on_reliability_says_what_is_done_and_shows_what_came_of_it() -> None:
    text = (Path(__file__).parents[1] / "docs" / "reliability.md").read_text(encoding="utf-8")
    lines = text.partition("## kill -9")[2].partition("\n## ")[0]
    chapter = " ".join(lines.split())
    plan = Plan(kills=1000, seed=0)
    said = [
        f"delivers {plan.rate:.0f} signed pushes a second",
        f"{plan.crons} cron entries fire every second",
        f"up to {LATENCY * 1000:.0f} ms later",
        f"{PHASES[Phase.WORKING]:.0%} of the kills are aimed at a daemon that has served for up to "
        f"{plan.oldest:.0f} s",
        f"{PHASES[Phase.YOUNG]:.0%} at its first {YOUNG * 1000:.0f} ms",
        f"{PHASES[Phase.STARTING]:.0%} at its start",
        f"{PHASES[Phase.STOPPING]:.0%} at the {STOPPING * 1000:.0f} ms after a SIGTERM",
        f"within the {ON_TIME.total_seconds():.0f} s in which it has to fire",
        f"was not worked off within {PATIENCE:.0f} s",
        f"more than {BACKLOG_MAX} deliveries wait at the end of a life",
    ]
    assert [each for each in said if each not in chapter] == []
    assert set(re.findall(r"^\| `([a-z ]+)` \|", lines, re.MULTILINE)) == set(Wrong)
    shown = rows(text)
    assert rows(OUTCOME.table()).keys() <= shown.keys()
    wrong = ["of these lost", "with two dispatches", "skipped", "fired twice"]
    assert [shown[name] for name in wrong] == ["0"] * 4
