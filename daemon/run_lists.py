"""The runs of each repository as GitHub lists them: read as far back as somebody needs them, noted
in the store, and kept for whoever else needs them soon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from daemon.candidates import Audience
from daemon.facts import DispatchSettled, Facts, RunSeen
from daemon.github import Question, Reply
from daemon.github_runs import PAGE, Page, list_question, listed
from daemon.ports import Sighting, Sightings
from daemon.run import Run

PAGES_MAX = 10
"""Pages of a list that one look reads: a thousand runs."""

BACKOFF_MAX = timedelta(minutes=5)
"""The longest rest of those who look, after looks that failed; a list that nobody needs is kept as
long."""

TOO_FAR = (
    f"more than {PAGES_MAX * PAGE:,} runs have begun in the repository since, too many to look for "
    "its own among them"
)

Each = TypeVar("Each")


class GitHub(Protocol):
    """Answers within the share of requests that may be spent on looking."""

    def closed_until(self, repository: str) -> datetime | None:
        """Before when nothing may be asked about the repository; None: it may be now."""
        ...

    async def ask(self, repository: str, question: Question) -> Reply:
        """Raises FetchError."""
        ...


class Workflows(Audience, Protocol):
    """The workflows of a repository, as they were ``at`` that time."""

    @property
    def at(self) -> datetime: ...


class Preflight(Protocol):
    """Knows the workflows of repositories."""

    async def listeners(self, repository: str, now: datetime, *, fresh: bool = False) -> Workflows:
        """Raises FetchError."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What a list told: the runs, newest first, as far back as ``since`` (None: to the first ever).
    ``began`` is by our clock, ``at`` by GitHub's."""

    runs: Sequence[Run]
    since: datetime | None
    began: datetime
    at: datetime

    @property
    def ahead(self) -> timedelta:
        """How much GitHub's clock is ahead of ours."""
        return self.at - self.began

    def reaches(self, back: datetime | None) -> bool:
        return self.since is None or back is None or self.since <= back


Wanted = Callable[[Collection[int], timedelta], Awaitable[datetime | None]]
"""How far back a list must reach by GitHub's clock (None: no further), asked after each page: all
runs that were seen by then are given by number, and how much that clock is ahead of ours."""


class RunList:
    """The runs of a repository. Who looks holds the ``turn``; ``last`` is the latest look."""

    def __init__(
        self,
        repository: str,
        sightings: Sightings,
        github: GitHub,
        clock: Callable[[], datetime],
        facts: Facts,
    ) -> None:
        self._repository = repository
        self._sightings = sightings
        self._github = github
        self._clock = clock
        self._facts = facts
        self._etag = ""
        self._newest = Page([], full=False)
        """The first page as it was told last, which is what 304 stands for."""
        self.last: Look | None = None
        self.turn = asyncio.Lock()

    async def look(self, wanted: Wanted) -> Look:
        """Reads the list as far back as is ``wanted``, and takes note of what is in it. Raises
        FetchError and StoreUnavailable."""
        began = self._clock()
        reply = await self._github.ask(
            self._repository, list_question(self._repository, etag=self._etag)
        )
        # Not modified says something only to who asked whether it was.
        if reply.status != 304 or not self._etag:
            self._newest, self._etag = listed(reply, self._repository), reply.etag
        last = self._newest
        # A run that begins meanwhile moves others to the next page, where they come once more.
        runs = {run.id: run for run in last.runs}
        await note(self._sightings, self._facts, last.runs, self._clock())
        for page in range(2, PAGES_MAX + 1):
            if last.since is None:
                break
            back = await wanted(runs, reply.at - began)
            if back is None or last.since < back:
                break
            answer = await self._github.ask(self._repository, list_question(self._repository, page))
            last = listed(answer, self._repository)
            runs |= {run.id: run for run in last.runs}
            await note(self._sightings, self._facts, last.runs, self._clock())
        self.last = Look(tuple(runs.values()), last.since, began, reply.at)
        return self.last


class RunLists:
    """A list for each repository that is looked at. ``clock`` gives the wall time."""

    def __init__(
        self,
        sightings: Sightings,
        github: GitHub,
        *,
        clock: Callable[[], datetime],
        facts: Facts,
    ) -> None:
        self._sightings = sightings
        self._github = github
        self._clock = clock
        self._facts = facts
        self._lists: dict[str, RunList] = {}

    def of(self, repository: str) -> RunList:
        if repository not in self._lists:
            self._lists[repository] = RunList(
                repository, self._sightings, self._github, self._clock, self._facts
            )
        return self._lists[repository]

    def forget_but(self, needed: Collection[str]) -> None:
        """Forgets the lists of other repositories, but for those that are in use or recent."""
        now = self._clock()
        for name in [name for name in self._lists if name not in needed]:
            last = self._lists[name].last
            recent = last is not None and abs(now - last.began) < BACKOFF_MAX
            if not recent and not self._lists[name].turn.locked():
                del self._lists[name]


async def note(sightings: Sightings, facts: Facts, runs: Sequence[Run], now: datetime) -> None:
    """Takes note of runs as they were told, a page at a time: many at once would hold up all else.
    Raises StoreUnavailable."""
    for some in pages(runs):
        tell(facts, await sightings.see_runs(some, now))


def tell(facts: Facts, sightings: Sequence[Sighting]) -> None:
    for sighting in sightings:
        if sighting.settled:
            facts.publish(DispatchSettled(sighting.dispatch))
        facts.publish(RunSeen(sighting.dispatch, sighting.run, sighting.before))


def pages(things: Sequence[Each]) -> Iterator[Sequence[Each]]:
    """As many at a time as the store takes without holding up all else."""
    for start in range(0, len(things), PAGE):
        yield things[start : start + PAGE]
