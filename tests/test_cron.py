"""Schedules against Debian cron: its recorded answers, a slow re-telling of its main loop, and
the forms it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.cron import CronSchedule, parse
from daemon.errors import ScheduleError
from daemon.schedule import Omitted
from tests.schedule_oracle import members

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "cases" / "cron.json").read_text(encoding="utf-8")
)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def instants(schedule: CronSchedule, after: str, count: int) -> list[str]:
    """The next ``count`` instants after ``after``, as short RFC 3339 text."""
    found: list[str] = []
    at = instant(after)
    while len(found) < count:
        following = schedule.next_after(at)
        assert following is not None
        at = following
        found.append(f"{at:%Y-%m-%dT%H:%M:%SZ}".replace(":00Z", "Z"))
    return found


# Debian's own answers


def test_no_recorded_case_is_left_out() -> None:
    """Each of the 84 is of a form that is supported, so none may be skipped."""
    assert len(CASES) == 84
    for case in CASES:
        parse(case["expression"], case["timezone"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['expression']} {case['timezone']}")
def test_agrees_with_debian_cron(case: dict[str, Any]) -> None:
    schedule = parse(case["expression"], case["timezone"])
    at = datetime.fromisoformat(case["after"])
    for expected in case["next"]:
        following = schedule.next_after(at)
        assert following is not None
        assert following.isoformat() == expected
        assert following.tzinfo is UTC
        at = following


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['expression']} {case['timezone']}")
def test_searching_backwards_finds_what_searching_forwards_found(case: dict[str, Any]) -> None:
    schedule = parse(case["expression"], case["timezone"])
    expected = tuple(map(instant, case["next"]))
    backlog = schedule.due_between(instant(case["after"]), expected[-1], 100)
    assert backlog.instants == expected
    assert backlog.omitted is None


# Daylight saving, by an oracle that walks every minute, or every second


@dataclass(frozen=True)
class Cron:
    """An expression together with what it means, put together without reading it; ``seconds`` are
    None where it has no such field."""

    text: str
    seconds: frozenset[int] | None
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def matches(self, wall: datetime) -> bool:
        if wall.second not in (self.seconds or {0}):
            return False
        if wall.minute not in self.minutes or wall.hour not in self.hours:
            return False
        if wall.month not in self.months:
            return False
        day = wall.day in self.days
        weekday = wall.isoweekday() % 7 in self.weekdays
        dom, _, dow = self.text.split()[-3:]
        both = dom.startswith("*") or dow.startswith("*")
        return (day and weekday) if both else (day or weekday)

    @property
    def wild(self) -> bool:
        return any(field.startswith("*") for field in self.text.split()[:-3])


def debian(cron: Cron, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """The instants in (start, end], by the loop in Debian's cron.c: a virtual clock follows the
    wall clock, runs fixed jobs through what the wall clock skips and waits when it is put back.
    Debian walks from minute to minute; for an entry with seconds, so do the seconds here."""
    wall_clock = ZoneInfo(zone)
    step = MINUTE if cron.seconds is None else SECOND
    at = start.replace(second=0, microsecond=0)
    four_hours = [at - MINUTE * minutes for minutes in range(241)]
    virtual = max(each.astimezone(wall_clock).replace(tzinfo=None) for each in four_hours)
    found = []
    while at < end:
        at += step
        wall = at.astimezone(wall_clock).replace(tzinfo=None, fold=0)
        fires = cron.wild and cron.matches(wall)
        while virtual < wall:
            virtual += step
            fires = fires or (not cron.wild and cron.matches(virtual))
        if fires and start < at <= end:
            found.append(at)
    return found


@st.composite
def field(draw: st.DrawFn, low: int, high: int, likely: int) -> tuple[str, frozenset[int]]:
    """One field as (text, values); ``likely`` is a value that matters on the day in question."""
    kind = draw(st.sampled_from(["*", "*", "likely", "likely", "step", "list"]))
    if kind == "*":
        return "*", frozenset(range(low, high + 1))
    if kind == "likely":
        return str(likely), frozenset({likely})
    if kind == "step":
        step = draw(st.integers(1, high - low + 2))
        return f"*/{step}", frozenset(range(low, high + 1, step))
    texts, values = [], set[int]()
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        if first == last:
            texts.append(str(first))
            values.add(first)
        else:
            step = draw(st.integers(1, 5))
            texts.append(f"{first}-{last}" + (f"/{step}" if step > 1 else ""))
            values.update(range(first, last + 1, step))
    return ",".join(texts), frozenset(values)


CHANGES = {
    "America/New_York": [date(2026, 3, 8), date(2026, 11, 1)],
    "Europe/Berlin": [date(2026, 3, 29), date(2026, 10, 25)],
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2026, 10, 4)],
    "Asia/Beirut": [date(2026, 3, 29), date(2026, 10, 24)],
    "America/Havana": [date(2026, 3, 8), date(2026, 11, 1)],
    "Asia/Kolkata": [date(2026, 8, 15)],
    "UTC": [date(2028, 2, 29)],
}


@dataclass(frozen=True)
class Situation:
    cron: Cron
    zone: str
    after: datetime
    end: datetime


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    changes = st.sampled_from(CHANGES[zone])
    day = draw(st.one_of(changes, changes, changes, st.dates(date(2026, 1, 1), date(2028, 12, 31))))
    minute = draw(st.sampled_from([0, 15, 29, 30, 31, 59]))
    minutes = draw(field(0, 59, minute))
    hours = draw(field(0, 23, draw(st.sampled_from([0, 1, 2, 3, 23]))))
    days = draw(field(1, 31, day.day))
    months = draw(field(1, 12, day.month))
    weekdays = draw(field(0, 7, day.isoweekday()))
    cron = Cron(
        text=" ".join(text for text, _ in (minutes, hours, days, months, weekdays)),
        seconds=None,
        minutes=minutes[1],
        hours=hours[1],
        days=days[1],
        months=months[1],
        weekdays=frozenset(value % 7 for value in weekdays[1]),
    )
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    seconds = draw(
        st.one_of(st.integers(-18000, 90000), st.integers(-300, 1500).map(lambda m: m * 60))
    )
    after = midnight + timedelta(seconds=seconds)
    return Situation(cron, zone, after, after + draw(st.integers(0, 120)) * timedelta(minutes=15))


MOMENTS = {
    "America/New_York": ["2026-03-08T07:00Z", "2026-11-01T06:00Z"],
    "Europe/Berlin": ["2026-03-29T01:00Z", "2026-10-25T01:00Z"],
    "Australia/Lord_Howe": ["2026-04-04T15:00Z", "2026-10-03T15:30Z"],
    "Asia/Beirut": ["2026-03-28T22:00Z", "2026-10-24T21:00Z"],
    "America/Havana": ["2026-03-08T05:00Z", "2026-11-01T05:00Z"],
}
"""When the clock is changed: seconds can be walked through only close to that."""


@st.composite
def situations_with_seconds(draw: st.DrawFn) -> Situation:
    """Around a change of the clock, by an expression that often names a time which it skips or
    repeats."""
    zone = draw(st.sampled_from(sorted(MOMENTS)))
    change = instant(draw(st.sampled_from(MOMENTS[zone])))
    named = (change - SECOND).astimezone(ZoneInfo(zone)) + draw(st.integers(-60, 60)) * MINUTE
    seconds = draw(field(0, 59, draw(st.sampled_from([0, 1, 30, 59]))))
    minutes = draw(field(0, 59, named.minute))
    hours = draw(field(0, 23, named.hour))
    days = draw(st.sampled_from(["*", str(named.day)]))
    cron = Cron(
        text=f"{seconds[0]} {minutes[0]} {hours[0]} {days} * *",
        seconds=seconds[1],
        minutes=minutes[1],
        hours=hours[1],
        days=frozenset(range(1, 32)) if days == "*" else frozenset({named.day}),
        months=frozenset(range(1, 13)),
        weekdays=frozenset(range(7)),
    )
    after = change + draw(st.integers(-3600, 60)) * SECOND
    return Situation(cron, zone, after, after + draw(st.integers(0, 4500)) * SECOND)


@settings(max_examples=300, deadline=None)
@given(situations())
def test_agrees_with_a_walk_through_every_minute(situation: Situation) -> None:
    """Forwards, backwards, and from inside a gap or an overlap."""
    compare(situation)


@settings(max_examples=150, deadline=None)
@given(situations_with_seconds())
def test_with_seconds_agrees_with_a_walk_through_every_second(situation: Situation) -> None:
    """The rules are those of the minutes, a step finer."""
    compare(situation)


def compare(situation: Situation) -> None:
    cron, after, end = situation.cron, situation.after, situation.end
    expected = debian(cron, situation.zone, after, end)
    try:
        schedule = parse(cron.text, situation.zone)
    except ScheduleError:
        assert not expected  # refused since it never fires
        return

    found = []
    at = schedule.next_after(after)
    while at is not None and at <= end:
        found.append(at)
        at = schedule.next_after(at)
    assert found == expected

    assert schedule.due_between(after, end, 5000).instants == tuple(expected)
    newest = schedule.due_between(after, end, 3)
    assert newest.instants == tuple(expected[-3:])
    assert newest.omitted == (
        Omitted(expected[0], expected[-4], len(expected) - 3) if len(expected) > 3 else None
    )


@settings(max_examples=200, deadline=None)
@given(st.one_of(situations(), situations_with_seconds()))
def test_the_next_instant_is_ahead_and_the_last_one_behind(situation: Situation) -> None:
    """However far away they are: nothing lies between an instant and its neighbours."""
    try:
        schedule = parse(situation.cron.text, situation.zone)
    except ScheduleError:
        return
    following = schedule.next_after(situation.after)
    if following is not None:
        assert following > situation.after
        assert schedule.next_after(following - SECOND) == following
        assert schedule.last_before(following + SECOND) == following
        last = schedule.last_before(following)
        assert last is None or last <= situation.after


@pytest.mark.parametrize(
    ("expression", "timezone", "after", "expected"),
    [
        # skipped: once, at the first instant after the gap, however many wall times it swallowed
        ("0,30 2 * * *", "America/New_York", "2026-03-08T00:00Z", ["2026-03-08T07:00Z"]),
        ("30 0 * * *", "Asia/Beirut", "2026-03-28T00:00Z", ["2026-03-28T22:00Z"]),
        ("5 0 * * *", "America/Havana", "2026-03-08T00:00Z", ["2026-03-08T05:00Z"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", ["2026-10-03T15:30Z"]),
        # repeated: the first time only, even when asked between the two
        (
            "30 1 * * *",
            "America/New_York",
            "2026-11-01T05:00Z",
            ["2026-11-01T05:30Z", "2026-11-02T06:30Z"],
        ),
        ("30 1 * * *", "America/New_York", "2026-11-01T06:10Z", ["2026-11-02T06:30Z"]),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:00Z",
            ["2026-04-04T14:45Z", "2026-04-05T15:15Z"],
        ),
        # a wildcard follows the wall clock through both
        ("0 * * * *", "Europe/Berlin", "2026-03-29T00:30Z", ["2026-03-29T01:00Z"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["2026-03-30T00:00Z"]),
        (
            "*/30 2 25 10 *",
            "Europe/Berlin",
            "2026-10-24T23:00Z",
            ["2026-10-25T00:00Z", "2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"],
        ),
        ("* 23 24 10 *", "Asia/Beirut", "2026-10-24T20:59Z", ["2026-10-24T21:00Z"]),
        # seconds, by the same rules: fixed ones
        (
            "15,45 30 2 * * *",
            "America/New_York",
            "2026-03-08T00:00Z",
            ["2026-03-08T07:00Z", "2026-03-09T06:30:15Z"],
        ),
        (
            "15 30 1 * * *",
            "America/New_York",
            "2026-11-01T05:00Z",
            ["2026-11-01T05:30:15Z", "2026-11-02T06:30:15Z"],
        ),
        # and a wildcard
        ("*/30 59 2 * * *", "Europe/Berlin", "2026-03-29T00:00Z", ["2026-03-30T00:59Z"]),
        (
            "*/30 59 2 25 10 *",
            "Europe/Berlin",
            "2026-10-24T23:00Z",
            [
                "2026-10-25T00:59Z",
                "2026-10-25T00:59:30Z",
                "2026-10-25T01:59Z",
                "2026-10-25T01:59:30Z",
            ],
        ),
        ("* * * * * *", "Asia/Beirut", "2026-03-28T21:59:59.5Z", ["2026-03-28T22:00Z"]),
        # a year that skipped a whole day
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-29T23:00Z", ["2011-12-30T10:00Z"]),
    ],
)
def test_daylight_saving_by_example(
    expression: str, timezone: str, after: str, expected: list[str]
) -> None:
    schedule = parse(expression, timezone)
    assert instants(schedule, after, len(expected)) == expected
    start = instant(after).replace(microsecond=0) + SECOND
    end = instant(expected[-1]) + SECOND
    seconds = {(instant(text) - start) // SECOND for text in expected}
    assert members(schedule.seconds_between(start, end)) == seconds


def test_an_instant_may_be_given_in_any_zone() -> None:
    """Inside New York's repeated hour, where comparison and arithmetic in the zone itself err."""
    second_time = datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York"), fold=1)
    schedule = parse("*/30 * * * *", "America/New_York")
    assert schedule.next_after(second_time) == instant("2026-11-01T07:00Z")
    assert schedule.last_before(second_time) == instant("2026-11-01T06:00Z")


