"""Instants as the config writes them, by RFC 3339: ``2030-01-01T00:00:00Z``."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(text: str) -> datetime:
    """``text`` as an instant, in UTC. It names its offset, so that no time zone is asked.

    Raises ValueError whose text says what is wrong and what to write.
    """
    try:
        read = datetime.fromisoformat(text.upper())
        if read.tzinfo is not None:
            return read.astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: the first or last hours of the calendar
        pass
    raise ValueError(f'{text!r} is no instant: write it as "2030-01-01T00:00:00+01:00"')
