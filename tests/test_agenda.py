"""What comes next, of all entries."""

from __future__ import annotations

from datetime import UTC, datetime

from daemon.agenda import next_instants
from daemon.cron import parse
from daemon.spec import CatchUp, CronSpec

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def cron(name: str, schedule: str, *, enabled: bool = True) -> CronSpec:
    return CronSpec(name, "", enabled, parse(schedule), CatchUp.LATEST, ())


def test_the_next_instants_of_each_entry_are_listed_by_name() -> None:
    crons = [cron("daily", "0 5 * * *"), cron("leap", "0 0 29 2 *", enabled=False)]
    assert next_instants(crons, NOON, 2) == {
        "daily": [datetime(2026, 6, 2, 5, tzinfo=UTC), datetime(2026, 6, 3, 5, tzinfo=UTC)],
        "leap": [datetime(2028, 2, 29, tzinfo=UTC), datetime(2032, 2, 29, tzinfo=UTC)],
    }


def test_the_end_of_the_calendar_ends_the_list() -> None:
    last_day = datetime(9999, 12, 31, tzinfo=UTC)
    assert next_instants([cron("yearly", "@yearly")], last_day, 3) == {"yearly": []}
