"""Numbers that look random and never change: what `H` in an expression and `jitter` are made of.
They depend on names and instants only, so that replicas, restarts and releases agree."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

MICROSECOND = timedelta(microseconds=1)


def spread(count: int, *parts: str) -> int:
    """A number from 0 up to, not including, ``count``: the first eight bytes of the SHA-256 of the
    parts, joined by NUL, as a big-endian number, modulo ``count``.

    Part of the contract: another hash would move every schedule that holds an ``H``.
    """
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") % count


def jitter(name: str, scheduled_at: datetime, span: timedelta) -> timedelta:
    """How long after ``scheduled_at`` the cron entry ``name`` sends: at least nothing, less than
    ``span``. The same for equal instants, in whatever zone they are given."""
    at = scheduled_at.astimezone(UTC).isoformat(timespec="microseconds")
    return spread(span // MICROSECOND, name, "jitter", at) * MICROSECOND if span else timedelta()
