"""Cron entries that would be held for nothing, since they fire more often than the breaker lets
through, are warned of when the config loads."""

from __future__ import annotations

from typing import Any

import pytest
from freezegun import freeze_time

from tests.specs import config, cron_entry

SELDOM_ENOUGH = ["* * * * *", "*/10 * * * * *", "*/2 59 23 * * *", "@daily"]


@freeze_time("2026-11-23T12:00:00Z")  # a span that begins amid that hour holds fewer of them
@pytest.mark.parametrize(
    ("keys", "made"),
    [
        ({"schedule": "*/5 * * * * *"}, 720),
        ({"schedule": "* * 3 * * *"}, 3600),
        ({"schedule": None, "every": "7s"}, 515),
        ({"schedule": None, "every": "6s", "dispatch": [{"event_type": "a"}] * 2}, 1200),
    ],
)
def test_an_entry_that_fires_more_often_than_its_breaker_allows_is_warned_of(
    keys: dict[str, Any], made: int
) -> None:
    entry = {k: v for k, v in cron_entry(**keys).items() if v is not None}
    (warning,) = config(crons=[entry]).warnings
    key = "schedule" if "schedule" in entry else "every"
    assert f"crons[0].{key}: makes {made:,} dispatches in 1h" in warning
    assert "raise `breaker` in DAEMON.yaml" in warning
    assert config(crons=[entry | {"enabled": False}]).warnings == ()
    enough = {"breaker": {"max": made, "per": "1h"}}
    assert config(crons=[entry], settings=enough).warnings == ()


@pytest.mark.parametrize("schedule", SELDOM_ENOUGH)
def test_one_that_does_not_is_not(schedule: str) -> None:
    assert config(crons=[cron_entry(schedule=schedule)]).warnings == ()


def test_a_narrow_breaker_is_held_against_every_entry() -> None:
    narrow = {"breaker": {"max": 12, "per": "1h"}}
    minutely = cron_entry(schedule="* * * * *")
    (warning,) = config(crons=[minutely, cron_entry("b")], settings=narrow).warnings
    assert "makes 60 dispatches in 1h, and its breaker (12 in 1h) holds what is more" in warning
