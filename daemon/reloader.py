"""Reads the config anew, because somebody asks for it or its files changed, and has it taken over;
a config with faults leaves the one in force alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from daemon.config_change import ConfigChange, Rerouted, adoptable, compare
from daemon.errors import ConfigError, DispatchdError, StoreError, UsageError
from daemon.event import API_ENTRY, Delivery, Outcome
from daemon.facts import (
    ConfigChanging,
    ConfigRefused,
    ConfigReloaded,
    ConfigReloading,
    Facts,
)
from daemon.in_force import InForce
from daemon.ports import Loaded, Records
from daemon.rejudging import rerouted
from daemon.routes import Routes
from daemon.spec import Config

LOOKED_AT = 100
"""The newest events. The deliveries among them are judged by both configs."""

BYTES_MAX = 16 * 1024 * 1024
"""Of their bodies in all; older ones are left out."""

AGAIN = 5.0
"""Seconds after which what the store did not take is tried again."""

LINES_MAX = 50
"""Changes that are told one by one in the log."""


class NotReloaded(UsageError):
    """The daemon was not told where its config comes from."""


TakeOver = Callable[[Config], Awaitable[None]]
"""Puts a config in force, or raises and leaves everything as it was."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of it: the number of the config in force, and what it changed or would change."""

    generation: int
    change: ConfigChange
    warnings: tuple[str, ...]


class Reloader:
    """``load`` reads the config; it raises ConfigError, and may take its time in a thread.

    ``generation`` counts the configs that were in force since the start, from 1. ``faults`` are
    those of the config on disk as it was read last, and empty while that one is in force.
    """

    def __init__(
        self,
        load: Callable[[], Config] | None,
        in_force: InForce,
        take_over: TakeOver,
        records: Records,
        *,
        clock: Callable[[], datetime],
        facts: Facts,
    ) -> None:
        self._load = load
        self._in_force = in_force
        self._take_over = take_over
        self._records = records
        self._clock = clock
        self._facts = facts
        self._turns = asyncio.Lock()
        self._asked = asyncio.Event()
        self._why = ""
        self.generation = 1
        self.faults: tuple[str, ...] = ()
        self._place = ""

    @property
    def loaded(self) -> Loaded:
        return Loaded(self.generation, self.faults, self._place if self.faults else "")

    def ask(self, why: str) -> None:
        """Has the config read anew soon; ``run`` does it. Several calls may become one."""
        self._why = why
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled. What goes wrong is told by facts."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self.reload(self._why)
            except StoreError:
                # The config may be right, and nobody would ask for it once more.
                asyncio.get_running_loop().call_later(AGAIN, self.ask, "the store was down")
            except DispatchdError:
                pass  # which was told as ConfigRefused

    async def look(self) -> Reloaded:
        """What a reload would change. Raises ConfigError, UsageError, StoreError."""
        config = await self._read()
        return Reloaded(self.generation, await self._compared(config), config.warnings)

    async def reload(self, why: str) -> Reloaded:
        """Takes over what stands in the files. Raises ConfigError, UsageError and StoreError, which
        are told as well; then all is as it was."""
        async with self._turns:
            self._facts.publish(ConfigReloading(why))
            try:
                config = await self._read()
                change = await self._compared(config)
                settings = adoptable(self._in_force.settings, config.settings)
                if change.lines:
                    told, more = change.lines[:LINES_MAX], len(change.lines) - LINES_MAX
                    rest = [f"and {more} changes more"] if more > 0 else []
                    self._facts.publish(ConfigChanging((*told, *rest)))
                await self._take_over(replace(config, settings=settings))
            except Exception as error:
                if not isinstance(error, DispatchdError):
                    # A fault of ours; the daemon goes on with what it has.
                    error = DispatchdError(f"the reload failed: {error!r}")
                self.faults, self._place = _reasons(error), _place(error)
                self._facts.publish(ConfigRefused(self.generation, self.faults))
                raise error from None
            self.generation += 1
            self.faults = ()
            self._facts.publish(
                ConfigReloaded(
                    self.generation,
                    sum(cron.enabled for cron in config.crons),
                    sum(trigger.enabled for trigger in config.triggers),
                    config.warnings,
                )
            )
            return Reloaded(self.generation, change, config.warnings)

    async def _read(self) -> Config:
        if self._load is None:
            raise NotReloaded("this daemon was not started from config files")
        return await asyncio.to_thread(self._load)

    async def _compared(self, config: Config) -> ConfigChange:
        before = self._in_force.config
        change = await asyncio.to_thread(compare, before, config, self._clock())
        if not any(each.kind == "trigger" for each in change.entries):
            return change
        looked_at, found = await self._rerouted(before, config)
        return replace(change, looked_at=looked_at, rerouted=tuple(found))

    async def _rerouted(self, before: Config, after: Config) -> tuple[int, list[Rerouted]]:
        """Of the newest stored deliveries those that would be judged otherwise, and how many were
        looked at."""
        old, new = (
            Routes(trigger for trigger in config.triggers if trigger.enabled)
            for config in (before, after)
        )
        found: list[Rerouted] = []
        looked_at = size = 0
        events = await self._records.events(LOOKED_AT)
        verdicts = await self._records.verdicts([event.id for event in events])
        for bare in events:
            if not isinstance(bare.cause, Delivery) or bare.cause.route == API_ENTRY:
                continue
            given = verdicts.get(bare.id, ())
            if any(verdict.outcome is Outcome.HANDSHAKE for verdict in given):
                continue
            # One by one: a list comes without bodies, which may be large.
            event = await self._records.event(bare.id)
            if event is None or not isinstance(event.cause, Delivery):
                continue
            size += len(event.cause.body)
            if size > BYTES_MAX:
                break
            distrusting = {v.entry for v in given if v.outcome is Outcome.UNAUTHORIZED}
            if (other := rerouted(event, event.cause, distrusting, old, new)) is not None:
                found.append(other)
            looked_at += 1
        return looked_at, found


def _reasons(error: DispatchdError) -> tuple[str, ...]:
    return tuple(map(str, error.faults)) if isinstance(error, ConfigError) else (str(error),)


def _place(error: DispatchdError) -> str:
    """Of the first fault, where that stands in a file's text."""
    first = error.faults[0] if isinstance(error, ConfigError) else None
    return first.place if first is not None and first.line else ""
