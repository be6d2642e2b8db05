"""The commands that work on the config alone: ``validate`` and ``next``."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from daemon import config
from daemon.cli.layout import Listing
from daemon.cli.tables import put, say, warn
from daemon.errors import UsageError
from daemon.expressions import rfc3339
from daemon.scheduler import next_instants

INSTANT = "as 2026-11-23T04:00:00Z"


def validate_config(directory: Path | None, *, secrets: bool) -> None:
    """Prints the warnings, and what was read. Raises ConfigError with every fault."""
    environ = os.environ
    where = config.config_directory(directory, environ)
    loaded = config.load(where, environ, secrets=needed(secrets=secrets))
    for warning in loaded.warnings:
        warn(warning)
    crons = _counted(len(loaded.crons), "cron entry", "cron entries")
    triggers = _counted(len(loaded.triggers), "trigger", "triggers")
    say(
        f"{where}: {crons} ({sum(cron.enabled for cron in loaded.crons)} enabled), "
        f"{triggers} ({sum(trigger.enabled for trigger in loaded.triggers)} enabled), "
        f"{_counted(len(loaded.warnings), 'warning', 'warnings')}, no faults"
    )


def show_next(config_dir: Path | None, after: str | None, number: int, *, as_json: bool) -> None:
    """Raises UsageError for an instant that cannot be read."""
    start = instant(after, "--after") if after else datetime.now(UTC)
    loaded = config.load(
        config.config_directory(config_dir, os.environ),
        os.environ,
        secrets=config.Secrets.OPTIONAL,
    )
    enabled = [cron for cron in loaded.crons if cron.enabled]
    upcoming = next_instants(enabled, start, number)
    if as_json:
        print(json.dumps({name: [rfc3339(at) for at in ats] for name, ats in upcoming.items()}))
        return
    rows = Listing(("entry", "schedule", "local time", "UTC"))
    for cron in enabled:
        zone = ZoneInfo(cron.schedule.timezone)
        for index, at in enumerate(upcoming[cron.name]):
            rows.add(
                cron.name if index == 0 else "",
                cron.schedule.text if index == 0 else "",
                f"{at.astimezone(zone):%a %Y-%m-%d %H:%M:%S %Z}",
                rfc3339(at),
            )
    if enabled:
        put(rows)
    else:
        say("no cron entry is enabled")


def needed(*, secrets: bool) -> config.Secrets:
    return config.Secrets.REQUIRED if secrets else config.Secrets.OPTIONAL


def instant(text: str, option: str) -> datetime:
    """An RFC 3339 instant in UTC; one without an offset is taken as UTC. Raises UsageError."""
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is not an instant; write it {INSTANT}") from None
    except OverflowError:
        raise UsageError(f"{option}: {text!r} is outside of the years 1 to 9999 in UTC") from None


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
