"""What ``make soak`` does for ten minutes, for some seconds; and the parts that judge it, on what
they are to find."""

from __future__ import annotations

import asyncio
import json
import os
import random
from array import array
from pathlib import Path

import pytest

from daemon.config import Secrets, load
from daemon.errors import ConfigError
from tests.harness.reckoning import Finding, Tally, Wrong
from tests.soak.configs import KINDS, Configs
from tests.soak.disk import Mounted, disk_in
from tests.soak.gauge import Life, Sample, growth, sampled
from tests.soak.outcome import Outcome
from tests.soak.run import GROWTH_MAX, SLOPE_MAX, Plan, Soak
from tests.test_torture import rows

DEADLINE = 120.0
"""Seconds for what usually takes twenty."""

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"


async def test_reloads_kills_and_a_full_disk_under_load_lose_nothing(
    tmp_path: Path, chance: random.Random
) -> None:
    """What was acknowledged is in the database and reached GitHub, once; each config is in force
    that should be; what comes in while the disk is full is refused, and afterwards taken again."""
    plan = Plan(
        seconds=16,
        rate=100,
        crons=2,
        reload_every=2,
        kill_every=8,
        full=1,
        megabytes=64,
        seed=chance.randrange(2**32),
    )
    async with asyncio.timeout(DEADLINE):
        outcome = await Soak(plan, tmp_path, lambda _: None).run()
    print(outcome.table())
    assert outcome.findings == ()
    assert len(outcome.lives) == 2
    assert outcome.reloads["good"] >= 2
    assert outcome.tally.acknowledged > 300
    assert outcome.answers["503"] > 0
    assert outcome.recovered is not None


# The parts


def life(began: float, *resident: float) -> Life:
    """With a sample every ten seconds."""
    samples = [Sample(10.0 * age, each, 10, 20, 4) for age, each in enumerate(resident)]
    return Life(1, began, samples)


def test_memory_is_judged_when_caches_are_full_and_at_the_same_age() -> None:
    flat, growing = life(0, 50, 90, 100, 100, 100), life(60, 50, 90, 100, 102, 104)
    assert flat.slope == 0
    assert flat.resident == 100
    assert growing.slope == pytest.approx(12)
    assert growth([flat, life(60, 50, 90, 101, 101, 101)]) == pytest.approx(1)
    assert growth([flat]) == growth([]) == life(0).slope == 0


def test_a_process_is_looked_at_from_outside(tmp_path: Path) -> None:

    before = sampled(os.getpid(), 1.0)
    with (tmp_path / "file").open("w"):
        after = sampled(os.getpid(), 2.0)
    assert before is not None
    assert after is not None
    assert after.files == before.files + 1
    assert after.resident > 10
    assert after.threads >= 1
    assert sampled(2**22 + 1, 1.0) is None


def test_a_full_disk_takes_nothing_until_it_is_emptied(tmp_path: Path) -> None:
    with disk_in(tmp_path, megabytes=16) as disk:
        if not isinstance(disk, Mounted):
            pytest.skip("only root may mount a small file system, and not in every container")
        file = disk.home / "file"
        with disk.full():
            with pytest.raises(OSError, match="No space left"):
                file.write_bytes(bytes(100_000))
            file.unlink()
        file.write_bytes(bytes(100_000))
    assert not (tmp_path / "disk.img").exists()


def test_of_four_configs_one_is_broken_and_each_other_has_a_marker(tmp_path: Path) -> None:
    environ = {"GH_TOKEN": "x", "GH_OWNER": "acme", "GH_REPO": "shop", "GH_WEBHOOK_SECRET": "y"}
    configs = Configs(tmp_path, ["tick"])
    configs.write()
    paths = set()
    for _ in range(2 * len(KINDS)):
        good = configs.change()
        assert good is (configs.kind != "broken")
        if not good:
            with pytest.raises(ConfigError, match=r"TRIGGERS\.json"):
                load(tmp_path, environ, secrets=Secrets.REQUIRED)
            continue
        config = load(tmp_path, environ, secrets=Secrets.REQUIRED)
        by_name = {trigger.name: trigger for trigger in config.triggers}
        assert by_name["marker"].path == configs.marker
        assert {"push", "marker"} <= by_name.keys()
        assert "tick" in {cron.name for cron in config.crons}
        paths.add(configs.marker)
    assert len(paths) == 6


OUTCOME = Outcome(
    seconds=130.0,
    loaded=120.0,
    held=0.0,
    disk="Mounted",
    deliveries=60_000,
    answers={"202": 55_000, "503": 4_000, "refused": 1_000},
    answer_seconds=array("f", [0.01] * 99 + [0.5]),
    backlog=0,
    reloads={"good": 18, "broken": 6},
    recovered=0.25,
    told={"the config": 6, "the full disk": 80},
    lives=(life(0, 50, 90, 100, 100, 100), life(60, 50, 90, 101, 101, 101)),
    at_rest=life(120, 90),
    tally=Tally(deliveries=60_000, acknowledged=55_000, received=54_999, explained=3),
    findings=(Finding(Wrong.LOST, "push-7", "acknowledged, and GitHub never received it"),),
)


def test_an_outcome_tells_figures_and_findings_as_a_table_and_as_json() -> None:
    shown = rows(OUTCOME.table())
    assert shown["SIGKILLs"] == "2"
    assert shown["reloads"] == "24 (18 good, 6 broken)"
    assert shown["deliveries sent"] == "60,000, 500 a second (55,000 202, 4,000 503, 1,000 refused)"
    assert shown["of these lost"] == "1"
    assert shown["its slope from life to life"] == "+1.00 MB a minute"
    assert "lost: push-7: acknowledged, and GitHub never received it" in OUTCOME.table()
    figures = json.loads(json.dumps(OUTCOME.as_json()))
    assert figures["deliveries"]["answer_ms"] == {"p50": 10.0, "p99": 500.0, "max": 500.0}
    assert figures["memory"]["growth_mb_per_minute"] == 1.0
    assert figures["at_rest"]["files"] == 10
    assert "500/s" in OUTCOME.line()


def test_the_page_on_reliability_says_what_is_done_and_shows_what_came_of_it() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## A soak")[2].partition("\n## ")[0]
    chapter = " ".join(text.split())
    plan = Plan(seconds=600)
    said = [
        f"{plan.rate:.0f} signed pushes a second",
        f"{plan.crons} cron entries fire every second",
        f"every {plan.reload_every:.0f} s",
        f"every {plan.kill_every:.0f} s",
        f"full for {plan.full:.0f} s",
        f"{GROWTH_MAX:.0f} MB a minute from life to life",
        f"{SLOPE_MAX:.0f} MB a minute within",
    ]
    assert [each for each in said if each not in chapter] == []
    shown = rows(text)
    assert rows(OUTCOME.table()).keys() <= shown.keys()
    assert [shown[name] for name in ("of these lost", "with two dispatches")] == ["0", "0"]
