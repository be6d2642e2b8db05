"""How much falls due when: counted from sets of seconds, and here one instant after the other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from daemon.forecast import MINUTE, PACED_MAX, Forecast
from daemon.spec import CronSpec, Pace
from tests.specs import config, cron_entry

DAY = timedelta(days=1)
PACE = Pace(writes_per_second=1, burst=10, writes_per_hour=500)
NO_PACE = Pace(writes_per_second=0, burst=0, writes_per_hour=0)
EVENING = datetime(2026, 3, 28, 18, 30, 10, 500_000, tzinfo=UTC)  # before Berlin's clock changes


def crons(*entries: dict[str, object]) -> tuple[CronSpec, ...]:
    return config(crons=entries).crons


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def one_by_one(entries: Sequence[CronSpec], start: datetime, end: datetime) -> Counter[datetime]:
    found: Counter[datetime] = Counter()
    for cron in entries:
        instant = cron.schedule.next_after(start - timedelta(microseconds=1))
        while cron.enabled and instant is not None and instant < end:
            found[instant.replace(second=0, microsecond=0)] += len(cron.dispatches)
            instant = cron.schedule.next_after(instant)
    return found


ENTRIES = crons(
    cron_entry("daily", timezone="Europe/Berlin", schedule="30 2 * * *"),
    cron_entry("same", timezone="Europe/Berlin", schedule="30 02 * * *"),
    cron_entry("often", timezone="Europe/Berlin", schedule="*/7 * * * *"),
    cron_entry("seconds", schedule="*/9 */5 * * * *", end_at="2026-03-29T04:00:00Z"),
    cron_entry("off", schedule="* * * * *", enabled=False),
    cron_entry("twice", schedule="0 * * * *", dispatch=[{"event_type": "a"}, {"event_type": "b"}]),
    cron_entry("weekdays", schedule="* * * * *", exclude=["* * * * SAT,SUN"]),
    {"name": "every", "every": "7m", "dispatch": {"event_type": "e"}},
    {"name": "once", "at": "2026-03-29T05:06:07.25Z", "dispatch": {"event_type": "e"}},
)


@pytest.mark.parametrize("span", [timedelta(minutes=5), DAY, 3 * DAY])
def test_each_minute_has_what_falls_due_in_it(span: timedelta) -> None:
    end = EVENING + span
    forecast = Forecast(ENTRIES, EVENING, end)
    minutes = {
        forecast.start + index * MINUTE: number
        for index, number in enumerate(forecast.minutes)
        if number
    }
    assert minutes == one_by_one(ENTRIES, EVENING, end)


def test_the_first_instant_is_counted_and_the_end_is_not() -> None:
    (midnight,) = crons(cron_entry(schedule="@daily"))
    start = at("2026-03-28T00:00:00Z")
    assert sum(Forecast([midnight], start, start + DAY).minutes) == 1
    assert sum(Forecast([midnight], start + timedelta(microseconds=1), start + DAY).minutes) == 0


def test_the_busiest_minutes_are_told_with_their_entries_in_the_order_of_the_config() -> None:
    start = at("2026-03-28T00:00:00Z")
    entries = crons(
        cron_entry("b", schedule="0 0 * * *"),
        cron_entry("a", schedule="0 0,6 * * *"),
        cron_entry("c", schedule="30 6 * * *"),
        cron_entry("d", schedule="0 6 * * *", dispatch=[{"event_type": "x"}, {"event_type": "y"}]),
    )
    busiest = Forecast(entries, start, start + DAY).busiest(9, PACE)
    assert [(f"{busy.start:%H:%M}", busy.dispatches) for busy in busiest] == [
        ("06:00", 3),
        ("00:00", 2),
        ("06:30", 1),
    ]
    assert [[cron.name for cron in busy.crons] for busy in busiest] == [
        ["a", "d"],
        ["b", "a"],
        ["c"],
    ]


@pytest.mark.parametrize(
    ("number", "pace", "late"),
    [
        (10, PACE, timedelta()),
        (11, PACE, timedelta(seconds=1)),
        (500, PACE, timedelta(seconds=490)),
        (501, PACE, timedelta(hours=1, minutes=1)),  # one minute is counted as a whole
        (501, NO_PACE, timedelta()),
    ],
)
def test_the_last_of_a_pile_is_as_late_as_the_pace_makes_it(
    number: int, pace: Pace, late: timedelta
) -> None:
    start = at("2026-03-28T00:00:00Z")
    pile = crons(*(cron_entry(f"n{index}", schedule="0 0 * * *") for index in range(number)))
    (busy,) = Forecast(pile, start, start + DAY).busiest(3, pace)
    assert (busy.dispatches, busy.late, busy.counted) == (number, late, True)


def test_jitter_spreads_a_pile() -> None:
    start = at("2026-03-28T00:00:00Z")
    pile = [cron_entry(f"n{i}", schedule="0 0 * * *", jitter="10m") for i in range(100)]
    (busy,) = Forecast(crons(*pile), start, start + DAY).busiest(3, PACE)
    assert busy.dispatches == 100
    assert busy.late == timedelta()


def test_of_a_very_large_pile_only_the_first_are_counted() -> None:
    """For all of them it would take seconds, and nobody needs to know it to the second."""
    start = at("2026-03-28T00:00:00Z")
    (each_second,) = crons(cron_entry(schedule="* * * * * *"))
    forecast = Forecast([each_second] * 100, start, start + DAY)
    began = time.perf_counter()
    busy, *_ = forecast.busiest(5, PACE)
    assert time.perf_counter() - began < 5
    assert (busy.dispatches, busy.counted) == (6000, False)
    assert busy.late > (PACED_MAX // 500 - 1) * timedelta(hours=1)


def test_what_is_not_counted_out_is_not_said_to_be_late_either() -> None:
    """Jitter spreads these over so long that none waits for another."""
    (spread,) = crons(cron_entry(schedule="* * * * * *", jitter="30d"))
    start = at("2026-03-28T00:00:00Z")
    busy, *_ = Forecast([spread] * 100, start, start + DAY).busiest(5, PACE)
    assert (busy.counted, busy.late < timedelta(minutes=10)) == (False, True)


@pytest.mark.parametrize(
    "expressions",
    [[f"{n % 60} {n % 24} * * *" for n in range(10_000)], ["* * * * * *"] * 10_000],
    ids=["daily", "every second"],
)
def test_a_week_of_ten_thousand_entries_is_counted_at_once(expressions: list[str]) -> None:
    (cron,) = crons(cron_entry())
    parsed = {text: crons(cron_entry(schedule=text))[0].schedule for text in set(expressions)}
    entries = [
        CronSpec(f"n{index}", "", True, parsed[text], cron.catch_up, cron.dispatches)
        for index, text in enumerate(expressions)
    ]
    began = time.perf_counter()
    forecast = Forecast(entries, EVENING, EVENING + 7 * DAY)
    assert time.perf_counter() - began < 2
    assert sum(forecast.minutes) >= 7 * len(entries)
