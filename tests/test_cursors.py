"""Where schedules are taken up at a start, and what is said of instants that the config no longer
explains. Nothing is skipped without a word, nothing fires twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.bounds import Bounded
from daemon.cron import parse
from daemon.cursors import AHEAD, Cursor, TakenUp, take_up
from daemon.errors import ScheduleError
from daemon.exclusion import exclusion, parse_exclusion
from daemon.identity import revived
from daemon.incident import IncidentKind
from daemon.intervals import Interval, OneTime
from daemon.schedule import Schedule
from daemon.spec import CatchUp, CronSpec
from tests.schedule_oracle import rules

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOURLY = parse("0 * * * *")


def cron(name: str, schedule: Schedule = HOURLY, *, enabled: bool = True) -> CronSpec:
    return CronSpec(name, "", enabled, schedule, CatchUp.LATEST, ())


def cursor(name: str, at: datetime, schedule: Schedule = HOURLY) -> Cursor:
    return Cursor(name, schedule.identity, at, schedule.utc_offset(at))


def taken(*crons: CronSpec, standing: tuple[Cursor, ...] = (), now: datetime = NOW) -> TakenUp:
    return take_up(crons, {each.cron: each for each in standing}, now)


def test_a_new_entry_starts_at_now() -> None:
    result = taken(cron("build"))
    assert result.cursors == {"build": NOW}
    assert result.begun == [Cursor("build", "0 * * * * UTC", NOW, timedelta())]
    assert (result.ended, result.left, result.remarks) == ([], [], [])


def test_an_entry_whose_schedule_is_the_same_goes_on_from_its_cursor() -> None:
    """Whatever else of it was changed: its payload, its description, how its times are written."""
    changed = replace(cron("build", parse("@hourly")), description="another", jitter=MINUTE)
    result = taken(changed, standing=(cursor("build", NOW - 2 * DAY),))
    assert result == TakenUp(cursors={"build": NOW - 2 * DAY})


def test_an_entry_with_another_schedule_starts_at_now_and_what_it_owed_is_missed() -> None:
    at = NOW - 2 * HOUR - 30 * MINUTE
    result = taken(cron("build", parse("15 3 * * *")), standing=(cursor("build", at),))
    assert result.cursors == {"build": NOW}
    (left,) = result.left
    (missed,) = left.missed
    assert (missed.first, missed.last, missed.count) == (NOW - 2 * HOUR, NOW, 3)
    assert missed.reason == ("its schedule was changed from `0 * * * * UTC` to `15 3 * * * UTC`")
    (incident,) = left.incidents
    assert (incident.kind, incident.count) == (IncidentKind.MISSED, 3)
    assert "`dispatchd fire build --at 2026-11-23T12:00:00Z`" in incident.text


def test_what_a_paused_entry_owed_by_its_old_schedule_alarms_nobody() -> None:
    standing = {"build": cursor("build", NOW - 2 * HOUR)}
    (left,) = take_up([cron("build", parse("15 3 * * *"))], standing, NOW, {"build"}).left
    assert (left.missed[0].wanted, left.incidents) == (True, ())


def test_an_entry_that_owed_nothing_is_re_scheduled_without_a_word() -> None:
    at = NOW - 10 * MINUTE
    result = taken(
        cron("build", parse("15 3 * * *")), standing=(cursor("build", at),), now=NOW - MINUTE
    )
    assert result.left == []


def test_a_renamed_entry_is_a_new_one_and_what_the_old_one_owed_is_missed() -> None:
    """Nothing of it fires under the new name: that would be twice, where the old one had fired."""
    result = taken(cron("after"), standing=(cursor("before", NOW - 90 * MINUTE),))
    assert result.cursors == {"after": NOW}
    assert result.ended == ["before"]
    (left,) = result.left
    assert left.cron == "before"
    (missed,) = left.missed
    assert (missed.count, missed.wanted) == (2, True)
    assert "not in the config any more under this name" in missed.reason
    assert left.incidents == ()


def test_a_disabled_entry_is_forgotten_and_starts_at_now_when_it_is_enabled_again() -> None:
    standing = cursor("build", NOW - DAY)
    off = taken(cron("build", enabled=False), standing=(standing,))
    assert (off.cursors, off.ended) == ({}, ["build"])
    assert taken(cron("build")).cursors == {"build": NOW}


def test_a_cursor_from_a_clock_that_was_wrong_goes_back_to_now() -> None:
    """A machine that started with its clock years ahead would else be silent for those years."""
    result = taken(cron("build"), standing=(cursor("build", NOW + 3650 * DAY),))
    assert result.cursors == {"build": NOW}
    assert [each.cursor for each in result.begun] == [NOW]
    (remark,) = result.remarks
    assert remark.startswith("build was accounted for up to 2036-11-20T12:00:00Z, which is still")


def test_a_cursor_that_is_a_little_ahead_stays() -> None:
    """Clocks that are kept right are set back too, by seconds."""
    assert taken(cron("build"), standing=(cursor("build", NOW + AHEAD),)) == TakenUp(
        cursors={"build": NOW + AHEAD}
    )


# Other time zone data: what the clock on the wall was then is not what the data say today

BERLIN = ZoneInfo("Europe/Berlin")  # an hour ahead of UTC then


def wall(hour: int, minute: int = 0, day: int = 23) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


def resumed(schedule: Schedule, at: datetime, offset: timedelta) -> list[datetime]:
    """What is due after a cursor that was set while the clock was that much ahead of UTC."""
    standing = Cursor("build", schedule.identity, at, offset)
    result = taken(cron("build", schedule), standing=(standing,))
    assert result.begun == []  # the cursor moves with the first instant that is accounted for
    (remark,) = result.remarks
    assert remark.startswith("the time zone data tell another time for Europe/Berlin")
    found: list[datetime] = []
    instant = schedule.next_after(result.cursors["build"])
    while instant is not None and len(found) < 3:
        found.append(instant)
        instant = schedule.next_after(instant)
    return found


def test_a_fixed_time_that_the_old_data_had_not_reached_is_not_skipped() -> None:
    """It was 02:50 on the wall then, and is 03:50 by today's data: 03:00 never came."""
    nightly = parse("0 3 * * *", "Europe/Berlin")
    assert resumed(nightly, wall(3, 50), timedelta())[0] == wall(3)


