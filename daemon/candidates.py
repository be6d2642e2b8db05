"""Which of the runs that show no id may be a dispatch's own, and whether they may be another's as
well: for a thousand of each without comparing each with each. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from heapq import merge
from itertools import accumulate, islice
from typing import Protocol

from daemon.dispatch import Dispatch
from daemon.run import Run

EARLY = timedelta(seconds=5)
"""How far GitHub's clock and ours may be apart where only the time tells runs apart, which GitHub's
clock has stamped then."""

WITHIN = timedelta(minutes=5)
"""How long after its dispatch a run may begin, where no time is set."""


class Listener(Protocol):
    """A workflow that hears a dispatch."""

    @property
    def file(self) -> str:
        """The file's name."""
        ...

    def shows(self, dispatch: Dispatch) -> bool:
        """Whether the title of its run shows the dispatch's id for certain."""
        ...


class Audience(Protocol):
    """The workflows of a repository."""

    def hearing(self, call: Dispatch) -> Sequence[Listener]:
        """Those that a dispatch starts."""
        ...

    def diagnosis(self, call: Dispatch, expected: str = "") -> str:
        """Why no run comes of a dispatch (of the ``expected`` workflow, where one is), and how to
        mend it; nothing where there is no reason."""
        ...


def event_of(dispatch: Dispatch) -> str:
    """The event by which its runs are started."""
    return "workflow_dispatch" if dispatch.workflow else "repository_dispatch"


class _Group:
    """Runs of one event and one workflow, from the first to the last that began."""

    def __init__(self, workflow: str, runs: Sequence[tuple[int, Run]]) -> None:
        self.workflow = workflow
        self.runs = sorted(runs, key=_age, reverse=True)
        self.times = [run.created_at for _, run in self.runs]
        self._steps = [0] * (len(runs) + 1)
        self._disputed: list[int] | None = None

    def claim(self, first: int, end: int) -> None:
        """These may be one dispatch's own."""
        self._steps[first] += 1
        self._steps[end] -= 1
        self._disputed = None

    def disputed(self, first: int, end: int) -> bool:
        """Whether any of these may be the own of several dispatches."""
        if self._disputed is None:
            claims = islice(accumulate(self._steps), len(self.runs))
            self._disputed = [0, *accumulate(count > 1 for count in claims)]
        return self._disputed[end] > self._disputed[first]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The runs that may be one dispatch's own: of each workflow that may have been started those
    from ``first`` up to ``end``."""

    spans: Sequence[tuple[_Group, int, int]]

    def __len__(self) -> int:
        return sum(end - first for _, first, end in self.spans)

    def __iter__(self) -> Iterator[Run]:
        """The newest first."""
        spans = (reversed(group.runs[first:end]) for group, first, end in self.spans)
        return (run for _, run in merge(*spans, key=_age))

    @property
    def alone(self) -> bool:
        """Whether none of them may be another's."""
        return not any(group.disputed(first, end) for group, first, end in self.spans)

    @property
    def one_each(self) -> bool:
        """Whether no workflow has two of them."""
        return len(self) == len(self.spans)

    @property
    def workflows(self) -> list[str]:
        """The files of these runs."""
        newest = sorted(self.spans, key=lambda span: _age(span[0].runs[span[2] - 1]))
        return [group.workflow for group, _, _ in newest]


class Strangers:
    """Runs that show no id and may be anybody's, newest first. Those whose `candidates` were asked
    for are the dispatches that may own them."""

    def __init__(self, runs: Iterable[Run]) -> None:
        found: dict[tuple[str, str], list[tuple[int, Run]]] = defaultdict(list)
        for place, run in enumerate(runs):
            found[run.event, run.workflow].append((place, run))
        self._groups: dict[str, list[_Group]] = defaultdict(list)
        for (event, workflow), each in found.items():
            self._groups[event].append(_Group(workflow, each))

    def candidates(self, dispatch: Dispatch, audience: Audience | None) -> Candidates:
        """Those that can be the dispatch's own, by the kind, the workflow and the time. To be asked
        once for each dispatch."""
        spans: list[tuple[_Group, int, int]] = []
        if dispatch.sent_at is None:
            return Candidates(spans)
        earliest = dispatch.sent_at - EARLY
        latest = dispatch.sent_at + (dispatch.expect_within or WITHIN)
        for group in self._groups.get(event_of(dispatch), ()):
            first = bisect_left(group.times, earliest)
            end = bisect_right(group.times, latest)
            if first < end:
                spans.append((group, first, end))
        if spans and (files := _files(dispatch, audience)) is not None:
            spans = [span for span in spans if span[0].workflow in files]
        for group, first, end in spans:
            group.claim(first, end)
        return Candidates(spans)


def _files(dispatch: Dispatch, audience: Audience | None) -> set[str] | None:
    """The workflow files whose runs may be the dispatch's without showing its id; None: any. Of one
    that shows ids, a run without an id is somebody else's."""
    if audience is None:
        expected = dispatch.expect_workflow or dispatch.workflow
        return {expected} if expected else None
    return {each.file for each in audience.hearing(dispatch) if not each.shows(dispatch)}


def _age(placed: tuple[int, Run]) -> tuple[float, int]:
    """The newer the less; of those that began together by their place in the list."""
    place, run = placed
    return -run.created_at.timestamp(), place
