"""What is owed after a dispatch went wrong: a follow-up, once for each way and run in which it did.
Frozen, without a clock and without I/O."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct


class Cause(StrEnum):
    """In which way a dispatch went wrong."""

    DEAD = "dead"  # it was never taken by GitHub, and will not be
    FAILED = "failed"  # a run that it started failed
    MISSING = "missing"  # GitHub took it, and no run was found


class Standing(StrEnum):
    """What became of a follow-up. All but the first are final."""

    OWED = "owed"
    DISPATCHED = "dispatched"  # a further dispatch was recorded
    NOTIFIED = "notified"  # somebody was told, perhaps of several at once
    NOTHING = "nothing"  # the entry asks for none any more
    GAVE_UP = "gave_up"  # the reason says why


Follows: TypeAlias = Callable[[str, Cause], bool]
"""Whether an entry wants a follow-up for a cause."""


class Wanted(Struct, frozen=True):
    """What a config wants followed; and with ``told``, that somebody is told of what else dies or
    has no run, and of incidents."""

    by_entry: frozenset[tuple[str, Cause]]
    told: bool = False

    def __call__(self, entry: str, cause: Cause) -> bool:
        return (entry, cause) in self.by_entry


def told_of_the_rest(follows: Follows) -> bool:
    return isinstance(follows, Wanted) and follows.told


def nobody(entry: str, cause: Cause) -> bool:
    """Where no entry wants any."""
    return False


class EndedRun(Struct, frozen=True):
    """What a follow-up knows of the run that failed, as it was then: it may be run again."""

    id: int = 0
    attempt: int = 0
    name: str = ""
    conclusion: str = ""
    url: str = ""


NO_RUN = EndedRun()


class Owing(Struct, frozen=True):
    """That something went wrong ``at`` that time, and ``why`` where the dispatch itself does not
    say it (the diagnosis of one that is missing)."""

    dispatch_id: str
    cause: Cause
    at: datetime
    run: EndedRun = NO_RUN
    why: str = ""


class FollowUp(Struct, frozen=True):
    """One that is or was owed. ``run_…`` are those of `EndedRun`, and 0 or empty where no run
    failed. ``wake_at`` is when it is next looked at, None once it is settled. ``target`` is where
    the notice went, as the config says it; ``made`` the dispatch that was recorded."""

    dispatch_id: str
    cause: Cause
    run_id: int
    run_attempt: int
    entry: str
    at: datetime
    why: str
    run_name: str
    run_conclusion: str
    run_url: str
    state: Standing
    attempts: int
    wake_at: datetime | None
    settled_at: datetime | None
    reason: str
    target: str
    made: str | None
