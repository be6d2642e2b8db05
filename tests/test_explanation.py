"""What a schedule is said to do, in words. The words are read back here by a reader of their own,
which knows nothing of cron, and compared with what the schedule means."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.cron import parse
from daemon.crontab import plain
from daemon.errors import ScheduleError
from daemon.explanation import days_explained, explained, times_explained
from tests.schedule_oracle import (
    DAY,
    Meant,
    before_last,
    is_last,
    is_last_working,
    last_weekday,
    nearest_to,
    nth_weekday,
    rules,
)

MONTHS = [f"{date(2026, month, 1):%B}" for month in range(1, 13)]
WEEKDAYS = [f"{date(2026, 6, day):%A}" for day in range(1, 8)]  # the 1st is a Monday
MONTH = f"(?:{'|'.join(MONTHS)})"
MONTH_LIST = re.compile(rf"{MONTH}(?: to {MONTH})?(?:(?:, | and ){MONTH}(?: to {MONTH})?)*")
CYCLES = {"second": 60, "minute": 60, "hour": 24}
SIZES = {"second": 1, "minute": 60, "hour": 3600}


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("30 3 * * *", "at 03:30 every day"),
        ("0 8,20 * * *", "at 08:00 and 20:00 every day"),
        ("*/15 8-18 * * MON-FRI", "every 15 minutes from 08:00 to 18:45 on Monday to Friday"),
        ("0 9-12,14-18 * * *", "every hour from 09:00 to 12:00 and every hour from 14:00 to 18:00"),
        ("* * * * *", "every minute"),
        ("*/20 * * * * *", "every 20 seconds"),
        ("30 * * * * *", "every minute at second 30"),
        ("30 0 3 * * *", "at 03:00:30 every day"),
        ("*/10 5 3 * * *", "every 10 seconds from 03:05:00 to 03:05:50"),
        ("@hourly", "every hour at minute 0"),
        ("0 */5 * * *", "every 5 hours from 00:00 to 20:00"),
        ("*/40 * * * *", "at minutes 0 and 40 of every hour"),
        ("*/7 * * * *", "at every 7th minute from 0 to 56 of every hour"),
        ("0 0 L * *", "at 00:00 on the last day of the month"),
        ("0 0 LW * *", "at 00:00 on the last working day of the month"),
        ("0 0 L-3 * *", "at 00:00 on the 4th day from the end of the month"),
        ("0 0 15W * *", "at 00:00 on the working day nearest to the 15th of the month"),
        ("0 0 * * 5L", "at 00:00 on the last Friday of the month"),
        ("0 0 * 3 MON#2", "at 00:00 on the 2nd Monday of March"),
        ("0 0 * * MON#5", "at 00:00 on the 5th Monday of the month (where there is one)"),
        ("0 0 31 * *", "at 00:00 on the 31st of the month (where there is one)"),
        ("0 0 31 1,3 *", "at 00:00 on the 31st of January and March"),
        ("0 0 13 * FRI", "at 00:00 on the 13th of the month, and also on Friday"),
        ("0 0 */2 * FRI", "at 00:00 on every 2nd day from the 1st to the 31st of the month "
         "(where there is one), if that is Friday"),
        ("0 0 1-31 * MON", "at 00:00 every day"),  # either matches, and one always does
        ("0 0 * 6-8 *", "at 00:00 every day in June to August"),
    ],
)  # fmt: skip
def test_words_by_example(expression: str, words: str) -> None:
    assert explained(plain(expression)) == words
    assert parse(expression).words == words


@pytest.mark.parametrize(
    "spellings",
    [
        ["0 0 * * 0", "0 0 * * SUN", "0 0 * * 7", "00 00 * * sun,7", "@weekly"],
        ["*/15 * * * *", "0,15,30,45 * * * *", "0-45/15 * * * *", "0 */15 0-23 * * *"],
        ["0 0 1 1 *", "@yearly", "@annually", "0 0 0 1 JAN *"],
        ["0 0 L,1 * *", "0 0 1,L * *", "0 0 1,L,1 * *"],
        ["0 0 * * 1-5", "0 0 * * FRI,TUE-THU,MON"],
        ["0 0 1-31 * MON", "0 0 * * *", "@daily"],
    ],
)
def test_spellings_of_the_same_have_the_same_words(spellings: list[str]) -> None:
    assert len({explained(plain(spelling)) for spelling in spellings}) == 1


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_words_say_what_the_schedule_does_and_nothing_else(data: st.DataObject) -> None:
    near = data.draw(st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)))  # noqa: DTZ001
    rule = data.draw(rules(near, "nightly", seconds=data.draw(st.booleans())))
    try:
        fields = plain(rule.text, "nightly")
        parse(rule.text, "UTC", "nightly")
    except ScheduleError as error:
        if "never fires" not in str(error):
            raise
        return
    times = {
        hour * 3600 + minute * 60 + second
        for hour in rule.hours
        for minute in rule.minutes
        for second in rule.seconds or {0}
    }
    assert read_times(times_explained(fields)) == times
    meant = read_days(days_explained(fields))
    days = [near.date() + DAY * number for number in range(430)]
    assert [day for day in days if meant(day)] == [day for day in days if rule.names_day(day)]
    assert explained(fields).startswith(times_explained(fields))


# The reader


def read_times(text: str) -> set[int]:
    """The seconds of a day."""
    if re.match(r"at (every|second|minute)", text):
        return by_field(text.removeprefix("at "))
    if found := re.fullmatch(r"every (hour|minute) at (?:minute|second) (\d+)", text):
        step = SIZES[found[1]]
        return set(range(int(found[2]) * step // 60, 86_400, step))
    times: set[int] = set()
    for row in re.split(r"(?:, | and )(?=every |at )", text):
        if row.startswith("at "):
            times |= {clock(each) for each in items(row.removeprefix("at "))}
            continue
        found = re.fullmatch(r"every (?:(\d+) )?([a-z]+?)s?(?: from (\S+) to (\S+))?", row)
        assert found, row
        last = clock(found[4]) if found[4] else 86_399
        step = int(found[1] or 1) * SIZES[found[2]]
        times |= set(range(clock(found[3] or "00:00"), last + 1, step))
    return times


def by_field(text: str) -> set[int]:
    named = {"second": {0}, "minute": set(range(60)), "hour": set(range(24))}
    for part in text.split(" of "):
        if found := re.fullmatch(r"every (\w+)", part):
            named[found[1]] = set(range(CYCLES[found[1]]))
        elif found := re.fullmatch(r"every (\d+)\w\w (\w+) from (\d+) to (\d+)", part):
            named[found[2]] = set(range(int(found[3]), int(found[4]) + 1, int(found[1])))
        else:
            unit, _, listed = part.partition(" ")
            named[unit.removesuffix("s")] = {
                number for each in items(listed) for number in spread_out(each, int)
            }
    return {
        hour * 3600 + minute * 60 + second
        for hour in named["hour"]
        for minute in named["minute"]
        for second in named["second"]
    }


def clock(text: str) -> int:
    hours, minutes, seconds = (*map(int, text.split(":")), 0)[:3]
    return hours * 3600 + minutes * 60 + seconds


def items(text: str) -> list[str]:
    return re.split(r", | and | or ", text)


def spread_out(text: str, number: Callable[[str], int]) -> range:
    first, _, last = text.partition(" to ")
    return range(number(first), number(last or first) + 1)


def read_days(text: str) -> Meant:
    months = {
        MONTHS[number]
        for found in set(MONTH_LIST.findall(text))
        for each in items(found)
        for number in spread_out(each, MONTHS.index)
    } or set(MONTHS)
    text = MONTH_LIST.sub("the month", text).replace(" (where there is one)", "")
    text = text.replace(" in the month", "")
    if text == "every day":
        return lambda day: f"{day:%B}" in months
    text = text.removeprefix("on ")
    if ", if that is " in text:
        both = [any_of(part) for part in text.split(", if that is ")]
        return lambda day: f"{day:%B}" in months and all(meant(day) for meant in both)
    either = [any_of(part) for part in text.split(", and also on ")]
    return lambda day: f"{day:%B}" in months and any(meant(day) for meant in either)


def any_of(text: str) -> Meant:
    meant = [read_day(each.removesuffix(" of the month")) for each in items(text)]
    return lambda day: any(each(day) for each in meant)


def read_day(text: str) -> Meant:
    """One item: ``Monday to Friday``, ``the last day``, ``the 1st to the 7th``."""
    if text.split()[0] in WEEKDAYS:
        weekdays = spread_out(text, WEEKDAYS.index)
        return lambda day: day.weekday() in weekdays
    if text in ("the last day", "the last working day"):
        return is_last if text == "the last day" else is_last_working
    if found := re.fullmatch(r"the last (\w+)", text):
        return last_weekday(WEEKDAYS.index(found[1]) + 1)
    if found := re.fullmatch(r"the (\d)\w\w (\w+day)", text):
        return nth_weekday(WEEKDAYS.index(found[2]) + 1, int(found[1]))
    if found := re.fullmatch(r"the (\d+)\w\w day from the end", text):
        return before_last(int(found[1]) - 1)
    if found := re.fullmatch(r"the working day nearest to the (\d+)\w\w", text):
        return nearest_to(int(found[1]))
    step = 1
    if found := re.match(r"every (\d+)\w\w day from ", text):
        step, text = int(found[1]), text[found.end() :]
    found = re.fullmatch(r"the (\d+)\w\w(?: to the (\d+)\w\w)?", text)
    assert found, text
    days = range(int(found[1]), int(found[2] or found[1]) + 1, step)
    return partial(lambda days, day: day.day in days, days)
