"""Workflow runs as values, and how sure it is which dispatch started one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Match(StrEnum):
    """What is known of the runs that a dispatch started."""

    UNTRACKED = "untracked"  # nobody looks: it was not taken yet, or no run is expected
    WAITING = "waiting"  # GitHub took it, and no run was seen yet
    VERIFIED = "verified"  # a run shows the dispatch's id, or GitHub named the run itself
    PROBABLE = "probable"  # the only run that it can be, which does not show the id
    AMBIGUOUS = "ambiguous"  # several runs or dispatches could belong together
    MISSING = "missing"  # time is over and no run was seen; the diagnosis says why


FOUND = frozenset({Match.VERIFIED, Match.PROBABLE})
"""A run is bound."""

COMPLETED = "completed"
"""The status of a run that has ended."""

FAILURES = ("failure", "timed_out", "startup_failure")
"""Conclusions of a run that did not do its work."""

_WORST_FIRST = (*FAILURES, "action_required", "cancelled", "stale", "neutral", "skipped", "success")


class Run(Struct, frozen=True):
    """One workflow run, as GitHub told it last.

    ``repository`` is the ``owner/name`` that was dispatched to. ``workflow`` is the file's name,
    ``name`` the workflow's own, ``title`` what GitHub shows of the run. ``event`` is what started
    it. ``attempt`` counts from 1 and grows when it is run again. ``conclusion`` is empty until
    ``status`` is completed. Times are GitHub's.
    """

    repository: str
    id: int
    attempt: int
    workflow: str
    name: str
    title: str
    event: str
    status: str
    conclusion: str
    branch: str
    url: str
    created_at: datetime
    updated_at: datetime

    @property
    def ended(self) -> bool:
        return self.status == COMPLETED

    @property
    def outcome(self) -> str:
        """Its conclusion, or its status while it has none."""
        return self.conclusion if self.ended and self.conclusion else self.status

    @property
    def failed(self) -> bool:
        return self.ended and self.conclusion in FAILURES

    def precedes(self, other: Run) -> bool:
        """Whether ``other`` tells something newer of the same run. Webhooks may overtake each
        other: an attempt that has ended does not begin again under its number."""
        if self.attempt != other.attempt:
            return self.attempt < other.attempt
        if self.ended != other.ended:
            return other.ended
        return self.updated_at <= other.updated_at and self.outcome != other.outcome


def summary(runs: Iterable[Run]) -> str:
    """The runs of one dispatch in a word: how they stand while one goes on, else the conclusion
    that matters most; nothing where there is none."""
    seen = list(runs)
    going = [run.status for run in seen if not run.ended]
    if going:
        return "in_progress" if "in_progress" in going else going[0]
    ranks = {word: rank for rank, word in enumerate(_WORST_FIRST)}
    return min((run.conclusion for run in seen), key=lambda word: ranks.get(word, 0), default="")
