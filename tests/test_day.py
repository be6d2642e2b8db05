"""A short simulated day: what ``make day`` does with 5,000 dispatches."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from tests.day import Day, lived
from tests.day.arrivals import arrivals, fired

pytestmark = pytest.mark.no_cover

PRIMARY = 5000


def test_a_busy_morning_is_dispatched_followed_and_cheap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody sets the clock here, so nobody has to look at it all the time.
    monkeypatch.setattr("daemon.dispatcher.TICK", timedelta(minutes=1))
    monkeypatch.setattr("daemon.tracker.TICK", timedelta(minutes=1))
    outcome = lived(Day(dispatches=150, hours=2, foreign=30), tmp_path)
    assert outcome.findings == []
    assert len(outcome.followed) == 150
    assert outcome.matches["verified"] > 110
    assert sum(outcome.matches.values()) == 150
    waits = outcome.waits("webhooks")
    assert waits["median"] < 1
    assert waits["longest"] < 60
    for hour in outcome.hours:
        assert hour.reads <= PRIMARY * 0.1
        assert hour.writes <= 500
        assert hour.row() in outcome.tables()


def test_a_day_has_as_many_as_it_is_to_have(chance: random.Random) -> None:
    count = 5000 - fired(24)
    found = arrivals(count, 24, chance)
    assert len(found) == count
    assert found == sorted(found)
    assert found[-1].at < 24 * 3600