@pytest.mark.parametrize("asked", ["06:00", "06:10", "06:59"])
def test_looking_back_from_a_repeated_hour_finds_all_of_its_first_round(asked: str) -> None:
    schedule = parse("5,50 1,2 * * *", "America/New_York")
    assert schedule.last_before(instant(f"2026-11-01T{asked}Z")) == instant("2026-11-01T05:50Z")


def test_a_year_of_minutes_is_searched_from_its_newest_end() -> None:
    schedule = parse("* * * * *", "Europe/Berlin")
    now = instant("2026-11-01T06:30:30Z")
    backlog = schedule.due_between(now - timedelta(days=365), now, 100)
    assert backlog.instants[-1] == instant("2026-11-01T06:30Z")
    assert backlog.instants[0] == instant("2026-11-01T04:51Z")
    assert backlog.omitted == Omitted(
        instant("2025-11-01T06:31Z"), instant("2026-11-01T04:50Z"), 365 * 24 * 60 - 100
    )


def test_a_cursor_ahead_of_the_clock_owes_nothing() -> None:
    backlog = parse("* * * * *").due_between(
        instant("2026-06-01T12:00Z"), instant("2026-06-01T11:00Z"), 100
    )
    assert backlog.instants == ()
    assert backlog.omitted is None


def test_the_end_of_the_calendar_is_no_fault() -> None:
    end = datetime.max.replace(tzinfo=UTC)
    assert parse("0 0 1 1 *").next_after(end) is None
    assert parse("* * * * *", "Asia/Tokyo").next_after(end) is None
    assert parse("0 0 1 1 *").last_before(datetime(1, 1, 1, tzinfo=UTC)) is None


