"""Ids sort by birth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from daemon.ids import LENGTH, IdSource, encode

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@given(st.lists(st.integers(-5000, 5000), min_size=2, max_size=50))
def test_ids_never_go_backwards_even_when_the_clock_does(steps: list[int]) -> None:
    ids, now, made = IdSource(), NOW, []
    for step in steps:
        now += timedelta(milliseconds=step)
        made.append(ids.event(now))
    assert made == sorted(set(made))


def test_an_id_says_what_it_is_of_and_begins_with_its_time() -> None:
    one = IdSource(lambda bits: 0)
    assert one.event(NOW).startswith("evt_")
    assert one.dispatch(NOW).startswith("dsp_")
    earlier, later = (IdSource().dispatch(NOW + timedelta(seconds=s)) for s in (0, 1))
    assert earlier < later
    assert len(earlier) == len("dsp_") + LENGTH


def test_two_sources_do_not_meet() -> None:
    assert IdSource().event(NOW) != IdSource().event(NOW)


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_the_encoding_keeps_the_order(a: int, b: int) -> None:
    assert (encode(a) < encode(b)) == (a < b)
