"""A look for missed deliveries as values: what is to be looked through, and how it goes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from daemon.facts import MissedLookedFor
from daemon.github_hooks import Hook, HookDelivery
from daemon.redelivery import Missed


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be looked through: ``places``, or where none is named all that are known; from
    ``since`` on, or where none is given from where each was looked through last. ``dry_run`` asks
    for nothing; ``refused`` asks for what was refused as well."""

    since: datetime | None = None
    dry_run: bool = False
    refused: bool = False
    places: tuple[str, ...] = ()


@dataclass(slots=True)
class HookReport:
    """What was found of one hook. ``here`` are failed deliveries that arrived all the same;
    ``whole`` says that its list was read to the end. ``asked`` grows while the work goes on."""

    hook: Hook
    since: datetime
    looked_at: int
    found: Missed
    here: int
    whole: bool
    asked: list[HookDelivery] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether nothing of it is left for another time. What is beyond the end of its list
        another look would not see either."""
        return not self.found.left and len(self.asked) == len(self.found.again)


@dataclass(slots=True)
class Report:
    """How one look goes. ``denied`` are places, with the reason, that GitHub does not let us look
    at or act in, ``failed`` those where that may work later."""

    order: Order
    began_at: datetime
    finished: bool = False
    hooks: list[HookReport] = field(default_factory=list)
    denied: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def finished_work(self) -> bool:
        """Whether anything came of it."""
        return any(each.asked for each in self.hooks)

    @property
    def fact(self) -> MissedLookedFor:
        refused: Counter[int] = Counter()
        for each in self.hooks:
            refused.update(each.found.refused)
        return MissedLookedFor(
            len(self.hooks),
            sum(len(each.found.again) + each.found.left for each in self.hooks),
            sum(len(each.asked) for each in self.hooks),
            dict(refused),
        )
