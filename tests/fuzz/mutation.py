"""Inputs made of others without an engine that watches which code they reach: for where atheris is
not installed, and for the test suite."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

INPUT_MAX = 16 * 1024
"""Bytes of an input: as much as a request line and headers may have, and a short body."""


def inputs(
    seeds: Sequence[bytes], words: Sequence[bytes], chance: random.Random
) -> Iterator[bytes]:
    """The seeds, and then, without end, others that were made of them by a few changes."""
    pool = list(seeds)
    yield from pool
    while True:
        data = chance.choice(pool)
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            data = chance.choice(_CHANGES)(data, pool, words, chance)[:INPUT_MAX]
        if chance.random() < 0.01:
            pool[chance.randrange(len(seeds), len(seeds) + 200) :] = [data]
        yield data


def _word(data: bytes, pool: Sequence[bytes], words: Sequence[bytes], at: random.Random) -> bytes:
    place = at.randint(0, len(data))
    return data[:place] + at.choice(words) + data[place:]


def _byte(data: bytes, pool: Sequence[bytes], words: Sequence[bytes], at: random.Random) -> bytes:
    place = at.randint(0, len(data))
    return data[:place] + at.randbytes(at.randint(0, 2)) + data[place + at.randint(0, 2) :]


def _cut(data: bytes, pool: Sequence[bytes], words: Sequence[bytes], at: random.Random) -> bytes:
    start, end = sorted((at.randint(0, len(data)), at.randint(0, len(data))))
    return data[:start] + data[end:]


def _repeat(data: bytes, pool: Sequence[bytes], words: Sequence[bytes], at: random.Random) -> bytes:
    """A short piece many times over: what is quadratic shows then."""
    start = at.randint(0, len(data))
    piece = at.choice((data[start : start + at.randint(1, 8)], at.choice(words)))
    return data[:start] + piece * at.choice((2, 10, 100, 1000, 4000)) + data[start:]


def _cross(data: bytes, pool: Sequence[bytes], words: Sequence[bytes], at: random.Random) -> bytes:
    other = at.choice(pool)
    return data[: at.randint(0, len(data))] + other[at.randint(0, len(other)) :]


Change = Callable[[bytes, Sequence[bytes], Sequence[bytes], random.Random], bytes]
_CHANGES: Sequence[Change] = (_word, _word, _byte, _byte, _cut, _repeat, _cross)
