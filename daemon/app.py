"""The daemon as a whole: opens what it needs, wires it, serves until it is told to stop, drains.
This is the file to read first.

A webhook:  receiver -> judge -> render -> intake -> store (fsync) -> 202 to the sender
A cron:     scheduler -> intake -> judge -> render -> store
From there: dispatcher claims -> client -> GitHub; the answer is settled in the store
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from daemon.api import Api
from daemon.client import GitHub
from daemon.dispatch_route import DispatchRoute
from daemon.dispatcher import Dispatcher
from daemon.errors import UsageError
from daemon.facts import (
    DispatchAdded,
    EventRecorded,
    Fact,
    Facts,
    Started,
    Stopping,
    Trouble,
)
from daemon.health import Health
from daemon.ids import IdSource
from daemon.intake import Intake
from daemon.janitor import Janitor
from daemon.pacing import Budget
from daemon.places import admin_socket, simulation_database
from daemon.receiver import Receiver
from daemon.retry import RetryPolicy
from daemon.scheduler import Scheduler
from daemon.secret import Secret
from daemon.simulator import Simulator
from daemon.spec import Config, Settings
from daemon.store import Store
from daemon.web import Runner, encourage, error_response, http_log

DRAIN = timedelta(seconds=8)
"""How long dispatches in flight may take to finish after SIGTERM; all in all it takes 10 s."""

SIMULATION_HEADER = "x-dispatchd-simulation"
"""Every answer of a simulation carries it: the command line says what it talks to."""

HANDLER_GRACE = 1.0
"""Seconds that requests still being answered get after that."""


def wall_clock() -> datetime:
    """The only place that reads the time; everything else is given it."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the daemon takes from outside of its config."""

    environ: Mapping[str, str]
    simulate: bool = False