def test_a_fixed_time_that_the_old_data_had_passed_does_not_come_again() -> None:
    """It was 03:10 on the wall then, and is 02:10 by today's data: 03:00 fired already."""
    nightly = parse("0 3 * * *", "Europe/Berlin")
    assert resumed(nightly, wall(2, 10), 2 * HOUR)[0] == wall(3, day=24)


def test_what_follows_the_clock_goes_on_from_the_same_instant() -> None:
    tens = parse("*/10 * * * *", "Europe/Berlin")
    assert resumed(tens, wall(2, 10), 2 * HOUR)[0] == wall(2, 20)
    bounded = Bounded(tens, None, wall(3))
    assert resumed(bounded, wall(2, 10), 2 * HOUR)[0] == wall(2, 20)


def test_intervals_and_single_instants_ask_no_zone() -> None:
    every = Interval(15 * MINUTE, timedelta(), "Europe/Berlin")
    assert resumed(every, wall(2, 10), 2 * HOUR)[0] == wall(2, 15)


# Back from an identity

NAMES = ["nightly", "a"]


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(NAMES))
def test_a_schedule_comes_back_from_its_identity(data: st.DataObject, name: str) -> None:
    zone = data.draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]))
    near = datetime(2026, 3, 29, 2, 30)  # noqa: DTZ001  a wall time
    moments = st.one_of(st.none(), st.integers(-10, 10).map(lambda days: NOW + days * DAY))
    inner: Schedule
    try:
        inner = data.draw(
            st.one_of(
                rules(near, name, seconds=data.draw(st.booleans())).map(
                    lambda rule: parse(rule.text, zone, name)
                ),
                st.integers(1, 10**6).map(
                    lambda n: Interval(n * timedelta(seconds=1), 90 * MINUTE, zone)
                ),
                st.just(OneTime(NOW + timedelta(microseconds=5), zone)),
            )
        )
        items = [
            parse_exclusion(text, name)
            for text in data.draw(
                st.lists(
                    st.sampled_from(
                        ["2026-12-24/2026-12-26", "* * 25 12 *", "*/30 H H * * *", "0 1,2 L * 5L"]
                    ),
                    max_size=3,
                )
            )
        ]
    except ScheduleError:
        return  # it never fires
    start_at, end_at = data.draw(moments), data.draw(moments)
    bounded = start_at or end_at or items
    schedule = Bounded(inner, start_at, end_at, exclusion(items)) if bounded else inner
    again = revived(schedule.identity)
    assert again is not None
    assert again.identity == schedule.identity
    assert again.next_after(NOW) == schedule.next_after(NOW)
    assert again.last_before(NOW) == schedule.last_before(NOW)


@pytest.mark.parametrize(
    "identity",
    ["", "1", "0 0 30 2 * UTC", "* * * * * Mars/Base", "every", "at noon", "* * * * * UTC; over x"],
)
def test_what_is_no_identity_of_ours_gives_no_schedule(identity: str) -> None:
    assert revived(identity) is None
    left = taken(cron("b"), standing=(Cursor("a", identity, NOW - DAY),))
    assert (left.ended, left.left) == (["a"], [])


def test_the_day_of_a_test_is_a_monday() -> None:
    assert date(2026, 11, 23).isoweekday() == 1
