"""Which run a dispatch started: the one that shows its id, or else the only one that it can be. And
when to look for it again. Pure: the time is an argument."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from daemon.candidates import Audience, Candidates, Strangers, event_of
from daemon.dispatch import Dispatch
from daemon.run import Match, Run

SLACK = timedelta(seconds=120)
"""A run may seem this much older than its dispatch: GitHub writes whole seconds, and a lost answer
leaves us with our own clock."""

CLOCKS = timedelta(days=1)
"""How far GitHub's clock and ours may be apart where a run shows the id."""

FIRST_LOOK = timedelta(seconds=2)
LOOKS = tuple(timedelta(seconds=seconds) for seconds in (2, 4, 8, 16, 30, 60, 120, 180, 240, 300))
"""After GitHub took it, a dispatch's run is looked for at these times, and at the end of the time
in which it is expected."""

LAST_LOOK = timedelta(minutes=30)
"""One that came late is found then, at the latest."""

CALM = timedelta(seconds=15)
"""How long a run is left to the dispatches that may show to be its own, where no id tells."""

SETTLED = timedelta(seconds=10)
"""How long after a request a run may take to be listed: before, its absence says nothing."""

FOLLOWED_FOR = timedelta(days=36)
"""GitHub ends every run within 35 days."""

_ID = re.compile(r"dsp_[0-9a-hjkmnp-tv-z]{26}(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Found:
    """A request whose answer was lost had arrived: ``dispatch`` as it stands, its run bound."""

    dispatch: Dispatch


@dataclass(frozen=True, slots=True)
class Absent:
    """It had not: to send it again doubles nothing."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """It cannot be told, now or later: why, and how that can be mended."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It cannot be told yet: why, and when (None: whenever it is tried again)."""

    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Hidden:
    """Nobody may look, so that it is as if nobody could: it is sent again rather than lost."""


Finding = Found | Absent | Unclear | Unknown | Hidden
"""What became of a request whose answer was lost."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a look came to for one dispatch: which ``runs`` are its own, and when to look again
    (None: not any more)."""

    dispatch_id: str
    match: Match
    diagnosis: str = ""
    look_at: datetime | None = None
    runs: tuple[Run, ...] = ()


class Diagnoses:
    """What an audience says against dispatches, asked once for all that it hears alike. Nothing
    where it could not be asked."""

    def __init__(self, audience: Audience | None) -> None:
        self._audience = audience
        self._found: dict[tuple[str, str, str], str] = {}

    def of(self, dispatch: Dispatch) -> str:
        if self._audience is None:
            return ""
        expected = dispatch.expect_workflow
        key = (dispatch.event_type, dispatch.workflow, expected)
        if key not in self._found:
            self._found[key] = self._audience.diagnosis(dispatch, expected)
        return self._found[key]


def named(run: Run) -> str:
    """The dispatch whose id the run shows, or nothing. Of several it is the youngest: a chain may
    show what it descends from as well. Anybody can write an id into the title of a pull request, so
    only runs count that were started by somebody who may write to the repository."""
    if run.event not in ("repository_dispatch", "workflow_dispatch"):
        return ""
    return max(_ID.findall(run.title), default="")


def may_be(run: Run, dispatch: Dispatch) -> bool:
    """Whether the run that shows the dispatch's id can be its own: of the repository and the kind,
    and not from before it was made, by whatever clock."""
    return (
        dispatch.sent_at is not None
        and run.event == event_of(dispatch)
        and run.repository.lower() == dispatch.repository.lower()
        and run.created_at >= dispatch.created_at - CLOCKS
    )


def next_look(dispatch: Dispatch, at: datetime, now: datetime) -> datetime | None:
    """When the run of a dispatch is to be looked for again, by our clock, which reads ``now`` while
    GitHub's reads ``at``; None: not any more."""
    if dispatch.sent_at is None or dispatch.expect_within is None:
        return None
    age = at - dispatch.sent_at
    within = dispatch.expect_within
    looks = [*LOOKS, within, max(LAST_LOOK, within)]
    if (step := (age // LOOKS[-1] + 1) * LOOKS[-1]) < within:  # every five minutes until then
        looks.append(step)
    following = min((look for look in looks if look > age), default=None)
    return None if following is None else now + (following - age)


def is_over(dispatch: Dispatch, at: datetime) -> bool:
    """Whether its run ought to be there, when GitHub's clock reads ``at``."""
    within, sent_at = dispatch.expect_within, dispatch.sent_at
    return within is None or sent_at is None or at - sent_at >= within


def next_look_at_run(run: Run, now: datetime) -> datetime | None:
    """When to look at a run again that was seen to go on; None where it has ended, or never
    will."""
    age = now - run.created_at
    if run.ended or age > FOLLOWED_FOR:
        return None
    return now + min(max(age / 4, timedelta(seconds=5)), timedelta(minutes=10))


def horizon(dispatches: Iterable[Dispatch]) -> datetime | None:
    """How far back a list of runs must reach to hold those of all these."""
    sent = [dispatch.sent_at for dispatch in dispatches if dispatch.sent_at is not None]
    return min(sent) - SLACK if sent else None


def strangers(runs: Iterable[Run], bound: Collection[int]) -> list[Run]:
    """The runs that may be anybody's: not bound, by their numbers, and showing no id."""
    events = ("repository_dispatch", "workflow_dispatch")
    return [
        run
        for run in runs
        if run.id not in bound and run.event in events and not _ID.search(run.title)
    ]


def found_out(
    dispatch: Dispatch, since: datetime, runs: Iterable[Run], audience: Audience
) -> Absent | Unclear:
    """What became of a request that was sent at ``since`` or later, by GitHub's clock, of which no
    run shows the id.
    ``runs`` are `strangers` from then on."""
    hidden = [each for each in audience.hearing(dispatch) if not each.shows(dispatch)]
    if not hidden:
        return Absent()  # whoever hears it would have shown it
    files = {each.file for each in hidden}
    perhaps = [
        run
        for run in runs
        if run.event == event_of(dispatch)
        and run.workflow in files
        and run.created_at >= since - SLACK
    ]
    if not perhaps:
        return Absent()
    return Unclear(
        f"{_titles(perhaps)} may be its own: {_names(files)} does not show the id in its "
        "`run-name`. Release it to send it again, or cancel it"
    )


def judged(
    waiting: Sequence[Dispatch],
    runs: Iterable[Run],
    audience: Audience | None,
    *,
    at: datetime,
    now: datetime,
) -> list[Judgement]:
    """What a look comes to for dispatches of which no run shows the id. ``runs`` are `strangers`
    that reach back to the `horizon` of all, ``at`` is GitHub's clock at that look, ``now`` ours.
    Where the ``audience`` could not be asked it is None."""
    free = Strangers(runs)
    own = [free.candidates(dispatch, audience) for dispatch in waiting]
    diagnoses = Diagnoses(audience)
    return [
        _judged(each, mine, audience, diagnoses, at, now)
        for each, mine in zip(waiting, own, strict=True)
    ]


def _judged(
    dispatch: Dispatch,
    mine: Candidates,
    audience: Audience | None,
    diagnoses: Diagnoses,
    at: datetime,
    now: datetime,
) -> Judgement:
    look_at = next_look(dispatch, at, now)
    age = at - (dispatch.sent_at or at)
    over = is_over(dispatch, at)
    if mine and mine.one_each and mine.alone and age >= CALM:
        runs = tuple(mine)
        return Judgement(dispatch.id, Match.PROBABLE, _unshown(runs, audience), None, runs)
    why = diagnoses.of(dispatch)
    if not over:
        return Judgement(dispatch.id, dispatch.match, why, look_at)
    if mine:
        return Judgement(dispatch.id, Match.AMBIGUOUS, _several(mine), look_at)
    return Judgement(dispatch.id, Match.MISSING, why or _nothing(dispatch, audience), look_at)


def _unshown(mine: Sequence[Run], audience: Audience | None) -> str:
    return (
        f"{_titles(mine)} is the only run that it can be by its time; to make sure of it, show the "
        f"id in the `run-name` of {_names(run.workflow for run in mine)}"
    )


def _several(mine: Candidates) -> str:
    others = "" if mine.alone else ", and other dispatches may have started them as well"
    return (
        f"{len(mine)} of the runs can be its own by their time{others}: {_titles(mine)}. Show the "
        f"id in the `run-name` of {_names(mine.workflows)}, as in "
        "${{ github.event.client_payload.dispatchd.id }}, and they are told apart"
    )


def _nothing(dispatch: Dispatch, audience: Audience | None) -> str:
    within = f"no run was seen within {dispatch.expect_within}"
    if audience is None:
        return f"{within}, and the repository's workflows could not be looked at"
    heard = audience.hearing(dispatch)
    if not heard:
        return within
    hidden = [each.file for each in heard if not each.shows(dispatch)]
    listening = _names(each.file for each in heard)
    if hidden:
        return (
            f"{within}, though {listening} listens; {_names(hidden)} does not show the id in its "
            "`run-name`, so a run is only told by its time"
        )
    return (
        f"{within}, though {listening} listens. GitHub may have dropped it (it starts no more than "
        "500 runs in 10 s of one repository), be late (githubstatus.com), or Actions are switched "
        "off, out of minutes, or not permitted for this repository: see its Actions tab"
    )


def _titles(runs: Sequence[Run] | Candidates) -> str:
    shown = ", ".join(run.url or str(run.id) for run in islice(runs, 3))
    return shown + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")


def _names(files: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(files))
