"""An entry of CRONS.json as a CronSpec."""

from __future__ import annotations

from daemon.config.dispatches import DispatchReader
from daemon.config.entry import Entry
from daemon.config.schedules import ScheduleReader
from daemon.expressions import Vocabulary
from daemon.spec import CatchUp, CronSpec


class CronReader:
    """Reads cron entries; all of them share one vocabulary."""

    def __init__(self, dispatches: DispatchReader, schedules: ScheduleReader) -> None:
        self._dispatches = dispatches
        self._vocabulary = Vocabulary.for_cron().with_dispatch()
        self._schedules = schedules

    def read(self, entry: Entry) -> CronSpec | None:
        """The spec, or None where the entry's findings say why there is none."""
        node = entry.node
        schedule = self._schedules.read(node, entry.name, enabled=entry.enabled)
        jitter = self._schedules.jitter(node, schedule)
        dispatches = self._dispatches.read(node, self._vocabulary, lenient=entry.lenient)
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
        )
