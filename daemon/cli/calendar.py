"""``dispatchd calendar``: how many dispatches of cron entries fall due when, in 80 columns; and the
busiest minutes, with how late the pace at which GitHub is written to makes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.text import Text

from daemon.cli.layout import Fields
from daemon.cli.preview import load, start_of
from daemon.cli.tables import console, put, say
from daemon.errors import ScheduleError, UsageError
from daemon.expressions import rfc3339
from daemon.forecast import MINUTE, Busy, Forecast
from daemon.spec import CronSpec, Pace
from daemon.wallclock import SECOND, WallClock, wall_clock

BUSIEST = 5
NAMES_SHOWN = 3
NOTICEABLE = timedelta(seconds=10)
"""What is sent no later than this is not worth a word."""

HOUR = timedelta(hours=1)
INDENT = " " * 7
"""As wide as what stands before the cells."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How a number is shown in ``width`` columns: up to ``most`` as it is, from there on as
    ``many``, and from ten times as much on as ``very_many``."""

    width: int
    most: int
    many: str
    very_many: str

    def cell(self, number: int | None) -> Text:
        """None is what lies outside of the calendar, and what the clock skips."""
        if number is None:
            return Text(" " * self.width)
        if number == 0:
            shown, style = ".", "dim"
        elif number <= self.most:
            shown, style = str(number), "green"
        elif number < 10 * (self.most + 1):
            shown, style = self.many, "yellow"
        else:
            shown, style = self.very_many, "bold red"
        return Text(shown.rjust(self.width), style=style)

    @property
    def legend(self) -> str:
        many = self.most + 1
        return f". is none, {self.many} is {many} or more, {self.very_many} is {many}0 or more"


BY_MINUTE = Scale(1, 9, "+", "#")
BY_HOUR = Scale(3, 99, "++", "##")


@dataclass(frozen=True, slots=True)
class Row:
    """An hour on the face of the clock, or what there is of it: ``minutes`` has a number for each
    minute from ``first`` on. ``zone`` is what the time is called then, as CEST."""

    hour: datetime
    zone: str
    first: int
    minutes: Sequence[int]


def show_calendar(
    config_dir: Path | None, days: int, after: str | None, zone: str | None, *, as_json: bool
) -> None:
    """From ``after`` on until the clock shows the same ``days`` later. Raises UsageError for an
    instant or a zone that cannot be read."""
    first = start_of(after)
    loaded = load(config_dir)
    try:
        clock = wall_clock(zone or zone_of(loaded.crons))
        end = clock.first(clock.read(first).replace(fold=0) + timedelta(days=days))
        forecast = Forecast(loaded.crons, first, end)
        rows = list(rows_of(forecast, clock))
    except ScheduleError as error:
        raise UsageError(str(error)) from None
    except OverflowError:
        raise UsageError("there is no calendar outside of the years 1 to 9999") from None
    pace = loaded.settings.pace
    busiest = forecast.busiest(BUSIEST, pace)
    if as_json:
        print(json.dumps(_view(forecast, clock, busiest), ensure_ascii=False))
        return
    out = console()
    for line in drawing(forecast, clock, rows, by_minute=days == 1):
        out.print(line, soft_wrap=True)
    _put_summary(forecast, clock, busiest, pace)


def zone_of(crons: Sequence[CronSpec]) -> str:
    """That of the entries, where they agree on one."""
    zones = {cron.schedule.timezone for cron in crons if cron.enabled}
    return zones.pop() if len(zones) == 1 else "UTC"


def rows_of(forecast: Forecast, clock: WallClock) -> Iterator[Row]:
    """The hours as they come: one that the clock skips is not among them, one that it repeats is
    so twice."""
    start = forecast.start
    for stretch in clock.stretches(start, forecast.end):
        at = max(stretch.start, start)
        while at < stretch.end:
            wall = (at + stretch.offset).replace(tzinfo=None)
            hour = wall.replace(minute=0, second=0)
            following = min(at + (hour + HOUR - wall), stretch.end)
            first, last = (-((start - each) // MINUTE) for each in (at, following))
            zone = f"{at.astimezone(clock.zone):%Z}"
            yield Row(hour, zone, wall.minute, forecast.minutes[first:last])
            at = following


def drawing(
    forecast: Forecast, clock: WallClock, rows: Sequence[Row], *, by_minute: bool
) -> Iterator[Text]:
    """A line for each hour, with its minutes; or one for each day, with its hours."""
    per, scale = ("minute", BY_MINUTE) if by_minute else ("hour", BY_HOUR)
    yield Text(f"dispatches that fall due in each {per}, by the clock of {clock.zone.key},")
    yield Text(f"from {_local(forecast.first, clock)} to {_local(forecast.end, clock)}")
    yield Text(scale.legend, style="dim")
    yield from _by_minute(rows) if by_minute else _by_hour(rows)


def _by_minute(rows: Sequence[Row]) -> Iterator[Text]:
    """What falls due in the whole hour stands at the end of its line."""
    marks = "".join(f":{minute:02}".ljust(10) for minute in range(0, 60, 10))
    for (day, zone), hours in groupby(rows, key=lambda row: (row.hour.date(), row.zone)):
        yield Text()
        yield Text(f"{day:%a %Y-%m-%d} {zone}", style="bold")
        yield Text(INDENT + marks.rstrip(), style="dim")
        for row in hours:
            after = 60 - row.first - len(row.minutes)
            line = Text(f"{row.hour:%H:%M}".ljust(len(INDENT)))
            for number in [*[None] * row.first, *row.minutes, *[None] * after]:
                line += BY_MINUTE.cell(number)
            total = sum(row.minutes)
            yield _ended(line + Text(f" {total:6,}" if total else ""))


def _by_hour(rows: Sequence[Row]) -> Iterator[Text]:
    """An hour that the clock repeats is counted together."""
    yield Text()
    yield Text(INDENT + "".join(f"{hour:3}" for hour in range(24)), style="dim")
    for day, hours in groupby(rows, key=lambda row: row.hour.date()):
        totals: dict[int, int] = {}
        for row in hours:
            totals[row.hour.hour] = totals.get(row.hour.hour, 0) + sum(row.minutes)
        line = Text(f"{day:%a %d}".ljust(len(INDENT)))
        for hour in range(24):
            line += BY_HOUR.cell(totals.get(hour))
        yield _ended(line)


def _put_summary(forecast: Forecast, clock: WallClock, busiest: Sequence[Busy], pace: Pace) -> None:
    total = sum(forecast.minutes)
    say("")
    if not busiest:
        say("Nothing falls due.")
    elif busiest[0].dispatches == 1:
        say(f"{total:,} in all, no two of them in one minute.")
    else:
        say(f"{total:,} in all. The busiest minutes:")
        fields = Fields()
        for busy in busiest:
            if busy.dispatches > 1:
                fields.add(_local(busy.start, clock), "\n".join(_told(busy)))
        if limits := "\n".join(_limits(forecast, busiest, pace)):
            fields.add("", "")
            fields.add("pace", limits)
        put(fields)


def _told(busy: Busy) -> Iterator[str]:
    names = [cron.name for cron in busy.crons]
    others = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    entries = f" of {len(names):,} entries" if len(names) > 1 else ""
    yield f"{busy.dispatches:,}{entries}: {', '.join(names[:NAMES_SHOWN])}{others}"
    if busy.late >= NOTICEABLE:
        more = "" if busy.counted else "more than "
        yield f"the last of them is sent {more}{_span(busy.late)} late"


def _limits(forecast: Forecast, busiest: Sequence[Busy], pace: Pace) -> Iterator[str]:
    """Why some are late, and what helps."""
    if any(busy.late >= NOTICEABLE for busy in busiest):
        limits = []
        if pace.writes_per_second and pace.burst:
            limits.append(f"{pace.burst} at once and then {pace.writes_per_second:g} a second")
        if pace.writes_per_hour:
            limits.append(f"{pace.writes_per_hour} an hour")
        yield ", at most ".join(limits)
        yield "other minutes or `jitter` make less of them late"
    hours = [sum(forecast.minutes[at : at + 60]) for at in range(0, len(forecast.minutes), 60)]
    if pace.writes_per_hour and max(hours) > pace.writes_per_hour:
        over = sum(hour > pace.writes_per_hour for hour in hours)
        yield f"in {over} of {len(hours)} hours more than {pace.writes_per_hour} fall due"
        yield f"(up to {max(hours):,}): what is left over waits for a later hour"


def _view(forecast: Forecast, clock: WallClock, busiest: Sequence[Busy]) -> dict[str, Any]:
    """``minutes`` has those in which anything falls due; ``late_seconds`` is null where there are
    too many to work it out."""
    return {
        "timezone": clock.zone.key,
        "from": rfc3339(forecast.first),
        "until": rfc3339(forecast.end),
        "dispatches": sum(forecast.minutes),
        "minutes": {
            rfc3339(forecast.start + index * MINUTE): number
            for index, number in enumerate(forecast.minutes)
            if number
        },
        "busiest": [
            {
                "minute": rfc3339(busy.start),
                "dispatches": busy.dispatches,
                "entries": [cron.name for cron in busy.crons],
                "late_seconds": round(busy.late / SECOND) if busy.counted else None,
            }
            for busy in busiest
        ],
    }


def _local(at: datetime, clock: WallClock) -> str:
    return f"{at.astimezone(clock.zone):%a %Y-%m-%d %H:%M %Z}"


def _span(span: timedelta) -> str:
    """In its two largest units: ``1m 30s``, ``9h 17m``."""
    seconds = round(span / SECOND)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        number, seconds = divmod(seconds, size)
        if number or parts:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2])


def _ended(line: Text) -> Text:
    line.rstrip()
    return line
