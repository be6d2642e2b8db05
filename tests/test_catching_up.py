"""What becomes of the instants that are owed: by how late they are, what the entry says of that,
and whether it rests. Every one ends as fired or missed, with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from daemon.agenda import Entry
from daemon.catching_up import ON_TIME, judge_backlog
from daemon.cron import parse
from daemon.event import Due, Overlap, Pause
from daemon.incident import Incident, IncidentKind
from daemon.owed import FIRINGS, ROWS, work_out
from daemon.schedule import Backlog, Omitted
from daemon.spec import CatchUp, CronSpec

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
BUILD = CronSpec("build", "", True, parse("* * * * *"), CatchUp.LATEST, ())
PAUSE = Pause("build", NOON - DAY, "alice", "the runners move")


def back(*spans: timedelta) -> tuple[datetime, ...]:
    return tuple(NOON - span for span in spans)


def fired(due: Due) -> list[timedelta]:
    """How late they are."""
    return [NOON - firing.scheduled_at for firing in due.firings]


def missed(due: Due) -> list[tuple[timedelta, str]]:
    return [(NOON - each.last, each.reason) for each in due.missed]


def judge(spec: CronSpec, *late: timedelta, pause: Pause | None = None) -> Due:
    return judge_backlog(spec, Backlog(back(*late)), NOON, pause)


LATE = [3 * MINUTE, 2 * MINUTE, MINUTE, timedelta()]


def test_an_instant_up_to_a_minute_late_fires_normally() -> None:
    due = judge(BUILD, MINUTE, timedelta())
    assert [(each.scheduled_at, each.catch_up) for each in due.firings] == [
        (NOON - MINUTE, False),
        (NOON, False),
    ]
    assert (due.missed, due.incidents) == ((), ())
    assert due.cursor == NOON


def test_latest_fires_the_newest_of_what_is_late() -> None:
    due = judge(BUILD, 3 * MINUTE, 2 * MINUTE)
    assert [(each.scheduled_at, each.catch_up) for each in due.firings] == [
        (NOON - 2 * MINUTE, True)
    ]
    why = "more than 60 s late, and `catch_up: latest` fires only the newest"
    assert missed(due) == [(3 * MINUTE, why)]


def test_latest_fires_nothing_late_beside_what_is_on_time() -> None:
    due = judge(BUILD, 2 * MINUTE, SECOND)
    assert fired(due) == [SECOND]
    assert [late for late, _ in missed(due)] == [2 * MINUTE]


def test_all_fires_each_of_them_oldest_first() -> None:
    due = judge(replace(BUILD, catch_up=CatchUp.ALL), *LATE)
    assert fired(due) == LATE
    assert [firing.catch_up for firing in due.firings] == [True, True, False, False]
    assert due.missed == ()


def test_skip_fires_none_that_is_late() -> None:
    due = judge(replace(BUILD, catch_up=CatchUp.SKIP), *LATE)
    assert fired(due) == [MINUTE, timedelta()]
    why = "more than 60 s late, and `catch_up: skip` fires none"
    assert missed(due) == [(3 * MINUTE, why), (2 * MINUTE, why)]


@pytest.mark.parametrize("catch_up", CatchUp)
def test_nothing_fires_that_is_later_than_max_lateness(catch_up: CatchUp) -> None:
    """Also not what is late by less than a minute, where the entry allows less than that."""
    spec = replace(BUILD, catch_up=catch_up, max_lateness=30 * SECOND)
    due = judge(spec, 2 * HOUR, 31 * SECOND, 30 * SECOND)
    assert fired(due) == [30 * SECOND]
    why = "more than 30s late, the most that `max_lateness` allows"
    assert missed(due) == [(2 * HOUR, why), (31 * SECOND, why)]


def test_within_max_lateness_the_newest_is_caught_up_with() -> None:
    due = judge(replace(BUILD, max_lateness=HOUR), 2 * HOUR, HOUR, 50 * MINUTE)
    assert fired(due) == [50 * MINUTE]
    assert [late for late, _ in missed(due)] == [2 * HOUR, HOUR]


def test_what_is_not_listed_is_one_record_with_its_bounds_and_its_count() -> None:
    left = Omitted(NOON - DAY, NOON - HOUR, 1381)
    due = judge_backlog(replace(BUILD, catch_up_limit=60), Backlog(back(SECOND), left), NOON)
    (only,) = due.missed
    assert (only.first, only.last, only.count) == (left.first, left.last, 1381)
    assert only.reason == "older than the 60 newest instants that were owed"


def test_what_was_missed_before_the_pause_was_missed_for_its_own_reason() -> None:
    """Slept through, and paused only then: that is an incident."""
    pause = structs.replace(PAUSE, since=NOON - 5 * SECOND)
    due = judge(BUILD, 3 * MINUTE, 2 * MINUTE, 2 * SECOND, pause=pause)
    assert due.firings == ()
    why = "more than 60 s late, and `catch_up: latest` fires only the newest"
    assert missed(due) == [
        (3 * MINUTE, why),
        (2 * MINUTE, why),
        (2 * SECOND, str(pause)),
    ]
    (incident,) = due.incidents
    assert (incident.count, incident.last) == (2, NOON - 2 * MINUTE)


def test_while_it_rests_everything_is_missed_and_nobody_is_alarmed() -> None:
    left = Omitted(NOON - DAY, NOON - HOUR, 1381)
    due = judge_backlog(BUILD, Backlog(back(MINUTE, SECOND), left), NOON, PAUSE)
    assert (due.firings, due.incidents) == ((), ())
    assert {each.reason for each in due.missed} == {
        "paused by alice since 2026-05-31T12:00:00Z (the runners move)"
    }
    assert all(each.wanted for each in due.missed)
    assert [each.count for each in due.missed] == [1381, 1, 1]


def test_all_that_was_missed_at_a_time_is_one_incident_that_says_what_to_do() -> None:
    left = Omitted(NOON - DAY, NOON - HOUR, 1381)
    spec = replace(BUILD, catch_up=CatchUp.SKIP)
    due = judge_backlog(spec, Backlog(back(3 * MINUTE, 2 * MINUTE, SECOND), left), NOON)
    assert due.incidents == (
        Incident(
            "build",
            IncidentKind.MISSED,
            NOON - DAY,
            NOON - 2 * MINUTE,
            1383,
            NOON,
            "older than the 100 newest instants that were owed; more than 60 s late, and "
            "`catch_up: skip` fires none (`dispatchd fire build` fires it once now, `dispatchd "
            "backfill` some of them)",
        ),
    )


def test_a_firing_later_than_alert_after_is_an_incident() -> None:
    spec = replace(BUILD, alert_after=30 * SECOND)
    due = judge(spec, 31 * SECOND, 30 * SECOND)
    assert fired(due) == [31 * SECOND, 30 * SECOND]
    (incident,) = due.incidents
    assert (incident.kind, incident.last) == (IncidentKind.LATE, NOON - 31 * SECOND)
    assert incident.text == "fired 31 s late, later than its `alert_after` of 30s"


@given(
    st.lists(st.integers(0, 5000), unique=True).map(lambda late: sorted(late, reverse=True)),
    st.sampled_from(CatchUp),
    st.one_of(st.none(), st.integers(1, 4000).map(lambda n: n * SECOND)),
    st.sampled_from([None, PAUSE]),
)
def test_every_instant_ends_as_fired_or_missed_and_is_told_once(
    late: Sequence[int], catch_up: CatchUp, max_lateness: timedelta | None, pause: Pause | None
) -> None:
    spec = replace(BUILD, catch_up=catch_up, max_lateness=max_lateness)
    instants = back(*(seconds * SECOND for seconds in late))
    due = judge_backlog(spec, Backlog(instants), NOON, pause)
    fires = [firing.scheduled_at for firing in due.firings]
    misses = [each.last for each in due.missed]
    assert sorted([*fires, *misses]) == list(instants)
    assert fires == sorted(fires)
    assert misses == sorted(misses)
    assert all(each.reason for each in due.missed)
    assert all(max_lateness is None or NOON - at <= max_lateness for at in fires)
    if pause is None:
        assert sum(each.count for each in due.incidents) == len(misses)


# In portions


def entry(cron: CronSpec, since: timedelta) -> Entry:
    cursor = NOON - since
    due_at = cron.schedule.next_after(cursor)
    assert due_at is not None
    return Entry(cron, cursor, due_at)


def nobody(entry: str) -> None:
    return None


def test_a_long_backlog_is_recorded_in_portions_oldest_first() -> None:
    spec = replace(
        BUILD,
        schedule=parse("* * * * *", "Europe/Berlin"),
        catch_up=CatchUp.ALL,
        catch_up_limit=1000,
        overlap=Overlap.SKIP,
        alert_after=HOUR,
    )
    owed = work_out([entry(spec, 3 * DAY)], NOON, nobody)
    assert len(owed.portions) > 1
    dues = [due for portion in owed.portions for due in portion]
    assert all(len(due.firings) <= FIRINGS for due in dues)
    whole = judge_backlog(spec, spec.schedule.due_between(NOON - 3 * DAY, NOON, 1000), NOON, None)
    fires = {each.scheduled_at for each in whole.firings}
    assert tuple(each for due in dues for each in due.firings) == whole.firings
    assert tuple(each for due in dues for each in due.missed) == whole.missed
    assert {each for due in dues for each in due.incidents} == set(whole.incidents)
    assert [due.cursor for due in dues] == sorted(due.cursor for due in dues)
    assert dues[-1].cursor == NOON
    for due in dues[:-1]:
        recorded = [each.scheduled_at for each in due.firings] + [each.last for each in due.missed]
        assert max(recorded) == due.cursor  # what is owed still begins right behind it
        assert due.offset == spec.schedule.utc_offset(due.cursor)
        late = {each.last for each in due.incidents}
        assert late == {at for at in recorded if NOON - at > HOUR and at in fires}
    assert {due.overlap for due in dues} == {Overlap.SKIP}
    assert owed.entries == 1
    assert [(moved.cursor, moved.due_at) for moved in owed.moved] == [(NOON, NOON + MINUTE)]


def test_of_many_backlogs_only_some_are_worked_out_at_a_time() -> None:
    entries = [entry(replace(BUILD, name=f"build-{n}"), DAY) for n in range(50)]
    owed = work_out(entries, NOON, nobody)
    assert 0 < owed.entries < len(entries)
    for portion in owed.portions:
        assert sum(len(due.missed) for due in portion) <= ROWS
    names = [due.cron for portion in owed.portions for due in portion]
    assert names == [f"build-{n}" for n in range(owed.entries)]


def test_what_is_on_time_is_by_the_same_minute_everywhere() -> None:
    assert ON_TIME == MINUTE
