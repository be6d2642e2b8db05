"""``dispatchd next`` and ``dispatchd explain``: when cron entries fire, as instants and words."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from daemon import config
from daemon.agenda import next_instants
from daemon.bounds import Bounded
from daemon.cli.layout import Fields, Listing
from daemon.cli.offline import instant
from daemon.cli.tables import plain, put, say, warn
from daemon.config.legacy import SLUG
from daemon.cron import parse
from daemon.crontab import MACROS, hashes
from daemon.durations import duration, written
from daemon.errors import ScheduleError, UsageError
from daemon.event import Overlap
from daemon.expressions import rfc3339
from daemon.intervals import Interval, OneTime
from daemon.schedule import Schedule
from daemon.spec import CatchUp, Config, CronSpec
from daemon.spread import jitter
from daemon.wallclock import SECOND, wall_clock

INTERVAL = re.compile(r"every (\S+)(?: offset (\S+))?")
KNOWN_MAX = 10
"""So many names are listed where there is none that is nearly the one that was given."""

LOCAL = "%a %Y-%m-%d %H:%M:%S %Z"
_CATCH_UP = {
    CatchUp.LATEST: "latest: after downtime, the newest of the instants that passed fires once",
    CatchUp.ALL: "all: after downtime, each of the instants that passed fires, oldest first",
    CatchUp.SKIP: "skip: what passed during a downtime does not fire",
}
_OVERLAP = {
    Overlap.SKIP: "skip: an instant is missed while the firing before is unfinished",
    Overlap.BUFFER_ONE: "buffer_one: an instant waits while the firing before is unfinished; what "
    "comes while one waits is missed",
}


def show_next(
    config_dir: Path | None, name: str | None, after: str | None, number: int, *, as_json: bool
) -> None:
    """Of all enabled entries, or of the one with the name. Raises UsageError for an instant that
    cannot be read and a name that there is not."""
    start = start_of(after)
    loaded = load(config_dir)
    crons = [cron for cron in loaded.crons if cron.enabled]
    if name is not None:
        crons = [named(loaded, name)]
        if not crons[0].enabled:
            warn(f"{name} is disabled: it does not fire")
    upcoming = next_instants(crons, start, number)
    if as_json:
        print(json.dumps({name: [rfc3339(at) for at in ats] for name, ats in upcoming.items()}))
    elif crons:
        put(_listing(crons, upcoming))
    else:
        say("no cron entry is enabled")


def explain(
    text: str,
    config_dir: Path | None,
    zone: str | None,
    name: str | None,
    after: str | None,
    number: int,
    *,
    as_json: bool,
) -> None:
    """``text`` is an expression, or the name of an entry. Raises UsageError for one that cannot be
    read, with what to write instead."""
    start = start_of(after)
    cron = None
    if SLUG.fullmatch(text):  # which no expression looks like
        cron = _entry(text, config_dir)
        if zone is not None or name is not None:
            raise UsageError(
                f"{text} is an entry, with a time zone and a name of its own: --timezone and "
                "--name are for expressions"
            )
    schedule = cron.schedule if cron else _read(text, zone or "UTC", name or "")
    instants = _instants(schedule, start, number)
    if as_json:
        print(json.dumps(_view(schedule, cron, instants), ensure_ascii=False))
        return
    put(_explanation(schedule, cron))
    say("")
    rows = Listing(("local time", "UTC"))
    for at in instants:
        rows.add(_local(at, schedule), rfc3339(at))
    if instants:
        put(rows)
    else:
        last = schedule.last_before(start + SECOND)
        say(f"It fires no more{f', the last time was {rfc3339(last)}' if last else ''}.")


def load(config_dir: Path | None) -> Config:
    """The config as it is without its secrets."""
    directory = config.config_directory(config_dir, os.environ)
    return config.load(directory, os.environ, secrets=config.Secrets.OPTIONAL)


def start_of(after: str | None) -> datetime:
    """What ``--after`` says, else now. Raises UsageError for what is no instant."""
    return instant(after, "--after") if after else datetime.now(UTC)


def named(loaded: Config, name: str) -> CronSpec:
    """The entry, whether enabled or not. Raises UsageError with the names that there are."""
    if cron := loaded.cron(name):
        return cron
    names = [cron.name for cron in loaded.crons]
    if near := difflib.get_close_matches(name, names, n=3):
        raise UsageError(f"there is no cron entry {name!r}; did you mean {' or '.join(near)}?")
    more = f" and {len(names) - KNOWN_MAX} more" if len(names) > KNOWN_MAX else ""
    known = ", ".join(names[:KNOWN_MAX]) or "none"
    raise UsageError(f"there is no cron entry {name!r}; there are: {known}{more}")


def _entry(name: str, config_dir: Path | None) -> CronSpec:
    try:
        return named(load(config_dir), name)
    except UsageError as error:
        macro = f"@{name.upper()}" in MACROS
        form = f"the macro is `@{name}`" if macro else "an expression has 5 fields: `30 3 * * *`"
        raise UsageError(f"{error} ({form})") from None


def _read(text: str, zone: str, name: str) -> Schedule:
    """A schedule as `dispatchd next` shows it: an expression, ``every 15m``, ``at`` an instant."""
    form = " ".join(text.split())
    try:
        wall_clock(zone)
        if found := INTERVAL.fullmatch(form):
            shift = found[2] or "0s"
            offset = timedelta() if re.fullmatch("0[smhd]", shift) else duration(shift)
            return Interval(duration(found[1]), offset, zone)
        if form.startswith("at "):
            return OneTime(instant(form.removeprefix("at "), "at"), zone)
        if hashes(text) and not name:
            raise UsageError(
                f"`{form}` holds an `H`, which is made of the entry's name: give that with --name"
            )
        return parse(text, zone, name)
    except (ScheduleError, ValueError) as error:
        raise UsageError(str(error)) from None


def _instants(schedule: Schedule, after: datetime, number: int) -> list[datetime]:
    found: list[datetime] = []
    at = schedule.next_after(after)
    while at is not None and len(found) < number:
        found.append(at)
        at = schedule.next_after(at)
    return found


def _view(
    schedule: Schedule, cron: CronSpec | None, instants: Sequence[datetime]
) -> Mapping[str, Any]:
    """What an entry says of itself is null for an expression; the bounds where there are none."""
    bounds = schedule if isinstance(schedule, Bounded) else None
    return {
        "name": cron.name if cron else None,
        "enabled": cron.enabled if cron else None,
        "schedule": schedule.text,
        "timezone": schedule.timezone,
        "words": schedule.words,
        "start_at": rfc3339(bounds.start_at) if bounds and bounds.start_at else None,
        "end_at": rfc3339(bounds.end_at) if bounds and bounds.end_at else None,
        "exclude": bounds.excluded.words if bounds else [],
        "jitter": written(cron.jitter) if cron and cron.jitter else None,
        "catch_up": cron.catch_up if cron else None,
        "catch_up_limit": cron.catch_up_limit if cron else None,
        "max_lateness": _span(cron.max_lateness) if cron else None,
        "overlap": cron.overlap if cron else None,
        "alert_after": _span(cron.alert_after) if cron else None,
        "warnings": schedule.warnings(),
        "next": [rfc3339(at) for at in instants],
    }


def _span(span: timedelta | None) -> str | None:
    return None if span is None else written(span)


def _explanation(schedule: Schedule, cron: CronSpec | None) -> Fields:
    fields = Fields()
    if cron is not None:
        fields.add("entry", cron.name + ("" if cron.enabled else " (disabled: it does not fire)"))
        if cron.description:
            fields.add("description", plain(cron.description))
    fields.add("schedule", plain(schedule.text))
    fields.add("fires", schedule.words)
    if isinstance(schedule, Bounded):
        if schedule.start_at:
            fields.add("from", _local(schedule.start_at, schedule))
        if schedule.end_at:
            fields.add("until", _local(schedule.end_at, schedule))
        if left_out := schedule.excluded.words:
            fields.add("except", "\n".join(left_out))
    fields.add("time zone", schedule.timezone)
    if cron is not None:
        if cron.jitter:
            span = written(cron.jitter)
            fields.add("jitter", f"each is sent later than it fires, by less than {span}")
        fields.add("catch_up", _CATCH_UP[cron.catch_up])
        if cron.catch_up is CatchUp.ALL:
            fields.add("catch_up_limit", f"the newest {cron.catch_up_limit} of them at most")
        if cron.max_lateness is not None:
            most = written(cron.max_lateness)
            fields.add("max_lateness", f"{most}: what is later is missed")
        if cron.overlap in _OVERLAP:
            fields.add("overlap", _OVERLAP[cron.overlap])
        if cron.alert_after is not None:
            after = written(cron.alert_after)
            fields.add("alert_after", f"{after}: what is later is an incident")
    for warning in schedule.warnings():
        fields.add("warning", warning)
    return fields


def _listing(crons: Sequence[CronSpec], upcoming: Mapping[str, Sequence[datetime]]) -> Listing:
    spread = any(cron.jitter for cron in crons)
    rows = Listing(("entry", "schedule", "local time", "UTC", *["jitter"] * spread))
    for cron in crons:
        for index, at in enumerate(upcoming[cron.name]):
            later = jitter(cron.name, at, cron.jitter)
            rows.add(
                cron.name if index == 0 else "",
                cron.schedule.text if index == 0 else "",
                _local(at, cron.schedule),
                rfc3339(at),
                *[f"+{timedelta(seconds=later // SECOND)}" if cron.jitter else ""] * spread,
            )
        if not upcoming[cron.name]:
            rows.add(cron.name, cron.schedule.text, "never again", "", *[""] * spread)
    return rows


def _local(at: datetime, schedule: Schedule) -> str:
    return f"{at.astimezone(ZoneInfo(schedule.timezone)):{LOCAL}}"
