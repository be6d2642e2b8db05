"""What a flood would say again and again is said once a minute, with how often it was left out: a
flood must not fill the log as well."""

from __future__ import annotations

from collections import Counter

EVERY = 60.0
"""Seconds between two tellings of the same."""


class Sparing:
    """Decides which repetitions of a text are told."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def told(self, text: str, now: float) -> str | None:
        """What to tell of ``text`` at ``now``, in seconds of any clock; None: nothing this time.
        Texts are kept for good, so they are few and hold nothing that a client chose."""
        last = self._told.get(text)
        if last is not None and now - last < EVERY:
            self._left_out[text] += 1
            return None
        self._told[text] = now
        times = self._left_out.pop(text, 0)
        return f"{text} ({times:,} times more since this was last told)" if times else text
