"""The index that GitHub answers filtered lists of runs from: it lags behind, so that runs are
missing there, and others still have a status that is over."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from daemon.simulator.runs import CONCLUSIONS, STATUSES, Run
from daemon.simulator.shapes import USER
from daemon.simulator.validation import Rejection

FILTERS = ("actor", "branch", "check_suite_id", "created", "event", "head_sha", "status")
FOUND_MAX = 1000
"""A filtered list ends after so many."""

_RANGE = re.compile(r"(?P<relation>>=|<=|>|<)?(?P<at>[^.*<>=]+)|(?P<from>.+)\.\.(?P<to>.+)")
_DAY = timedelta(days=1)
_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def is_filtered(query: Mapping[str, str]) -> bool:
    return any(query.get(name) for name in FILTERS)


def found(
    runs: Sequence[Run],
    query: Mapping[str, str],
    as_of: datetime,
    sha: Callable[[Run], str],
) -> list[Run]:
    """The runs that match, newest first, as the index knew them at ``as_of``. Raises Rejection
    for a date that is none."""
    begin, end = _span(query.get("created", ""))
    status = query.get("status")
    # What GitHub does not know as a status matches nothing.
    is_status = status in STATUSES
    by_conclusion = status in CONCLUSIONS

    def matches(run: Run) -> bool:
        return (
            run.created_at <= as_of
            and begin <= run.created_at < end
            and query.get("event") in (None, "", run.event)
            and query.get("branch") in (None, "", run.head_branch)
            and query.get("actor") in (None, "", USER)
            and query.get("check_suite_id") in (None, "", str(run.id))
            and query.get("head_sha") in (None, "", sha(run))
            and (
                not status
                or (is_status and run.status(as_of) == status)
                or (by_conclusion and run.conclusion(as_of) == status)
            )
        )

    return [run for run in runs if matches(run)][:FOUND_MAX]


def _span(created: str) -> tuple[datetime, datetime]:
    """The instants that ``created`` allows: from the first until before the second. Its syntax is
    that of GitHub's search: ``>=2026-01-31``, ``2026-01-31T12:00:00Z..*``."""
    if not created:
        return _EVER
    form = _RANGE.fullmatch(created)
    if form is None:
        raise Rejection(422, f"Invalid date: {created}")
    if form["from"]:
        begin = _EVER[0] if form["from"] == "*" else _unit(form["from"])[0]
        return begin, _EVER[1] if form["to"] == "*" else _unit(form["to"])[1]
    first, after = _unit(form["at"])
    return {
        ">=": (first, _EVER[1]),
        ">": (after, _EVER[1]),
        "<": (_EVER[0], first),
        "<=": (_EVER[0], after),
    }.get(form["relation"], (first, after))


def _unit(text: str) -> tuple[datetime, datetime]:
    """A day or a second: its begin and the begin of the next."""
    # A `+` of an offset arrives as a space where it was not escaped.
    text = text.replace(" ", "+")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Rejection(422, f"Invalid date: {text}") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at, at + (timedelta(seconds=1) if "T" in text else _DAY)
