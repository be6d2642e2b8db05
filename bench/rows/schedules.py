"""Ten thousand schedules of which no two are the same: what they take in memory, and until the
daemon is ready."""

from __future__ import annotations

from collections.abc import Iterator

from bench.home import Entry, Home
from bench.plan import Plan
from bench.row import Row, at_most
from bench.rows.crons import entry
from bench.rows.memory import MB
from bench.rows.starts import ready

FORMS = (
    "{minute} {hour} * * *",
    "{minute} {hour} * * MON-FRI",
    "{minute} {hour} * * SUN",
    "{minute} {hour} 1 * *",
    "{minute} {hour} L * *",
    "{minute} {hour} 1 1,4,7,10 *",
    "{minute} {hour} * * TUE#2",
    "{minute} {hour} 8-18 * * MON-FRI",  # of six fields: every hour, at a minute and a second
)
"""What people write; each stands for as many expressions as there are minutes in a day."""

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Lisbon",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Asia/Dubai",
    "Australia/Sydney",
    "Pacific/Auckland",
)


def schedules(plan: Plan) -> Iterator[Row]:
    count = plan.count(10_000, 100)
    resident: list[float] = []

    def start() -> float:
        home = Home(plan.directory("schedules"), crons=[distinct(each) for each in range(count)])
        with ready(home) as (daemon, seconds):
            resident.append(daemon.resident() / MB)
        return seconds

    figures = plan.each_round("schedules", start, "s")
    what = f"resident when ready, with {count:,} crons of which no two have the same schedule"
    yield Row.of("schedules-memory", what, resident, unit="MB", goal=at_most(150))
    what = "from the command to ready, with the same"
    yield Row.of("schedules-start", what, figures, unit="s", goal=at_most(2.5))


def distinct(number: int) -> Entry:
    """The entry of that number, with an expression that none of the others has."""
    place, form = divmod(number, len(FORMS))
    schedule = FORMS[form].format(minute=place % 60, hour=place // 60)
    return {**entry(number, schedule), "timezone": ZONES[place % len(ZONES)]}
