"""The daemon as a whole: opens what it needs, wires it, serves until it is told to stop, drains.
This is the file to read first.

A webhook:  receiver -> judge -> render -> intake -> store (fsync) -> 202 to the sender
A cron:     scheduler -> intake -> judge -> render -> store
From there: dispatcher claims -> client -> GitHub; the answer is settled in the store
"""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from daemon.branches import Branches
from daemon.changeover import Adopting, Changeover
from daemon.client import Fetcher, Sessions, Teller
from daemon.config import read_anew
from daemon.config_watch import ConfigWatch
from daemon.cursors import take_up
from daemon.deadlines import DeadlineWatch
from daemon.dispatch import State
from daemon.dispatcher import Dispatcher
from daemon.doors import address_shown, open_doors
from daemon.errors import UsageError
from daemon.event import Delivery, Outcome
from daemon.facts import (
    DispatchAdded,
    DispatchesReleased,
    DispatchSettled,
    EntryResumed,
    EventRecorded,
    Fact,
    Facts,
    IncidentNoticed,
    RunNotFound,
    RunSeen,
    Started,
    Stopping,
    Trouble,
)
from daemon.following_up import FollowingUp
from daemon.front import Lasting
from daemon.github_reads import Reads
from daemon.github_runs import heard
from daemon.health import Health
from daemon.heartbeat import Heartbeat
from daemon.hook_places import HookPlaces
from daemon.hook_ranges import RangeRefresher
from daemon.hooks_at_github import HooksAtGithub
from daemon.ids import IdSource
from daemon.in_force import InForce
from daemon.janitor import Janitor, Limits
from daemon.lanes import lanes_of
from daemon.learning import Learning
from daemon.lost_answers import LostAnswers
from daemon.metrics import Counting, LoopLag, Reading, Scrape
from daemon.notifying import Notifying
from daemon.pauses import Pauses
from daemon.places import simulation_database
from daemon.preflight import Preflight
from daemon.recovery import Recovery
from daemon.redelivering import Redeliverer
from daemon.refusals import Refusals
from daemon.reloader import Reloader
from daemon.reloading import Reloading
from daemon.renewal import Renewal
from daemon.reporter import Reporter
from daemon.retry import RetryPolicy
from daemon.run_lists import RunLists
from daemon.scheduler import Scheduler
from daemon.secret import Secret
from daemon.settlements import Settlements
from daemon.spec import Config
from daemon.store import Store
from daemon.systemd import Notifier, watchdog_seconds
from daemon.throttle import Throttle
from daemon.tracing import OpenTelemetry, Tracing
from daemon.tracing import wanted as tracing_wanted
from daemon.tracker import Tracker

Adapt = Callable[[Config], Config]
"""The config as it is at work here, of the one in the files."""

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


