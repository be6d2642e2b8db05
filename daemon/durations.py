"""Durations as the config writes them: ``90s``, ``5m``, ``24h``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta

FORM = re.compile(r"([0-9]{1,9})([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=3650)


def written(span: timedelta) -> str:
    """``span``, of whole seconds, as ``duration`` reads it: ``24h`` and ``50h``, but ``2d``."""
    seconds = span // timedelta(seconds=1)
    for unit, size, least in (("d", 86400, 2), ("h", 3600, 1), ("m", 60, 1)):
        if seconds % size == 0 and seconds // size >= least:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def duration(text: str) -> timedelta:
    """``text`` as a span of time, more than nothing and at most ten years.

    Raises ValueError whose text says what is wrong and what to write.
    """
    found = FORM.fullmatch(text)
    if found is None:
        raise ValueError(f'{text!r} is not a duration: write a number and a unit, as "90s" or "7d"')
    span = timedelta(**{UNITS[found[2]]: int(found[1])})
    if not span:
        raise ValueError(f"{text!r} is no time at all: it must be at least 1s")
    if span > LONGEST:
        raise ValueError(f"{text!r} is longer than the longest span, {LONGEST.days}d")
    return span