# Reading


@pytest.mark.parametrize(
    ("macro", "expression"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("@WEEKLY", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_a_macro_is_the_expression_it_stands_for(macro: str, expression: str) -> None:
    assert parse(macro).identity == parse(expression).identity


def test_identity_is_blind_to_spelling_and_nothing_else() -> None:
    schedule = parse("05 */1 * JAN-mar Mon,fri", "Europe/Berlin")
    assert schedule.identity == parse(" 5\t* *  1-3 1,5 ", "Europe/Berlin").identity
    assert schedule.identity != parse("5 * * 1-3 1,5", "UTC").identity
    assert parse("*/2 3 * * *").identity != parse("0-59/2 3 * * *").identity
    assert parse("00 5 3 * * *").identity == parse("5 3 * * *").identity
    assert parse("1 5 3 * * *").identity != parse("5 3 * * *").identity


def test_a_schedule_is_a_value() -> None:
    """Equal and hashable by what was written, so that it can be a key and be compared on reload."""
    assert {parse("0 5 * * *"): 1}[parse("0 5 * * *", "UTC")] == 1
    assert parse("0 5 * * *") != parse("0 5 * * *", "Europe/Berlin")
    assert repr(parse("0 5 * * *")) == "CronSchedule(expression='0 5 * * *', timezone='UTC')"


@pytest.mark.parametrize(("sunday"), ["0", "7", "SUN", "sun"])
def test_sunday_has_two_numbers(sunday: str) -> None:
    schedule = parse(f"0 0 * * {sunday}")
    assert instants(schedule, "2026-06-01T00:00Z", 1) == ["2026-06-07T00:00Z"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 0 * * FRI-MON", "runs backwards (write `5-6,0-1`)"),
        ("0 0 * * SAT-SUN", "runs backwards (write `6-7`, since 7 is Sunday too)"),
        ("0 22-2 * * *", "runs backwards (write `22-23,0-2`)"),
        ("0 0 * DEC-FEB *", "runs backwards (write `12,1-2`)"),
        ("0 0 * * 8", "`8` is not a weekday (allowed: 0 to 7"),
        ("60 * * * *", "`60` is not a minute (allowed: 0 to 59)"),
        ("0 24 * * *", "`24` is not a hour (allowed: 0 to 23)"),
        ("0 0 0 * *", "`0` is not a day of the month (allowed: 1 to 31)"),
        ("MON * * * *", "`MON` is not a minute"),
        ("9999999999 * * * *", "is not a minute"),
        ("*/0 * * * *", "a step is a number from 1 up"),
        ("*/MON * * * *", "a step is a number from 1 up"),
        ("0,,5 * * * *", "has an empty item"),
        ("0, * * * *", "has an empty item"),
        ("5-5/3 * * * *", "(write `5`, or `5-59/3`)"),
        ("5/15 * * * *", "(write `5-59/15`)"),
        ("* 8/2 * * *", "(write `8-23/2`)"),
        ("*-5 * * * *", "cannot be read"),
        ("1-2-3 * * * *", "cannot be read"),
        ("+5 * * * *", "cannot be read"),
        ("0 0 ? * *", "cannot be read"),
        ("٥ * * * *", "ASCII"),
        ("0 0 30 2 *", "`0 0 30 2 *` never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("0 0 31 2 */2", "never fires"),
        ("@reboot", "`@reboot` is no point in time"),
        ("@dayly", "did you mean @daily?"),
        ("@every 5m", "known are @yearly"),
        ("TZ=Europe/Berlin 0 5 * * *", "use `timezone`: `Europe/Berlin`"),
        ("CRON_TZ=UTC @daily", "use `timezone`: `UTC`"),
        ("", "has 5 fields, this one has 0"),
        ("* * *", "has 5 fields, this one has 3"),
        ("0 5 * * * root ls", "has 5 fields, this one has 7"),
        ("0 0 5 * * * 2026", "weekday; a sixth, before them, is the second)"),
        ("60 * * * * *", "`60` is not a second (allowed: 0 to 59)"),
        ("*/0 * * * * *", "`/0` is no step in the second field"),
        ("5/15 * * * * *", "(write `5-59/15`)"),
        ("50-10 * * * * *", "in the second field runs backwards (write `50-59,0-10`)"),
        ("0,,5 * * * * *", "the list `0,,5` in the second field has an empty item"),
        ("7-7/2 * * * * *", "steps through a single second (write `7`, or `7-59/2`)"),
        ("0 60 * * * *", "`60` is not a minute"),
        ("0 0 12 * * ?", "`?` in the weekday field cannot be read"),
        ("0 5 * * * root", "`ROOT` is not a weekday"),
        ("30 0 0 30 2 *", "`30 0 0 30 2 *` never fires"),
    ],
)
def test_what_debian_refuses_is_refused_with_a_hint(expression: str, message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse(expression)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 0 * * L", "`L` belongs to the day of the month field (the last Friday of a month is"),
        ("0 0 * * 15W", "`15W` belongs to the day of the month field (move it there)"),
        ("0 0 5L * *", "`5L` belongs to the weekday field (`L` is the month's last day)"),
        ("0 0 MON#2 * *", "`MON#2` belongs to the weekday field"),
        ("0 0 L-0 * *", "(write `L` for the month's last day, or `L-1` to `L-30`"),
        ("0 0 L-31 * *", "or `L-1` to `L-30`"),
        ("0 0 32W * *", "`32` is not a day of the month"),
        ("0 0 L/2 * *", "`L` is not a day of the month"),
        ("0 0 1-5W * *", "`5W` is not a day of the month"),
        ("0 0 * * MON#6", "(write `1#1` to `1#5`, or `1L` for the month's last)"),
        ("0 0 * * MON#0", "cannot be read"),
        ("0 0 * * 8L", "`8` is not a weekday"),
        ("0 0 * * XYL", "`XY` is not a weekday"),
        ("0 0 31W 2 *", "never fires"),
        ("0 0 L-30 2 *", "never fires"),
        ("0 0 L-30 4 */2", "never fires"),
        ("0 0 15W * */6", "never fires"),  # Saturdays and Sundays
        ("L * * * *", "`L` is not a minute"),
        ("H/0 * * * *", "has no step from 2 to 60 (write `*` for each value, or `H` for one)"),
        ("H/1 * * * *", "has no step from 2 to 60"),
        ("H(0-29)/31 * * * *", "has no step from 2 to 30"),
        ("H(9-5) * * * *", "runs backwards"),
        ("H(0-60) * * * *", "`60` is not a minute"),
        ("H-5 * * * *", "`H` is not a minute"),
    ],
)
def test_what_no_scheduler_knows_is_refused_with_a_hint(expression: str, message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse(expression, name="nightly")
    assert message in str(caught.value)


def test_a_hash_is_of_the_name_so_that_equal_text_is_no_equal_schedule() -> None:
    """What one entry was told when it asked is not what the other is told."""
    first, second = (parse("H H * * *", name=name) for name in ("nightly", "weekly"))
    assert first != second
    asked = instant("2026-07-01T00:00Z")
    assert first.next_after(asked) != second.next_after(asked)


def test_a_hash_needs_a_name() -> None:
    with pytest.raises(ScheduleError, match="made of an entry's name"):
        parse("H * * * *")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * * *", ["12:00:01", "12:00:02", "12:00:03"]),
        ("*/20 * * * * *", ["12:00:20", "12:00:40", "12:01"]),
        ("5-7,58 * * * * *", ["12:00:05", "12:00:06", "12:00:07", "12:00:58", "12:01:05"]),
        ("10-50/20 15 * * * *", ["12:15:10", "12:15:30", "12:15:50", "13:15:10"]),
        ("30 0 13 * * *", ["13:00:30"]),
    ],
)
def test_of_six_fields_the_first_is_the_second(expression: str, expected: list[str]) -> None:
    found = instants(parse(expression), "2026-06-01T12:00Z", len(expected))
    assert found == [f"2026-06-01T{time}Z" for time in expected]


def test_july_is_a_month_although_it_ends_in_l() -> None:
    assert instants(parse("0 0 1 JUL *"), "2026-01-01T00:00Z", 1) == ["2026-07-01T00:00Z"]


@pytest.mark.parametrize(
    ("timezone", "message"),
    [
        ("Europe/Berln", "did you mean Europe/Berlin?"),
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("America", "write an IANA name"),
        ("", "write an IANA name"),
        ("../etc/passwd", "write an IANA name"),
        ("UTC\0", "no time zone"),
        ("+02:00", "write an IANA name"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_name(timezone: str, message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse("0 5 * * *", timezone)
    assert message in str(caught.value)


@given(st.text(alphabet="0123456789*/-,LW#H() @ MONa?~\x00é", max_size=30))
@example("0 0 * * " + "9" * 5000)
@example("*/" + "9" * 5000 + " * * * *")
def test_any_text_is_read_or_refused(text: str) -> None:
    """No other error escapes the parser, and what it took fires and can be put into words."""
    try:
        schedule = parse(text, name="nightly")
    except ScheduleError:
        return
    schedule.warnings()
    assert re.match(r"(at|every) .*\w", schedule.words)
    assert schedule.next_after(instant("2026-06-01T00:00Z")) is not None


# Warnings


@pytest.mark.parametrize(
    ("expression", "timezone", "expected"),
    [
        ("0 5 * * *", "Europe/Berlin", []),
        ("*/15 * * * *", "Europe/Berlin", []),
        ("0 5 13 * 5", "UTC", ["days that match either of them"]),
        ("0 5 */2 * 5", "UTC", ["days that match both", "after 31 comes 1 again"]),
        ("*/40 * * * *", "UTC", ["`*/40` in the minute field is uneven: after 40 comes 0 again"]),
        ("0 */5 * * *", "UTC", ["`*/5` in the hour field is uneven: after 20 comes 0 again"]),
        (
            "30 2 * * *",
            "America/New_York",
            ["02:30 is skipped when the clock goes from 02:00 to 03:00 in America/New_York: it "
             "fires at 03:00 on that day"],
        ),
        ("*/30 2 * * *", "America/New_York", ["does not fire then"]),
        ("30 1 * * *", "America/New_York", ["fires the first time only"]),
        ("*/30 1 * * *", "America/New_York", ["fires both times"]),
        ("30 2 * * 1-5", "America/New_York", []),  # the clock is changed on Sundays
        ("5 0 * * *", "America/Havana", ["00:05 is skipped", "00:05 is repeated"]),
        ("45 1 * * *", "Australia/Lord_Howe", ["goes back from 02:00 to 01:30"]),
        ("30 2 * * *", "Asia/Kolkata", []),
        ("*/15 * * * * *", "Europe/Berlin", []),
        ("*/40 * * * * *", "UTC", ["`*/40` in the second field is uneven"]),
        ("5 30 2 * * *", "Europe/Berlin", ["02:30:05 is skipped", "02:30:05 is repeated"]),
        ("*/5 30 2 * * *", "America/New_York", ["does not fire then"]),
        ("H/40 * * * *", "UTC", ["`H/40` in the minute field is uneven: 60 is no multiple of 40"]),
        ("0 0 H/5 * *", "UTC", ["`H/5` takes days from 1 to 28"]),
        ("H(0-29)/20 H/6 * * *", "UTC", []),
        ("0 5 L * FRI", "UTC", ["days that match either of them"]),
        ("0 5 15W * */2", "UTC", ["days that match both", "after 6 comes 0 again"]),
    ],
)  # fmt: skip
def test_what_is_easily_misread_is_warned_about(
    expression: str, timezone: str, expected: list[str]
) -> None:
    warnings = parse(expression, timezone, "nightly").warnings()
    assert len(warnings) == len(expected)
    for text, part in zip(warnings, expected, strict=True):
        assert part in text
