"""When an entry of CRONS.json fires: its `schedule`, `every` or `at`, within its bounds."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.bounds import Bounded
from daemon.config.node import Node
from daemon.cron import parse
from daemon.crontab import hashes
from daemon.errors import ScheduleError
from daemon.exclusion import Dates, Exclusion, Named, exclusion, parse_exclusion
from daemon.intervals import Interval, OneTime
from daemon.schedule import Schedule
from daemon.wallclock import wall_clock

DEFAULT_ZONE = "UTC"
FORMS = ("schedule", "every", "at")


class ScheduleReader:
    """Reads the schedules of entries; ``now`` is what tells those that are over."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._parsed: dict[tuple[str, str, str], tuple[Schedule, tuple[str, ...]]] = {}
        self._items: dict[tuple[str, str], Dates | Named] = {}
        self._zones: dict[str, str] = {}

    def read(self, node: Node, name: str, *, enabled: bool) -> Schedule | None:
        """The schedule, or None where the node's findings say why there is none."""
        zone = node.text("timezone") or DEFAULT_ZONE
        if fault := self._zone_fault(zone):
            node.at(("timezone",)).fault(fault)
            zone = DEFAULT_ZONE
        inner = self._form(node, zone, name)
        if node.child("offset") and not node.child("every"):
            node.at(("offset",)).fault("shifts `every`, and there is none", "remove it", key=True)
        start_at, end_at = node.instant("start_at"), node.instant("end_at")
        excluded = self._excluded(node, name)
        if inner is None or excluded is None or node.findings.spoiled:
            return None
        if start_at and end_at and end_at < start_at:
            node.at(("end_at",)).fault("lies before `start_at`, so that the entry never fires")
            return None
        bare = start_at is None and end_at is None and not str(excluded)
        schedule = inner if bare else Bounded(inner, start_at, end_at, excluded)
        if not bare or isinstance(inner, OneTime):  # any other was looked at, or never ends
            _find_silence(node, schedule, self._now, enabled=enabled)
        return schedule

    def jitter(self, node: Node, schedule: Schedule | None) -> timedelta:
        """Zero where there is none."""
        span = node.span("jitter", timedelta())
        if span and schedule is not None:
            first = schedule.next_after(self._now)
            second = schedule.next_after(first) if first else None
            if first and second and second - first < span:
                node.at(("jitter",)).warn(
                    "is longer than the time from one instant to the next: "
                    "a later one may be sent before an earlier one"
                )
        return span

    def _form(self, node: Node, zone: str, name: str) -> Schedule | None:
        keys = node.value if isinstance(node.value, dict) else {}
        given = [key for key in FORMS if key in keys or key in node.elsewhere]
        if len(given) != 1:
            if given and given[0] in node.elsewhere:  # else the schema has said so
                node.at((given[1],)).fault(
                    f"`{given[0]}` and `{given[1]}` exclude each other", "keep one of them"
                )
            return None
        if given == ["every"]:
            every = node.span("every", timedelta())
            shift = node.text("offset") or "0s"
            offset = timedelta() if shift.startswith("0") else node.span("offset", timedelta())
            return Interval(every, offset, zone) if every else None
        if given == ["at"]:
            at = node.instant("at")
            return OneTime(at, zone) if at else None
        return self._cron(node.at(("schedule",)), zone, name)

    def _cron(self, place: Node, zone: str, name: str) -> Schedule | None:
        if not isinstance(place.value, str):
            return None
        # The same for all entries that share it, but for those that hash their name.
        key = (place.value, zone, name if hashes(place.value) else "")
        try:
            if key not in self._parsed:
                parsed = parse(*key)
                self._parsed[key] = parsed, parsed.warnings()
        except ScheduleError as error:
            place.fault(str(error))
            return None
        schedule, doubts = self._parsed[key]
        for doubt in doubts:
            place.warn(doubt)
        return schedule

    def _excluded(self, node: Node, name: str) -> Exclusion | None:
        items: list[Dates | Named] = []
        sound = True
        for item in node.at(("exclude",)).each() if node.child("exclude") else ():
            if isinstance(item.value, str):
                key = (item.value, name if hashes(item.value) else "")
                try:
                    if key not in self._items:
                        self._items[key] = parse_exclusion(*key)
                    items.append(self._items[key])
                except ScheduleError as error:
                    item.fault(str(error))
                    sound = False
        return exclusion(items) if sound else None

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


def _find_silence(node: Node, schedule: Schedule, now: datetime, *, enabled: bool) -> None:
    """Reports a schedule that never fires, or (of an enabled entry) never again."""
    if schedule.next_after(now) is not None:
        return
    causes = ("exclude", "end_at", "start_at", "at", "schedule", "every")
    place = node.at((next(key for key in causes if node.child(key)),))
    last = schedule.last_before(now)
    if last is None:
        left_out = isinstance(schedule, Bounded) and str(schedule.excluded)
        why = "`exclude` leaves out all of it" if left_out else "not once within its bounds"
        place.fault(f"the entry never fires ({why})")
    elif enabled:
        text = f"the entry will never fire again, its last instant was {last:%Y-%m-%dT%H:%M:%SZ}"
        place.warn(text, "disable or remove it")
