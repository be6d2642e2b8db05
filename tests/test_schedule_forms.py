"""All forms of schedules against a slow second opinion, and what each of them promises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from daemon.bounds import Bounded
from daemon.cron import CronSchedule, parse
from daemon.errors import ScheduleError
from daemon.exclusion import exclusion, parse_exclusion
from daemon.intervals import Interval, OneTime
from daemon.schedule import TICK, Omitted, Schedule
from daemon.spread import jitter, spread
from tests.schedule_oracle import (
    CHANGES,
    DAY,
    MINUTE,
    SECOND,
    Rule,
    cron_walk,
    day_rules,
    dense,
    every_walk,
    members,
    rules,
    stretches,
    utc,
)

NAMES = ("nightly", "a", "build-every-system")
HOUR = timedelta(hours=1)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def found(schedule: Schedule, after: datetime, end: datetime) -> list[datetime]:
    instants = []
    at = schedule.next_after(after)
    while at is not None and at <= end:
        instants.append(at)
        at = schedule.next_after(at)
    return instants


def shown(schedule: Schedule, after: str, count: int) -> list[str]:
    at: datetime | None = instant(after)
    texts: list[str] = []
    while len(texts) < count and at is not None and (at := schedule.next_after(at)):
        texts.append(f"{at:%Y-%m-%d %H:%M:%S}".removesuffix(":00"))
    return texts


def without(schedule: Schedule, *excluded: str) -> Bounded:
    items = exclusion(parse_exclusion(text, "nightly") for text in excluded)
    return Bounded(schedule, excluded=items)


def parsed(text: str, zone: str, name: str) -> CronSchedule | None:
    """None for what is refused since it never fires."""
    try:
        return parse(text, zone, name)
    except ScheduleError as error:
        if "never fires" not in str(error):
            raise
        return None


def agree(schedule: Schedule, expected: list[datetime], after: datetime, end: datetime) -> None:
    """Forwards, backwards, cut off, and as a set of the seconds of the first days."""
    assert found(schedule, after, end) == expected
    assert schedule.due_between(after, end, 100_000).instants == tuple(expected)
    newest = schedule.due_between(after, end, 3)
    assert newest.instants == tuple(expected[-3:])
    assert newest.omitted == (
        Omitted(expected[0], expected[-4], len(expected) - 3) if len(expected) > 3 else None
    )
    start, end = after + SECOND, min(end, after + 3 * DAY) + SECOND
    seconds = {(at - start) // SECOND for at in expected if at < end}
    assert members(schedule.seconds_between(start, end)) == seconds


# Second opinions


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_days_of_every_form_are_those_of_a_calendar_written_out(data: st.DataObject) -> None:
    """Over fourteen months from anywhere in two centuries, under both of Debian's day rules."""
    first = data.draw(st.dates(date(1970, 1, 1), date(2170, 1, 1)))
    name = data.draw(st.sampled_from(NAMES))
    rule = data.draw(day_rules(first, name))
    days = [first + DAY * number for number in range(425)]
    expected = [utc(day, "UTC") + 12 * HOUR for day in days if rule.names_day(day)]
    schedule = parsed(rule.text, "UTC", name)
    if schedule is None:
        assert expected == []
        return
    agree(schedule, expected, utc(first, "UTC"), utc(first, "UTC") + 425 * DAY)


@dataclass(frozen=True)
class Around:
    """A few days around a day on which most often the clock is changed."""

    zone: str
    near: datetime
    after: datetime
    end: datetime


