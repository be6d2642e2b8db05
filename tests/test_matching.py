"""The walk through the wall times of an expression is cronsim's, which is Debian cron's, only
quicker."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from daemon.matching import Fields, walk


def texts(low: int, high: int, *others: str) -> st.SearchStrategy[str]:
    """A field in its plain form, more often than not ``*``."""
    numbers = st.integers(low, high)
    ranges = st.tuples(numbers, numbers).filter(lambda ends: ends[0] < ends[1])
    terms = st.one_of(
        numbers.map(str),
        ranges.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        ranges.map(lambda ends: f"{ends[0]}-{ends[1]}/3"),
        st.sampled_from(["*/2", "*/7", *others]),
    )
    lists = st.lists(terms, min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), numbers.map(str), lists)


EXPRESSIONS = st.tuples(
    st.one_of(st.just(""), texts(0, 59)),
    texts(0, 59),
    texts(0, 23),
    texts(1, 31, "L", "LW"),
    texts(1, 12),
    texts(0, 7, "5L", "1#2", "0#5"),
).map(lambda fields: " ".join(fields).strip())

WALLS = st.one_of(
    st.datetimes(datetime(1999, 1, 1), datetime(2101, 1, 1)),  # noqa: DTZ001  a wall time
    st.sampled_from(["2024-02-29", "2026-12-31T23:59:59", "2100-03-01"]).map(
        datetime.fromisoformat
    ),
)


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS, WALLS, st.booleans())
@example("0 0 29 2 1#5", datetime(2026, 1, 1), True)  # noqa: DTZ001
@example("59 59 23 31 12 *", datetime(2026, 12, 31, 23, 59, 59), False)  # noqa: DTZ001
def test_the_walk_is_that_of_cronsim(expression: str, wall: datetime, reverse: bool) -> None:
    try:
        slow = CronSim(expression, wall, reverse)
    except CronSimError:
        assume(False)
    assert list(islice(walk(expression, wall, reverse=reverse), 8)) == list(islice(slow, 8))


@settings(max_examples=200, deadline=None)
@given(texts(1, 31, "L", "LW"), texts(1, 12), texts(0, 7, "5L"))
@example("30", "2", "*")
@example("31", "4,6", "*/2")
def test_a_day_that_no_named_month_has_is_told_as_cronsim_does(
    days: str, months: str, weekdays: str
) -> None:
    expression = f"0 0 {days} {months} {weekdays}"
    try:
        CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001
    except CronSimError:
        assert Fields(expression).dateless
    else:
        assert not Fields(expression).dateless


@pytest.mark.parametrize("reverse", [False, True])
def test_the_walk_ends_where_nothing_comes_in_fifty_years(reverse: bool) -> None:
    wall = datetime(2026, 1, 1)  # noqa: DTZ001
    assert list(walk("0 0 L-30 2 *", wall, reverse=reverse)) == []
