"""Amounts of bytes as the config writes them (``5 MiB``, ``2GiB``), and as people are told them."""

from __future__ import annotations

import re

FORM = re.compile(r"([1-9][0-9]{0,8}) ?(B|KiB|MiB|GiB|TiB)")
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def size(text: str) -> int:
    """``text`` in bytes. Raises ValueError whose text says what to write."""
    found = FORM.fullmatch(text)
    if found is None:
        raise ValueError(f'{text!r} is not a size: write a number and a unit, as "2 GiB"')
    return int(found[1]) * UNITS[found[2]]


def shown(count: int) -> str:
    """``count`` bytes for people, rounded down: ``700 B``, ``64 KiB``, ``43 MiB``, ``2.3 GiB``."""
    unit, scale = next(
        (pair for pair in reversed(UNITS.items()) if count >= pair[1]), ("B", UNITS["B"])
    )
    tenths = count * 10 // scale
    small = scale >= UNITS["GiB"] and tenths < 100 and tenths % 10
    return f"{tenths // 10}.{tenths % 10} {unit}" if small else f"{tenths // 10} {unit}"
