"""Which daemon a command is for, and how it is asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from daemon import config
from daemon.cli.connection import Connection, addresses
from daemon.cli.tables import warn
from daemon.places import admin_socket, service_socket, simulation_database
from daemon.spec import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """Which daemon is meant, as the options say."""

    config_dir: Path | None
    database: str | None
    url: str | None

    def settings(self) -> Settings:
        """The settings alone: a fault in an entry must not keep anybody from looking."""
        return config.load_settings(
            config.config_directory(self.config_dir, os.environ),
            os.environ,
            flags=config.Flags(database=self.database),
        )

    @asynccontextmanager
    async def daemon(self, settings: Settings) -> AsyncIterator[Connection]:
        """The daemon that answers; where it is a simulation, that is said. Raises NoDaemon, and
        UsageError for a URL that is none."""
        # That of a simulation beside the real one as well.
        databases = [settings.database_url, simulation_database(settings.database_url)]
        sockets = [admin_socket(url, os.environ) for url in databases]
        if self.database is None and not os.environ.get("DISPATCHD_DATABASE_URL"):
            sockets.append(service_socket())
        # Where a database is named, what listens at the usual port may have another one.
        listen = settings.listen if self.database is None else None
        tls = settings.tls is not None
        places = addresses(sockets, listen, self.url, settings.api_key, tls=tls)
        async with Connection(places) as daemon:
            if daemon.simulated:
                warn("this daemon is a simulation: nothing reaches GitHub")
            yield daemon


def ask(target: Target, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Raises NoDaemon, or Answered with the daemon's own words."""

    async def connected() -> T:
        async with target.daemon(target.settings()) as daemon:
            return await work(daemon)

    return asyncio.run(connected())