async def serve(config: Config, facts: Facts, surroundings: Surroundings) -> None:
    """Runs the daemon until SIGTERM or SIGINT. Raises UsageError, StoreError or ConfigError where
    it cannot start."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(config, facts, surroundings):
        await stop.wait()


@asynccontextmanager
async def running(
    config: Config,
    facts: Facts,
    surroundings: Surroundings,
    *,
    clock: Callable[[], datetime] = wall_clock,
) -> AsyncIterator[Config]:
    """The daemon at work, for as long as the context lasts. Gives the config as it is in force
    (a simulation has its own database and its own GitHub)."""
    async with AsyncExitStack() as stack:
        if surroundings.simulate:
            simulator = await stack.enter_async_context(Simulator(clock))
            config = replace(config, settings=simulated(config.settings, simulator.url))
        settings = config.settings
        if settings.gh_token is None:
            raise UsageError(
                "no GitHub token: set GH_TOKEN to one that may write to the contents of the "
                "repository, or try everything out with `dispatchd run --simulate`"
            )
        ids = IdSource()

        store = Store.open(settings.database_url, owner=secrets.token_hex(8), now=clock())
        stack.push_async_callback(store.close)
        await store.reclaim(clock())
        enabled = {cron.name: cron.schedule.identity for cron in config.crons if cron.enabled}
        cursors = await store.sync_cursors(enabled, clock())

        github = await stack.enter_async_context(
            GitHub(settings.gh_api_url, settings.gh_token, clock)
        )
        pace = settings.pace
        dispatcher = Dispatcher(
            store,
            github.send,
            Budget(pace.writes_per_second, pace.burst, pace.writes_per_hour),
            RetryPolicy(),
            clock=clock,
            random=random.random,
            facts=facts,
        )
        stack.callback(facts.subscribe(lambda fact: _wake(dispatcher, fact)))

        intake = Intake(config, store, store, ids=ids, clock=clock, facts=facts)
        scheduler = Scheduler(config.crons, cursors, intake.account, clock, facts)
        receiver = Receiver(config.triggers, intake.record, ids=ids, clock=clock, facts=facts)
        health = Health(config, store, clock=clock, facts=facts, simulated=surroundings.simulate)
        dispatch_route = DispatchRoute(
            settings, intake.record, store, ids=ids, clock=clock, facts=facts
        )
        api = Api(settings.api_key, dispatch_route.handle, intake, store, health, facts)
        janitor = Janitor(store, settings.retention, clock=clock, facts=facts)

        runners = await _open_doors(stack, settings, api, receiver, surroundings, facts)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(dispatcher.run(), name="dispatcher")
            cleaning = tasks.create_task(janitor.run(), name="janitor")
            await scheduler.start()
            facts.publish(
                Started(
                    addresses=tuple(_shown(address) for r in runners for address in r.addresses),
                    crons=len(enabled),
                    triggers=sum(trigger.enabled for trigger in config.triggers),
                    database=store.database,
                    simulated=surroundings.simulate,
                )
            )
            try:
                yield config
            finally:
                facts.publish(Stopping(dispatcher.in_flight))
                for runner in runners:
                    for site in list(runner.sites):
                        await site.stop()
                await scheduler.stop()
                await dispatcher.stop(DRAIN)
                dispatch_route.release()
                for runner in runners:
                    await runner.cleanup()
                cleaning.cancel()
                await sending


def simulated(settings: Settings, api_url: str) -> Settings:
    """The settings of a simulation: the stand-in instead of GitHub, and a database of its own."""
    return replace(
        settings,
        gh_api_url=api_url,
        gh_token=Secret("simulated", "the simulation's own"),
        database_url=simulation_database(settings.database_url),
    )


async def _open_doors(
    stack: AsyncExitStack,
    settings: Settings,
    api: Api,
    receiver: Receiver,
    surroundings: Surroundings,
    facts: Facts,
) -> list[web.AppRunner]:
    """Listens for everybody on ``DISPATCHD_LISTEN``, and for admins on the Unix socket."""
    headers = {SIMULATION_HEADER: "1"} if surroundings.simulate else {}
    public = await _runner(stack, api, facts, headers, trusted=False, receiver=receiver)
    host, port = settings.listen
    try:
        await web.TCPSite(public, host, port).start()
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; free the port, or choose "
            "another with --listen HOST:PORT"
        ) from None
    socket = admin_socket(settings.database_url, surroundings.environ)
    if socket is None:
        facts.publish(
            Trouble("admin socket", "its path is too long for a socket; use --url and API_KEY")
        )
        return [public]
    private = await _runner(stack, api, facts, headers, trusted=True)
    # The database's lock is ours, so a socket that is still there belongs to nobody.
    try:
        socket.unlink(missing_ok=True)
        with _file_mode(0o660):
            await web.UnixSite(private, socket).start()
    except OSError as error:
        raise UsageError(
            f"cannot open the admin socket {socket}: {error.strerror or error}; see that its "
            "directory is there and can be written"
        ) from None
    stack.callback(socket.unlink, missing_ok=True)
    return [public, private]


async def _runner(
    stack: AsyncExitStack,
    api: Api,
    facts: Facts,
    headers: Mapping[str, str],
    *,
    trusted: bool,
    receiver: Receiver | None = None,
) -> web.AppRunner:
    @web.middleware
    async def guarding(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            return error_response(error.status, error.reason)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not kill the connection
            facts.publish(Trouble("http", f"{request.method} {request.path}: {error!r}"))
            return error_response(500, "internal error; the daemon's log says more")

    async def mark(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    app = web.Application(middlewares=[guarding])
    app.on_response_prepare.append(mark)
    routes = api.routes(trusted=trusted)
    if receiver is not None:
        routes.append(web.route("*", "/{path:.*}", receiver.handle))
    app.add_routes(
        web.route(each.method, each.path, each.handler, expect_handler=encourage, **each.kwargs)
        for each in routes
    )
    runner = Runner(
        app,
        access_log=None,
        logger=http_log(facts),
        shutdown_timeout=HANDLER_GRACE,
        auto_decompress=False,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


def _shown(address: Any) -> str:
    """A socket's address for people: a URL, or the path of a Unix socket."""
    if isinstance(address, str):
        return address
    host, port = address[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _wake(dispatcher: Dispatcher, fact: Fact) -> None:
    if isinstance(fact, EventRecorded | DispatchAdded):
        dispatcher.wake()


@contextlib.contextmanager
def _file_mode(mode: int) -> Iterator[None]:
    """Files are created with ``mode`` meanwhile: there is no moment at which others may enter."""
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)