@dataclass(frozen=True, slots=True)
class Source:
    """Where the config comes from: its files in a directory, and what reads them (and raises
    ConfigError)."""

    directory: Path
    files: Sequence[str]
    load: Callable[[], Config]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the daemon takes from outside of its config. Without a ``source`` none is read again."""

    environ: Mapping[str, str]
    simulate: bool = False
    source: Source | None = None


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
        in_force, ids = InForce(config), IdSource()
        counting = Counting(config, clock)
        stack.callback(facts.subscribe(counting.hear))
        refusals = Refusals(clock)
        stack.callback(facts.subscribe(refusals.hear))

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
        if count := await store.rewind_waits(clock()):
            facts.publish(
                Trouble(
                    "dispatcher",
                    f"dispatches began to wait at a time that is still to come, {count} of them: "
                    "the clock was wrong then; they wait from now on",
                )
            )
        await store.reclaim(clock())
        await store.hasten_follow_ups(clock())
        pauses = Pauses(store, clock, facts)
        await pauses.load()
        taken_up = take_up(config.crons, await store.cursors(), clock(), pauses.standing)
        for remark in taken_up.remarks:
            facts.publish(Trouble("scheduler", remark))
        for incident in await store.take_up(taken_up):
            facts.publish(IncidentNoticed(incident))

        def reread(secret: Secret) -> Secret:
            return read_anew(secret, surroundings.environ)

        github = await stack.enter_async_context(Sessions(settings, clock, reread))
        lanes = lanes_of(settings, await store.budgets())
        reads = Reads(github.ask, lanes, in_force.lane_of, clock)
        preflight = Preflight(reads.ask)
        run_lists = RunLists(store, reads, clock=clock, facts=facts)
        tracker = Tracker(store, reads, run_lists, preflight, clock=clock, facts=facts)
        lost_answers = LostAnswers(store, reads, run_lists, preflight, clock)
        dispatcher = Dispatcher(
            store,
            github.send,
            lost_answers.find,
            lanes,
            RetryPolicy(),
            clock=clock,
            elapsed=elapsed,
            random=random.random,
            facts=facts,
        )
        stack.callback(facts.subscribe(lambda fact: _wake(dispatcher, fact)))
        stack.callback(facts.subscribe(lambda fact: _track(tracker, in_force, fact)))

        teller = await stack.enter_async_context(Teller(settings.ca_file, clock, reread))
        following_up = FollowingUp(
            config,
            store,
            teller.tell,
            ids=ids,
            clock=clock,
            random=random.random,
            facts=facts,
            simulated=surroundings.simulate,
        )
        stack.callback(facts.subscribe(lambda fact: _wake_follow_ups(following_up, fact)))

        hook_ranges = RangeRefresher(
            lambda known: github.main.hook_ranges(known),
            store,
            settings.gh_api_url,
            clock=clock,
            facts=facts,
        )
        if in_force.asks_for_github:
            await hook_ranges.recall()
        hook_ranges.need(needed=in_force.asks_for_github)
        learning = Learning(store)
        await learning.load()
        hooks = HooksAtGithub(github.ask, github.ask_as_app, clock)
        hook_places = HookPlaces(store, in_force, facts)
        stack.callback(facts.subscribe(hook_places.hear))
        redeliverer = Redeliverer(hooks, in_force, lanes, clock=clock)
        recovery = Recovery(
            hooks, redeliverer, hook_places, store, in_force, clock=clock, facts=facts
        )
        scheduler = Scheduler(
            config.crons,
            taken_up.cursors,
            lambda dues: changeover.front.intake.account(dues),
            clock,
            facts,
            paused=pauses.of,
        )
        certificate = (
            Renewal(lambda: in_force.settings.tls, clock=clock, facts=facts)
            if settings.tls is not None
            else None
        )
        health = Health(
            in_force,
            store,
            lanes,
            behind=scheduler.behind,
            reloaded=lambda: (reloader.generation, reloader.faults),
            pauses=pauses.standing,
            clock=clock,
            facts=facts,
            simulated=surroundings.simulate,
            beside=certificate.reasons if certificate else None,
        )
        lag = LoopLag()
        reading = Reading(
            in_force,
            store,
            lanes,
            lag,
            pauses=pauses.standing,
            clock=clock,
            simulated=surroundings.simulate,
            certificate_ends=(lambda: certificate.ends) if certificate else None,
        )
        settlements = Settlements(facts)
        reloader = Reloader(
            _loading(surroundings.source, adapt),
            in_force,
            lambda config: changeover.to(config),
            store,
            clock=clock,
            facts=facts,
        )
        lasting = Lasting(
            store=store,
            ids=ids,
            clock=clock,
            elapsed=elapsed,
            facts=facts,
            throttle=Throttle(),
            pauses=pauses,
            learning=learning,
            fetcher=await stack.enter_async_context(Fetcher()),
            hook_ranges=hook_ranges,
            hooks=hooks,
            hook_places=hook_places,
            recovery=recovery,
            branches=Branches(store, reads, clock),
            settlements=settlements,
            refusals=refusals,
            overseer=health,
            scrape=Scrape(counting, reading).text,
            reloading=Reloading(reloader),
        )
        adopting = Adopting(
            in_force=in_force,
            store=store,
            sessions=github,
            lanes=lanes,
            pauses=pauses,
            scheduler=scheduler,
            following_up=following_up,
            counting=counting,
            hook_ranges=hook_ranges,
            clock=clock,
            facts=facts,
        )
        changeover = Changeover(adopting, lasting)
        # What is simulated must not cover up for a daemon that is dead.
        heartbeat = Heartbeat(
            lambda: None if surroundings.simulate else in_force.settings.heartbeat_url,
            teller.call,
            health.condition,
            facts,
        )
        notifying = Notifying(
            store,
            lambda: in_force.settings.notify,
            teller.tell,
            health.condition,
            clock=clock,
            facts=facts,
            simulated=surroundings.simulate,
        )
        stack.callback(facts.subscribe(lambda fact: _wake_notifying(notifying, fact)))
        janitor = Janitor(store, lambda: _kept(in_force), clock=clock, elapsed=elapsed, facts=facts)
        deadlines = DeadlineWatch(store, wanted=lambda: in_force.alerts, clock=clock, facts=facts)

        reporter = Reporter(
            Notifier(surroundings.environ),
            {"store": store.ping, "dispatcher": dispatcher.turn},
            store.counts,
            watchdog=watchdog_seconds(surroundings.environ),
            facts=facts,
        )
        stack.callback(facts.subscribe(reporter.hear))

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
        watches = [
            ConfigWatch(each.directory, each.files, partial(_changed, in_force, reloader), facts)
            for each in filter(None, [surroundings.source])
        ]
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(dispatcher.run(), name="dispatcher")
            reporting = tasks.create_task(reporter.run(), name="reporter")
            following = tasks.create_task(following_up.run(), name="follow-ups")
            beside = [
                tasks.create_task(loop.run(), name=type(loop).__name__)
                for loop in (
                    tracker,
                    recovery,
                    pauses,
                    janitor,
                    lag,
                    deadlines,
                    hook_ranges,
                    reloader,
                    *watches,
                    heartbeat,
                    notifying,
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
                await recovery.stop()
                await hook_places.stop()
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


def equipped(config: Config) -> Config:
    """The config, which has a token for GitHub. Raises UsageError where it has none."""
    if config.settings.all_credentials:
        return config
    raise UsageError(
        "no GitHub token: set GH_TOKEN to one that may write to the contents of the repository (or "
        "add `credentials` to DAEMON.yaml), or try everything out with `dispatchd run --simulate`"
    )


def simulated(config: Config, api_url: str) -> Config:
    """The config in a simulation: the stand-in instead of GitHub, and a database of its own."""
    settings = config.settings
    settings = replace(
        settings,
        gh_api_url=api_url,
        gh_token=Secret("simulated", "the simulation's own"),
        credentials={},
        database_url=simulation_database(settings.database_url),
    )
    return replace(config, settings=settings)


def _loading(source: Source | None, adapt: Adapt) -> Callable[[], Config] | None:
    """Reads the config anew, as it is at work here."""
    return None if source is None else lambda: adapt(source.load())


def _changed(in_force: InForce, reloader: Reloader) -> None:
    if in_force.settings.reload_on_change:
        reloader.ask("its files changed")


async def _heed(hung_up: asyncio.Event, reloader: Reloader) -> None:
    while True:
        await hung_up.wait()
        hung_up.clear()
        reloader.ask("SIGHUP came")


WAKING = EventRecorded | DispatchAdded | DispatchSettled | EntryResumed | DispatchesReleased
"""The facts after which there may be something to send."""


def _wake(dispatcher: Dispatcher, fact: Fact) -> None:
    if isinstance(fact, WAKING):
        dispatcher.wake()


def _wake_follow_ups(following_up: FollowingUp, fact: Fact) -> None:
    dead = isinstance(fact, DispatchSettled) and fact.dispatch.state is State.DEAD
    failed = isinstance(fact, RunSeen) and fact.run.failed
    if dead or failed or isinstance(fact, RunNotFound):
        following_up.wake()


def _wake_notifying(notifying: Notifying, fact: Fact) -> None:
    dead = isinstance(fact, DispatchSettled) and fact.dispatch.state is State.DEAD
    if dead or isinstance(fact, RunNotFound | IncidentNoticed):
        notifying.wake()


def _track(tracker: Tracker, in_force: InForce, fact: Fact) -> None:
    """Has the tracker follow what GitHub took, and hear what its webhooks tell of runs."""
    if isinstance(fact, DispatchSettled) and fact.dispatch.state is State.ACCEPTED:
        tracker.wake()
    if not isinstance(fact, EventRecorded) or not isinstance(fact.event.cause, Delivery):
        return
    run = heard(fact.event.cause)
    if run is not None and any(
        verdict.entry in in_force.proving_github and verdict.outcome is not Outcome.UNAUTHORIZED
        for verdict in fact.verdicts
    ):
        tracker.hear(run)
