"""``dispatchd validate``, and what other commands on the config need as well."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from daemon import config
from daemon.cli.tables import say, warn
from daemon.errors import UsageError
from daemon.instants import instant as strict

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


def exact_instant(text: str, option: str) -> datetime:
    """An instant of RFC 3339 with its offset: what is sent by it must not depend on a guess. Raises
    UsageError."""
    try:
        return strict(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
