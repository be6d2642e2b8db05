"""Finds out what became of dispatches whose answer was lost: whether GitHub acted on the request,
by the runs that it has started since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from daemon.binding import (
    SETTLED,
    SLACK,
    Finding,
    Found,
    Hidden,
    Unclear,
    Unknown,
    found_out,
    strangers,
)
from daemon.dispatch import Dispatch
from daemon.errors import FetchError, NotPermitted
from daemon.outage import Outage
from daemon.ports import Sightings
from daemon.run_lists import BACKOFF_MAX, TOO_FAR, GitHub, Look, Preflight, RunList, RunLists

REFUSED_FOR = timedelta(minutes=2)
"""How long after a request a refusal to show runs may be a passing one."""


class LostAnswers:
    """Looks for the runs of such dispatches. ``clock`` gives the wall time."""

    def __init__(
        self,
        sightings: Sightings,
        github: GitHub,
        lists: RunLists,
        preflight: Preflight,
        clock: Callable[[], datetime],
    ) -> None:
        self._sightings = sightings
        self._github = github
        self._lists = lists
        self._preflight = preflight
        self._clock = clock
        # After a look that failed the next one waits, longer each time, for all who want one.
        self._outages = defaultdict[str, Outage](
            lambda: Outage(base=timedelta(seconds=2), cap=BACKOFF_MAX)
        )

    async def find(self, dispatch: Dispatch) -> Finding:
        """What became of a dispatch whose answer was lost. Raises StoreUnavailable."""
        last = dispatch.sent_at or dispatch.created_at
        if self._clock() < last + SETTLED:
            return Unknown("its run may not be listed yet", last + SETTLED)
        attempts = await self._sightings.attempts(dispatch.id)
        since = min([last, *(attempt.started_at for attempt in attempts)])
        repository = dispatch.repository
        try:
            look = await self._looked_since(repository, last + SETTLED, since)
            if look is None:
                ahead = self._closed_until(repository)
                return Unknown("GitHub is asked for runs as often as may be", ahead)
            audience = await self._preflight.listeners(repository, self._clock())
        except NotPermitted as error:
            if self._clock() >= last + REFUSED_FOR:
                return Hidden()
            return Unknown(f"its run could not be looked for: {error}", None)
        except FetchError as error:
            ahead = self._closed_until(repository)
            return Unknown(f"its run could not be looked for: {error}", ahead)
        seen = await self._sightings.dispatch(dispatch.id)
        if seen is not None and seen.run_id is not None:
            return Found(seen)
        since += look.ahead
        if not look.reaches(since - SLACK):
            return Unclear(TOO_FAR)
        # One that is another's by its time alone may be of this request.
        unnamed = strangers(look.runs, ())
        bound = await self._sightings.certain_runs(unnamed)
        return found_out(dispatch, since, strangers(unnamed, bound), audience)

    async def _looked_since(self, repository: str, after: datetime, back: datetime) -> Look | None:
        """A look that began after then and reaches back so far, by our clock; one serves all who
        want it. None where GitHub may not be asked now."""
        runs = self._lists.of(repository)
        async with runs.turn:
            last = runs.last
            # One that is still to come was before the clock was set back.
            recent = last is not None and after <= last.began <= self._clock()
            if last is not None and recent and last.reaches(back + last.ahead - SLACK):
                return last
            if self._closed_until(repository) is not None:
                return None
            return await self._look(repository, runs, back)

    async def _look(self, repository: str, runs: RunList, back: datetime) -> Look:
        async def wanted(_: Collection[int], ahead: timedelta) -> datetime:
            return back + ahead - SLACK

        outage = self._outages[repository]
        try:
            look = await runs.look(wanted)
        except NotPermitted:
            raise
        except FetchError:
            outage.unreachable(self._clock())
            raise
        outage.reached()
        return look

    def _closed_until(self, repository: str) -> datetime | None:
        """Before when nothing is asked for a lost answer; None: it may be now."""
        paused_until = self._outages[repository].paused_until(self._clock())
        ends = (self._github.closed_until(repository), paused_until)
        return max((end for end in ends if end is not None), default=None)
