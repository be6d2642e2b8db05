"""An entry of CRONS.json as a CronSpec."""

from __future__ import annotations

from daemon.config.dispatches import DispatchReader
from daemon.config.entry import Entry
from daemon.config.node import Node
from daemon.cron import Schedule, parse
from daemon.errors import ScheduleError
from daemon.expressions import Vocabulary
from daemon.spec import CatchUp, CronSpec
from daemon.wallclock import wall_clock

DEFAULT_ZONE = "UTC"


class CronReader:
    """Reads cron entries; all of them share one vocabulary."""

    def __init__(self, dispatches: DispatchReader) -> None:
        self._dispatches = dispatches
        self._vocabulary = Vocabulary.for_cron().with_dispatch()
        self._schedules: dict[tuple[str, str], tuple[Schedule, tuple[str, ...]]] = {}
        self._zones: dict[str, str] = {}

    def read(self, entry: Entry) -> CronSpec | None:
        """The spec, or None where the entry's findings say why there is none."""
        node = entry.node
        schedule = self._schedule(node)
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
        )

    def _schedule(self, node: Node) -> Schedule | None:
        expression, zone = node.text("schedule"), node.text("timezone") or DEFAULT_ZONE
        if fault := self._zone_fault(zone):
            node.at(("timezone",)).fault(fault)
        if expression is None:
            return None
        place = node.at(("schedule",))
        try:
            schedule, doubts = self._parsed(expression, DEFAULT_ZONE if fault else zone)
        except ScheduleError as error:
            place.fault(str(error))
            return None
        for doubt in doubts:
            place.warn(doubt)
        return schedule

    def _parsed(self, expression: str, zone: str) -> tuple[Schedule, tuple[str, ...]]:
        """The schedule and what is doubtful about it: the same for all entries that share it."""
        if (expression, zone) not in self._schedules:
            schedule = parse(expression, zone)
            self._schedules[expression, zone] = schedule, schedule.warnings()
        return self._schedules[expression, zone]

    def _zone_fault(self, zone: str) -> str:
        """What is wrong with a time zone's name, or nothing. Asked once for each zone: to look
        for the name that was meant takes a while."""
        if zone not in self._zones:
            try:
                wall_clock(zone)
                self._zones[zone] = ""
            except ScheduleError as error:
                self._zones[zone] = str(error)
        return self._zones[zone]
