"""Every command with its options and its help; the work is done by the modules beside this package.
Each module is a panel of the help, in the order of their names."""

from __future__ import annotations

from daemon.cli.commands import (
    configuring,
    database,
    dispatches,
    entries,
    key,
    running,
    schedules,
    service,
    webhooks,
)
from daemon.cli.commands.program import app

__all__ = [
    "app",
    "configuring",
    "database",
    "dispatches",
    "entries",
    "key",
    "running",
    "schedules",
    "service",
    "webhooks",
]
