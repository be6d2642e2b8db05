"""The daemon as a whole: opens what it needs, wires it, serves until it is told to stop, drains.
This is the file to read first; ``daemon/wiring`` has the parts group by group.

A webhook:  receiver -> judge -> render -> intake -> store (fsync) -> 202 to the sender
A cron:     scheduler -> intake -> judge -> render -> store
From there: dispatcher claims -> client -> GitHub; the answer is settled in the store
A config:   reloader -> changeover -> all that goes by it
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from daemon.branches import Branches
from daemon.changeover import Adopting, Changeover
from daemon.config_watch import ConfigWatch
from daemon.deadlines import DeadlineWatch
from daemon.doors import address_shown, open_doors
from daemon.facts import Facts, RequestRefused, Started, Stopping
from daemon.front import Lasting
from daemon.ids import IdSource
from daemon.in_force import InForce
from daemon.janitor import Janitor, Limits
from daemon.metrics import Counting
from daemon.refusals import Refusals
from daemon.reloader import Reloader
from daemon.reloading import Reloading
from daemon.scheduler import Scheduler
from daemon.settlements import Settlements
from daemon.spec import Config
from daemon.store import Store
from daemon.surroundings import Adapt, Surroundings, equipped, simulated
from daemon.throttle import Throttle
from daemon.tracing import OpenTelemetry, Tracing
from daemon.tracing import wanted as tracing_wanted
from daemon.wiring import Ground, take_up_what_was_left, wire_inward, wire_outward, wire_watch

DRAIN = timedelta(seconds=8)
"""How long dispatches in flight may take to finish after SIGTERM; all in all it takes 10 s."""

DELIVERED_AT_LAST = 1.0
"""Seconds that the last spans may take."""

TOLD_AT_LAST = timedelta(seconds=1)
"""How long notices on their way may take beside that."""


def wall_clock() -> datetime:
    """The only place that reads the time; everything else is given it."""
    return datetime.now(UTC)


def elapsed() -> float:
    """Seconds since the machine was started, its suspends included; nobody sets this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def serve(config: Config, facts: Facts, surroundings: Surroundings) -> None:
    """Runs the daemon until SIGTERM or SIGINT. Raises UsageError, StoreError or ConfigError where
    it cannot start."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    hung_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)  # its default would end the daemon
    async with running(config, facts, surroundings, hung_up=hung_up):
        await stop.wait()


@asynccontextmanager
async def running(
    config: Config,
    facts: Facts,
    surroundings: Surroundings,
    *,
    clock: Callable[[], datetime] = wall_clock,
    elapsed: Callable[[], float] = elapsed,
    hung_up: asyncio.Event | None = None,
) -> AsyncIterator[InForce]:
    """The daemon at work, for as long as the context lasts. Gives what is in force (a simulation
    has its own database and its own GitHub). Whenever ``hung_up`` is set, the config is read anew.
    """
    async with AsyncExitStack() as stack:
        if surroundings.simulate:
            from daemon.simulator import Simulator  # a megabyte that nothing else has a use for

            simulator = await stack.enter_async_context(Simulator(clock))
            adapt: Adapt = partial(simulated, api_url=simulator.url)
        else:
            adapt = equipped
        config = adapt(config)
        settings = config.settings
        in_force = InForce(config)
        counting, refusals = Counting(config, clock), Refusals(clock)
        stack.callback(facts.subscribe(counting.hear))
        stack.callback(facts.subscribe(refusals.hear, RequestRefused))
        store = Store.open(
            settings.database_url,
            owner=secrets.token_hex(8),
            now=clock(),
            lane_of=settings.lane_of,
            guards=settings.guards,
            follows=in_force.follows,
        )
        stack.push_async_callback(store.close)
        tracing: Tracing | None = None
        if tracing_wanted(surroundings.environ):
            exporter = OpenTelemetry(surroundings.environ, facts, simulated=surroundings.simulate)
            tracing = Tracing(exporter, store.event, clock, facts)
            stack.push_async_callback(tracing.stop, DELIVERED_AT_LAST)
            stack.callback(facts.subscribe(tracing.hear))

        ground = Ground(
            in_force, store, surroundings, stack, facts, IdSource(), clock=clock, elapsed=elapsed
        )
        pauses, taken_up = await take_up_what_was_left(ground)
        outward = await wire_outward(ground)
        inward = await wire_inward(ground, outward)
        scheduler = Scheduler(
            config.crons,
            taken_up.cursors,
            lambda dues: changeover.front.intake.account(dues),
            clock,
            facts,
            paused=pauses.of,
        )
        reloader = Reloader(
            surroundings.loading(adapt),
            in_force,
            lambda config: changeover.to(config),
            store,
            clock=clock,
            facts=facts,
        )
        watch = wire_watch(
            ground,
            outward,
            counting,
            pauses,
            behind=scheduler.behind,
            reloaded=lambda: reloader.loaded,
        )
        settlements = Settlements(facts)
        lasting = Lasting(
            store=store,
            ids=ground.ids,
            clock=clock,
            elapsed=elapsed,
            facts=facts,
            throttle=Throttle(),
            pauses=pauses,
            learning=inward.learning,
            fetcher=inward.fetcher,
            hook_ranges=inward.hook_ranges,
            hooks=inward.hooks,
            hook_places=inward.hook_places,
            recovery=inward.recovery,
            branches=Branches(store, outward.reads, clock),
            settlements=settlements,
            refusals=refusals,
            overseer=watch.health,
            scrape=watch.scrape.text,
            reloading=Reloading(reloader),
        )
        adopting = Adopting(
            in_force=in_force,
            store=store,
            sessions=outward.github,
            lanes=outward.lanes,
            pauses=pauses,
            scheduler=scheduler,
            following_up=outward.following_up,
            counting=counting,
            hook_ranges=inward.hook_ranges,
            clock=clock,
            facts=facts,
        )
        changeover = Changeover(adopting, lasting)
        janitor = Janitor(store, lambda: _kept(in_force), clock=clock, elapsed=elapsed, facts=facts)
        deadlines = DeadlineWatch(store, wanted=lambda: in_force.alerts, clock=clock, facts=facts)
        watches = [
            ConfigWatch(each.directory, each.files, partial(_changed, in_force, reloader), facts)
            for each in filter(None, [surroundings.source])
        ]

        certificate = watch.certificate
        runners = await open_doors(
            stack,
            settings,
            lambda: changeover.front,
            lambda: in_force.settings.trusted_proxies,
            surroundings.environ,
            facts,
            simulated=surroundings.simulate,
            present=certificate.context if certificate else None,
        )
        dispatcher, following_up = outward.dispatcher, outward.following_up
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(dispatcher.run(), name="dispatcher")
            reporting = tasks.create_task(watch.reporter.run(), name="reporter")
            following = tasks.create_task(following_up.run(), name="follow-ups")
            beside = [
                tasks.create_task(loop.run(), name=type(loop).__name__)
                for loop in (
                    outward.tracker,
                    inward.recovery,
                    inward.hook_ranges,
                    pauses,
                    janitor,
                    deadlines,
                    reloader,
                    *watches,
                    watch.lag,
                    watch.heartbeat,
                    watch.notifying,
                    *([tracing] if tracing else ()),
                    *([certificate] if certificate else ()),
                )
            ]
            if hung_up is not None:
                beside.append(tasks.create_task(_heed(hung_up, reloader), name="SIGHUP"))
            await scheduler.start()
            facts.publish(
                Started(
                    addresses=tuple(
                        address_shown(address, tls=certificate is not None)
                        for r in runners
                        for address in r.addresses
                    ),
                    crons=len(taken_up.cursors),
                    triggers=sum(trigger.enabled for trigger in config.triggers),
                    database=store.database,
                    simulated=surroundings.simulate,
                )
            )
            try:
                yield in_force
            finally:
                facts.publish(Stopping(dispatcher.in_flight))
                reporting.cancel()
                store.hurry()
                for runner in runners:
                    for site in list(runner.sites):
                        await site.stop()
                await scheduler.stop()
                await inward.recovery.stop()
                await inward.hook_places.stop()
                await dispatcher.stop(DRAIN)
                following.cancel()
                await following_up.stop(TOLD_AT_LAST)
                settlements.release()
                for runner in runners:
                    await runner.cleanup()
                for task in beside:
                    task.cancel()
                await sending


def _kept(in_force: InForce) -> Limits:
    """What the janitor keeps by today's config."""
    settings = in_force.settings
    windows = in_force.config.longest_window
    return Limits(settings.retention, windows, settings.max_database_size)


def _changed(in_force: InForce, reloader: Reloader) -> None:
    if in_force.settings.reload_on_change:
        reloader.ask("its files changed")


async def _heed(hung_up: asyncio.Event, reloader: Reloader) -> None:
    while True:
        await hung_up.wait()
        hung_up.clear()
        reloader.ask("SIGHUP came")
