"""Chains: dispatches that descend from one another, since the run of one led to an event that
another one answers. And what keeps such a chain, or an entry, from running away."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from msgspec import Struct

from daemon.dispatch import Dispatch
from daemon.durations import written
from daemon.ids import ALPHABET, LENGTH

IDS_MAX = 8
"""So many ids in one text are looked up; who writes more of them means none in particular."""

_ID = re.compile(rf"(?<![0-9a-z])dsp_[{ALPHABET}]{{{LENGTH}}}(?![0-9a-z])")

RunKey = tuple[str, int]
"""A workflow run: its repository (``owner/name``, in lower case) and its number."""


class Descent(Struct, frozen=True):
    """What an event says of the dispatch that it descends from: the ``ids`` of dispatches that it
    names, those that the entry's `parent` gave first, and the workflow ``run`` that it tells of.
    ``remark`` is what a person should know where there is nothing else."""

    ids: tuple[str, ...] = ()
    run: RunKey | None = None
    remark: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """The ids, and the run, as they are shown."""
        run = (f"run {self.run[1]} of {self.run[0]}",) if self.run else ()
        return (*self.ids, *run)


class Place(Struct, frozen=True):
    """Where in a chain a dispatch stands. ``remark`` says why it has no parent, where its event
    names one."""

    parent_id: str | None = None
    depth: int = 0
    remark: str = ""


NOWHERE = Place()
"""Of what descends from nothing."""


class Breaker(Struct, frozen=True):
    """An entry that makes more than ``max`` dispatches in any span ``per`` is held."""

    max: int
    per: timedelta

    def __str__(self) -> str:
        return f"{self.max:,} in {written(self.per)}"


class Guards(Struct, frozen=True):
    """What holds dispatches until a person has looked at them; None: nothing does."""

    max_chain_depth: int | None = None
    breaker: Breaker | None = None

    def too_deep(self, depth: int) -> str:
        """Why a dispatch of that depth is held; empty where it is not."""
        if self.max_chain_depth is None or depth <= self.max_chain_depth:
            return ""
        return (
            f"its depth in its chain, {depth}, is past max_chain_depth ({self.max_chain_depth}), "
            "so it may be a loop: `dispatchd release` sends it"
        )

    def too_many(self, made: int) -> str:
        """Why dispatches of an entry are held that has made so many within the span, these
        included; empty where they are not."""
        if self.breaker is None or made <= self.breaker.max:
            return ""
        return f"its breaker ({self.breaker}) is open: `dispatchd release` sends it"


UNGUARDED = Guards()


class Family(Struct, frozen=True):
    """Dispatches that descend from one another, each followed by its descendants. ``complete``
    says that these are all."""

    members: tuple[Dispatch, ...]
    complete: bool


def ids_in(text: object) -> tuple[str, ...]:
    """The ids of dispatches in a text, each once; none in what is no text."""
    if not isinstance(text, str) or "dsp_" not in text:
        return ()
    found = dict.fromkeys(each[0] for each in _ID.finditer(text))
    return tuple(found)[:IDS_MAX]


def place(
    descent: Descent, depths: Mapping[str, int], by_run: Mapping[RunKey, Sequence[str]]
) -> Place:
    """The place of what descends so, where ``depths`` are those of all dispatches that are known,
    and ``by_run`` the dispatches that are known to have started a run.

    Of several parents the deepest counts: whoever writes ids into a title or a branch can lengthen
    a chain with that, and never shorten it.
    """
    started = by_run.get(descent.run, ()) if descent.run else ()
    parents = [each for each in (*descent.ids, *started) if each in depths]
    if parents:
        parent = max(parents, key=lambda each: depths[each])
        return Place(parent, depths[parent] + 1)
    if descent.ids:
        named = ", ".join(descent.ids)
        return Place(remark=f"its parent {named} is not known here (aged out?): its depth is 0")
    return Place(remark=descent.remark)
