"""Sizes as they are written and shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.sizes import UNITS, shown, size


@given(st.integers(1, 999_999_999), st.sampled_from(list(UNITS)), st.sampled_from(["", " "]))
def test_a_size_is_a_number_and_a_unit(number: int, unit: str, space: str) -> None:
    assert size(f"{number}{space}{unit}") == number * UNITS[unit]


@pytest.mark.parametrize("text", ["", "5", "0 MiB", "5MB", "-1 MiB", "5  MiB", "1.5 GiB", "5 mib"])
def test_what_is_no_size_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match='is not a size: write a number and a unit, as "2 GiB"'):
        size(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (2**20 - 1, "1023 KiB"),
        (43 * 2**20 + 99_999, "43 MiB"),
        (2**30 * 23 // 10, "2.2 GiB"),
        (2**31, "2 GiB"),
        (61 * 2**30 + 2**29, "61 GiB"),
    ],
)
def test_a_size_is_shown_rounded_down(count: int, text: str) -> None:
    assert shown(count) == text


@given(st.integers(0, 2**60))
def test_what_is_shown_is_never_more_than_there_is(count: int) -> None:
    number, unit = shown(count).split()
    assert float(number) * UNITS[unit] <= count
