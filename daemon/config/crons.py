"""An entry of CRONS.json as a CronSpec."""

from __future__ import annotations

from datetime import timedelta

from daemon.config.dispatches import DispatchReader
from daemon.config.entry import Entry
from daemon.config.follow_ups import FollowUpReader
from daemon.config.node import Node
from daemon.config.schedules import ScheduleReader
from daemon.event import Overlap
from daemon.expressions import Vocabulary
from daemon.spec import CATCH_UP_LIMIT, CatchUp, CronSpec


class CronReader:
    """Reads cron entries; all of them share one vocabulary."""

    def __init__(
        self, dispatches: DispatchReader, follow_ups: FollowUpReader, schedules: ScheduleReader
    ) -> None:
        self._dispatches = dispatches
        self._follow_ups = follow_ups
        self._vocabulary = Vocabulary.for_cron().with_dispatch()
        self._schedules = schedules

    def read(self, entry: Entry) -> CronSpec | None:
        """The spec, or None where the entry's findings say why there is none."""
        node = entry.node
        schedule = self._schedules.read(node, entry.name, enabled=entry.enabled)
        jitter = self._schedules.jitter(node, schedule)
        dispatches = self._dispatches.read(node, self._vocabulary, lenient=entry.lenient)
        on_failure = self._follow_ups.of_cron(node, "on_failure")
        on_missing = self._follow_ups.of_cron(node, "on_missing")
        if entry.findings.spoiled or schedule is None:
            return None
        return CronSpec(
            name=entry.name,
            description=node.text("description") or "",
            enabled=entry.enabled,
            schedule=schedule,
            catch_up=CatchUp(node.text("catch_up") or CatchUp.LATEST),
            dispatches=dispatches,
            jitter=jitter,
            max_lateness=_given(node, "max_lateness"),
            catch_up_limit=node.whole("catch_up_limit", CATCH_UP_LIMIT),
            overlap=Overlap(node.text("overlap") or Overlap.ALLOW),
            alert_after=_given(node, "alert_after"),
            on_failure=on_failure,
            on_missing=on_missing,
        )


def _given(node: Node, key: str) -> timedelta | None:
    """The duration under ``key``; None where there is none."""
    return node.span(key, timedelta()) or None
