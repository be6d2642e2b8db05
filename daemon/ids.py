"""Time-ordered ids, ``evt_…`` and ``dsp_…``: sorted as text they are sorted by birth."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o or u
RANDOM_BITS = 80
LENGTH = 26  # 48 bits of milliseconds and 80 random ones, 5 bits a character


_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_SHIFTS = range(5 * (LENGTH - 2), -1, -10)


def encode(number: int) -> str:
    """``number`` (below 2**130) as 26 characters of base 32, most significant first."""
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])


class IdSource:
    """Makes ids that never go backwards within one process, even when the clock does.

    The layout is that of a ULID: milliseconds since 1970, then randomness; a second id within one
    millisecond (or after the clock stepped back) is the last one plus one.
    """

    def __init__(self, random_bits: Callable[[int], int] = random.getrandbits) -> None:
        # Ids are no secrets: the randomness keeps those of two processes apart, no more.
        self._random_bits = random_bits
        self._last = 0
        self._beginning = 0, ""

    def event(self, now: datetime) -> str:
        return "evt_" + self._next(now)

    def dispatch(self, now: datetime) -> str:
        return "dsp_" + self._next(now)

    def _next(self, now: datetime) -> str:
        milliseconds = int(now.timestamp() * 1000)
        # The last id wins while its millisecond has not passed: order matters more than the time.
        if milliseconds <= self._last >> RANDOM_BITS:
            self._last += 1
        else:
            self._last = (milliseconds << RANDOM_BITS) | self._random_bits(RANDOM_BITS)
        # Those of one millisecond mostly differ in their last two characters, and no more.
        number, text = self._beginning
        if number != self._last >> 10:
            number, text = self._beginning = self._last >> 10, encode(self._last)[:-2]
        return text + _PAIRS[self._last & 1023]