@st.composite
def arounds(draw: st.DrawFn, *, longest: timedelta) -> Around:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    changes = st.sampled_from(CHANGES[zone])
    day = draw(st.one_of(changes, changes, changes, st.dates(date(2000, 1, 1), date(2060, 1, 1))))
    hour = draw(st.sampled_from([0, 1, 2, 3, 12, 23]))
    minute = draw(st.sampled_from([0, 15, 29, 30, 31, 59]))
    near = datetime(day.year, day.month, day.day, hour, minute)  # noqa: DTZ001  a wall time
    after = near.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    after += draw(st.integers(-30 * 3600, 6 * 3600)) * SECOND
    if longest < DAY:  # too short to be anywhere near otherwise
        after = near.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        after -= draw(st.integers(0, 1200)) * SECOND
    return Around(zone, near, after, after + draw(st.integers(1, longest // MINUTE)) * MINUTE)


@settings(max_examples=80, deadline=None)
@given(arounds(longest=2 * DAY), st.sampled_from(NAMES), st.data())
def test_every_form_of_expression_agrees_with_a_walk_through_every_minute(
    around: Around, name: str, data: st.DataObject
) -> None:
    assume(around.zone != "Pacific/Apia")  # Debian's cron gives up over more than three hours
    rule = data.draw(rules(around.near, name))
    expected = list(cron_walk(rule, ZoneInfo(around.zone), around.after, around.end))
    schedule = parsed(rule.text, around.zone, name)
    if schedule is None:
        assert expected == []
        return
    agree(schedule, expected, around.after, around.end)


@st.composite
def exclusions(
    draw: st.DrawFn, around: Around, name: str, *, seconds: bool
) -> tuple[str, Rule | tuple[date, date]]:
    form = draw(st.sampled_from(["stretch", "stretch", "rule", "dates"]))
    if form == "stretch":
        rule = draw(stretches(around.near))
        return rule.text, rule
    if form == "rule":
        rule = draw(rules(around.near, name, seconds=seconds and draw(st.booleans())))
        return rule.text, rule
    first = around.near.date() + draw(st.integers(-2, 2)) * DAY
    last = first + draw(st.integers(0, 2)) * DAY
    return (f"{first}" if first == last else f"{first}/{last}"), (first, last)


def leaves_out(what: Rule | tuple[date, date], wall: datetime) -> bool:
    if isinstance(what, Rule):
        return what.names(wall, whole_minutes=True)
    return what[0] <= wall.date() <= what[1]


def compare_bounded(
    around: Around, name: str, inner: Schedule, expected: list[datetime], data: st.DataObject
) -> None:
    """``inner`` within bounds and without what is drawn, against ``expected`` cut down likewise."""
    seconds = around.end - around.after < DAY
    left_out = data.draw(st.lists(exclusions(around, name, seconds=seconds), max_size=4))
    moments = st.one_of(
        st.none(),
        st.integers(0, (around.end - around.after) // SECOND).map(
            lambda ahead: around.after + ahead * SECOND
        ),
        st.sampled_from([*expected, None]),
    )
    start_at, end_at = data.draw(moments), data.draw(moments)
    zone = ZoneInfo(around.zone)
    left_out = [
        (text, what)
        for text, what in left_out
        if not isinstance(what, Rule) or parsed(text, "UTC", name)
    ]
    items = [parse_exclusion(text, name) for text, _ in left_out]
    kept = [
        at
        for at in expected
        if (start_at is None or at >= start_at)
        and (end_at is None or at <= end_at)
        and not any(leaves_out(what, at.astimezone(zone)) for _, what in left_out)
    ]
    schedule = Bounded(inner, start_at, end_at, exclusion(items))
    agree(schedule, kept, around.after, around.end)


@settings(max_examples=80, deadline=None)
@given(arounds(longest=2 * DAY), st.sampled_from(NAMES), st.data())
def test_bounds_and_exclusions_agree_with_a_walk_through_every_minute(
    around: Around, name: str, data: st.DataObject
) -> None:
    assume(around.zone != "Pacific/Apia")
    rule = data.draw(
        st.one_of(st.sampled_from([dense(10), dense(1)]), rules(around.near, name, daily=True))
    )
    inner = parse(rule.text, around.zone, name)
    expected = list(cron_walk(rule, ZoneInfo(around.zone), around.after, around.end))
    compare_bounded(around, name, inner, expected, data)


@settings(max_examples=60, deadline=None)
@given(arounds(longest=20 * MINUTE), st.sampled_from(NAMES), st.data())
def test_with_seconds_they_agree_with_a_walk_through_every_second(
    around: Around, name: str, data: st.DataObject
) -> None:
    assume(around.zone != "Pacific/Apia")
    rule = data.draw(rules(around.near, name, seconds=True, daily=True))
    inner = parse(rule.text, around.zone, name)
    expected = list(cron_walk(rule, ZoneInfo(around.zone), around.after, around.end))
    compare_bounded(around, name, inner, expected, data)


@settings(max_examples=60, deadline=None)
@given(arounds(longest=2 * DAY), st.data())
def test_intervals_agree_with_a_count_of_seconds(around: Around, data: st.DataObject) -> None:
    every = data.draw(st.sampled_from([1, 5, 7, 15, 60, 90, 120, 1440, 2881])) * MINUTE
    offset = data.draw(st.integers(0, 3000)) * MINUTE
    inner = Interval(every, offset, around.zone)
    expected = list(every_walk(every, offset, around.after, around.end))
    agree(inner, expected, around.after, around.end)
    compare_bounded(around, "a", inner, expected, data)


@settings(max_examples=60, deadline=None)
@given(arounds(longest=40 * DAY), st.sampled_from(NAMES), st.data())
def test_what_is_counted_by_the_month_is_what_there_is_one_by_one(
    around: Around, name: str, data: st.DataObject
) -> None:
    """Also over the days on which the clock is changed."""
    rule = data.draw(
        st.one_of(st.sampled_from([dense(10), dense(1)]), rules(around.near, name, daily=True))
    )
    inner: Schedule = parse(rule.text, around.zone, name)
    inner = data.draw(st.sampled_from([inner, Interval(7 * MINUTE, timedelta(), around.zone)]))
    left_out = data.draw(st.lists(exclusions(around, name, seconds=False), max_size=2))
    texts = [
        text for text, what in left_out if not isinstance(what, Rule) or parsed(text, "UTC", name)
    ]
    schedule = without(inner, *texts) if texts else inner
    every = found(schedule, around.after, around.end)
    assert schedule.count(around.after + SECOND, around.end) == len(every)


@given(st.sampled_from(sorted(CHANGES)), st.data())
def test_what_an_exclusion_leaves_is_found_however_far_away(zone: str, data: st.DataObject) -> None:
    """Nothing lies between an instant and its neighbours, when most of what there is is left
    out."""
    near = datetime(2026, 3, 8, 2, 30)  # noqa: DTZ001  a wall time
    rule = data.draw(rules(near, "a"))
    if parsed(rule.text, "UTC", "nightly") is None:
        return
    schedule = without(parse("*/20 * * * *", zone), rule.text)
    at = data.draw(st.sampled_from(CHANGES[zone]))
    after = utc(at, zone) + data.draw(st.integers(-DAY // MINUTE, DAY // MINUTE)) * MINUTE
    following = schedule.next_after(after)
    if following is None:
        assert schedule.last_before(after) is None
        return
    assert following > after
    assert schedule.last_before(following + SECOND) == following
    before = schedule.last_before(following)
    assert before is None or before <= after


@settings(max_examples=40, deadline=None)
@given(arounds(longest=2 * DAY), st.data())
def test_the_set_of_seconds_is_what_is_found_one_by_one(
    around: Around, data: st.DataObject
) -> None:
    """Also over a day that never was, and for instants within a second."""
    schedule: Schedule | None
    if data.draw(st.booleans()):
        schedule = parsed(data.draw(rules(around.near, "a")).text, around.zone, "a")
    else:
        at = around.after + timedelta(microseconds=data.draw(st.integers(-(10**9), 10**9)))
        bound = around.after + timedelta(microseconds=data.draw(st.integers(-(10**9), 10**9)))
        schedule = Bounded(OneTime(at, around.zone), start_at=bound)
    assume(schedule is not None)
    assert schedule is not None
    expected = found(schedule, around.after - TICK, around.end - TICK)
    seconds = {(at - around.after) // SECOND for at in expected}
    assert members(schedule.seconds_between(around.after, around.end)) == seconds


# By example


BERLIN, NEWFOUNDLAND = "Europe/Berlin", "America/St_Johns"


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        # `nW` stays within its month, on either side
        (parse("0 0 1W 8 *"), "2026-01-01T00:00Z", ["2026-08-03 00:00"]),  # a Saturday
        (parse("0 0 31W 5 *"), "2026-01-01T00:00Z", ["2026-05-29 00:00"]),  # a Sunday
        (parse("0 0 30W 2,3 *"), "2026-01-01T00:00Z", ["2026-03-30 00:00", "2027-03-30 00:00"]),
        (parse("0 0 L-29 * *"), "2026-04-02T00:00Z", ["2026-05-02 00:00", "2026-06-01 00:00"]),
        # a skipped time that fires after the gap is judged by the clock then
        (
            without(parse("30 2 * * *", BERLIN), "* 2 * * *"),
            "2026-01-01T00:00Z",
            ["2026-03-29 01:00", "2027-03-28 01:00"],
        ),
        # what is left of the second round of a repeated hour
        (
            without(parse("*/20 * * * *", BERLIN), "20-59 2 * * *", "* 3 * * *"),
            "2026-10-25T00:00Z",
            ["2026-10-25 01:00", "2026-10-25 03:00"],
        ),
        # and behind a gap
        (
            without(parse("*/30 * * * *", BERLIN), "30-59 1 * * *", "* 2 * * *", "0-29 3 * * *"),
            "2026-03-29T00:00Z",
            ["2026-03-29 01:30", "2026-03-29 02:00"],
        ),
        # the clock went back into a day before the one that is left out
        (
            without(parse("*/30 * * * *", NEWFOUNDLAND), "2007-11-04/2007-11-05"),
            "2007-11-04T02:00Z",
            ["2007-11-04 03:00", "2007-11-06 03:30"],
        ),
        # an expression of five fields leaves out whole minutes, one of six a second
        (without(parse("0,30 * * * * *"), "* * * * *"), "2026-01-01T00:00Z", []),
        (
            without(parse("0,30 * * * * *"), "0 * * * * *"),
            "2026-01-01T00:00Z",
            ["2026-01-01 00:00:30", "2026-01-01 00:01:30"],
        ),
        # both ends of a range of dates, on the clock of the zone
        (
            without(parse("0 0 * * *", BERLIN), "2026-12-24/2027-01-01"),
            "2026-12-22T23:00Z",
            ["2027-01-01 23:00"],
        ),
        # decades away
        (
            without(parse("0 0 29 2 */7"), "2027-01-01/2095-12-31"),
            "2026-01-01T00:00Z",
            ["2128-02-29 00:00"],
        ),
        (Interval(90 * MINUTE, 15 * MINUTE), "2026-01-01T00:00Z", ["2026-01-01 00:15"]),
        (
            OneTime(instant("2030-01-01T00:00:00+02:00")),
            "2026-01-01T00:00Z",
            ["2029-12-31 22:00"],
        ),
    ],
)
def test_by_example(schedule: Schedule, after: str, expected: list[str]) -> None:
    assert shown(schedule, after, max(1, len(expected))) == expected
    for text in expected:
        at = instant(f"{text.replace(' ', 'T')}Z")
        assert schedule.last_before(at + SECOND) == at


def test_looking_back_over_days_that_are_left_out_finds_what_came_twice_before_them() -> None:
    """At 00:01 the clock in St. John's went back into the day before."""
    schedule = without(parse("*/30 * * * *", NEWFOUNDLAND), "2007-11-04/2007-11-05")
    assert schedule.last_before(instant("2007-11-06T03:00Z")) == instant("2007-11-04T03:00Z")


def test_looking_back_over_a_gap_finds_what_is_left_before_it() -> None:
    schedule = without(parse("*/30 * * * *", BERLIN), "* 2 * * *", "0-29 3 * * *")
    assert schedule.last_before(instant("2026-03-29T01:10Z")) == instant("2026-03-29T00:30Z")


@pytest.mark.parametrize(
    ("schedule", "excluded"),
    [
        (parse("* * * * * *", BERLIN), ["* * * * *"]),
        (parse("*/15 * * * *", BERLIN), ["0-29 * * * *", "30-59 * * * *"]),
        (parse("0 0 25 12 *"), ["* * 25 12 *"]),
        (parse("0 12 15W * *"), ["* * * * 1-5"]),
        (Interval(7 * MINUTE, timezone=BERLIN), ["* * * 1-6 *", "* * * 7-12 *"]),
        (Interval(6 * SECOND), ["*/6 * * * * *"]),
        (OneTime(instant("2026-12-25T12:00Z")), ["2026-12-25"]),
    ],
)
def test_nothing_left_is_found_out_in_bounded_time(schedule: Schedule, excluded: list[str]) -> None:
    bounded = without(schedule, *excluded)
    assert bounded.next_after(instant("2026-01-01T00:00Z")) is None
    assert bounded.last_before(instant("2026-01-01T00:00Z")) is None


def test_a_century_of_an_interval_is_searched_from_its_newest_end() -> None:
    now = instant("2026-11-23T12:00:30Z")
    backlog = Interval(MINUTE).due_between(now - 36_500 * DAY, now, 100)
    assert backlog.instants[-1] == instant("2026-11-23T12:00Z")
    assert len(backlog.instants) == 100
    assert backlog.omitted is not None
    assert backlog.omitted.last == backlog.instants[0] - MINUTE
    assert backlog.omitted.count == 36_500 * 24 * 60 - 100


# Identity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Interval(HOUR), Interval(60 * MINUTE, 2 * HOUR, "Europe/Berlin")),
        (Interval(HOUR, 90 * MINUTE), Interval(HOUR, 30 * MINUTE)),
        (OneTime(instant("2026-01-01T00:00Z")), OneTime(instant("2026-01-01T01:00+01:00"))),
        (
            Bounded(Interval(HOUR), instant("2026-01-01T00:00Z")),
            Bounded(Interval(HOUR), datetime(2026, 1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))),
        ),
        (
            without(Interval(HOUR), "2026-12-25", "2026-12-26/2026-12-31", "* * * * SAT,SUN"),
            without(Interval(HOUR), "*  *  * * 6,0", "2026-12-25/2026-12-31"),
        ),
        (parse("0 0 * * FRIL"), parse("0 0 * * 5L")),
        (parse("0 0 * * 7#2"), parse("0 0 * * SUN#2")),
    ],
)
def test_a_cursor_holds_for_another_spelling(one: Schedule, other: Schedule) -> None:
    assert one.identity == other.identity


def test_a_cursor_does_not_hold_for_other_instants() -> None:
    hourly = Interval(HOUR)
    at = instant("2026-01-01T00:00Z")
    schedules: list[Schedule] = [
        hourly,
        Interval(HOUR, MINUTE),
        Interval(2 * HOUR),
        OneTime(at),
        OneTime(at + SECOND),
        Bounded(hourly, start_at=at),
        Bounded(hourly, end_at=at),
        without(hourly, "2026-12-25"),
        without(Interval(HOUR, timezone=BERLIN), "2026-12-25"),
        without(hourly, "* * 25 12 *"),
        without(parse("* * * * * *"), "0 * * * * *"),
        without(parse("* * * * * *"), "* * * * *"),
        parse("0 0 L * *"),
        parse("0 0 L-1 * *"),
        parse("0 0 15W * *"),
        parse("0 0 15 * *"),
        parse("H H * * *", name="a"),
        parse("H H * * *", name="b"),
    ]
    assert len({schedule.identity for schedule in schedules}) == len(schedules)


# What is made of names


def test_hashes_stay_what_they_are() -> None:
    """Another version that moves them would move everybody's schedules."""
    assert [spread(60, name, "minute") for name in NAMES] == [42, 57, 53]
    assert shown(parse("H H(0-7) * * *", name="nightly"), "2026-01-01T00:00Z", 1) == [
        "2026-01-01 02:42"
    ]
    put_off = jitter("nightly", instant("2026-01-01T00:00Z"), HOUR)
    assert put_off == timedelta(seconds=941, microseconds=86160)
    same = datetime(2026, 1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert jitter("nightly", same, HOUR) == put_off


@given(st.text(max_size=20), st.datetimes(timezones=st.just(UTC)), st.integers(0, 10**9))
def test_jitter_stays_within_its_span(name: str, at: datetime, seconds: int) -> None:
    span = seconds * SECOND
    assert timedelta() <= jitter(name, at, span) <= span
    assert jitter(name, at, span) < span or not span


def test_names_are_spread_over_the_hour() -> None:
    minutes = [spread(60, f"entry-{number}", "minute") for number in range(6000)]
    assert set(minutes) == set(range(60))
    assert max(minutes.count(minute) for minute in range(60)) < 150  # 100 on average


@pytest.mark.parametrize("expression", ["@hourly", "@daily", "@weekly", "@monthly", "@yearly"])
def test_macros_are_not_hashed(expression: str) -> None:
    """Unlike Jenkins': ``@daily`` is midnight, as Debian's."""
    assert parse(expression, name="a").identity == parse(expression, name="b").identity
