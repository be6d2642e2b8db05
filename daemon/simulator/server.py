"""The stand-in's HTTP side: GitHub's checks and headers around every request, and what serves it:
endpoints over a World, each group in a file of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Self

from aiohttp import web

from daemon.simulator.actions import Actions
from daemon.simulator.apps import App, Apps, place_of
from daemon.simulator.conditional import conditional
from daemon.simulator.controls import PREFIX, Controls
from daemon.simulator.dispatches import ALWAYS_WITH_RUN, Dispatches
from daemon.simulator.faults import Fault, FaultPlace
from daemon.simulator.hook_routes import HookRoutes
from daemon.simulator.hooks import Hook, Hooks
from daemon.simulator.lookups import Lookups
from daemon.simulator.mishaps import Mishaps
from daemon.simulator.pulls import Pulls
from daemon.simulator.quota import Quota, SecondaryLimits, SecondaryQuota
from daemon.simulator.repositories import ReceivedDispatch
from daemon.simulator.routing import Handler, request_id
from daemon.simulator.run_watch import RunWatch
from daemon.simulator.runs import Course, Run
from daemon.simulator.tokens import Token, Tokens
from daemon.simulator.validation import DOCS, Rejection
from daemon.simulator.workflows import Listener
from daemon.simulator.world import KEPT, World
from daemon.simulator.wrong_answers import (
    PRIMARY_LIMIT,
    RATE_LIMIT_DOCS,
    SECONDARY_LIMIT,
    error_response,
    refusal,
)

API_VERSIONS = frozenset({"2022-11-28", "2026-03-10"})
OLDEST_VERSION = min(API_VERSIONS)
"""What is older is retired: it was there once."""
_NO_USER_AGENT = (
    "Request forbidden by administrative rules. Please make sure your request has a User-Agent "
    f"header ({DOCS}/using-the-rest-api/getting-started-with-the-rest-api#user-agent).\n"
)

_LIMIT_HEADERS = {
    name: f"X-RateLimit-{name.capitalize()}" for name in ("limit", "remaining", "used", "reset")
}


class Simulator:
    """GitHub, simulated. ``async with Simulator(clock) as github: github.url`` serves it.

    ``clock`` gives aware datetimes: it stamps the answers and moves the runs on, ``queued_for``
    and ``running_for`` long. ``tokens`` are those that are good (None: any at all), beside the ones
    that ``apps`` are given. For ``repositories`` and ``listeners`` see ``World``. ``rate_limit`` is
    requests per hour; filtered lists of runs are ``index_lag`` behind. With ``ghes`` it is a GitHub
    Enterprise Server that knows only the older version of the API. The newest ``keep`` dispatches
    and runs are remembered.

    Beside GitHub's routes it has its own, without a token, for whoever wants to watch the daemon
    cope::

        curl -X POST URL/_simulator/faults -d '{"kind": "status", "status": 502, "times": 3}'
        curl -X POST URL/_simulator/faults -d '{"kind": "reset", "acts": true}'
        curl -X POST URL/_simulator/faults -d '{"kind": "secondary", "retry_after": 30}'
        curl -X DELETE URL/_simulator/faults       # all well again; stalled answers go out
        curl URL/_simulator/log                    # what was received, the runs, faults to come

    The keys of a fault are those of ``Fault``; faults show in the order given. The other routes
    are in ``controls``.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        tokens: Collection[str | Token] | None = None,
        apps: Collection[App] = (),
        repositories: Collection[str] | None = None,
        listeners: Mapping[str, Sequence[Listener]] | None = None,
        queued_for: timedelta = timedelta(seconds=2),
        running_for: timedelta = timedelta(seconds=5),
        rate_limit: int = 5000,
        index_lag: timedelta = timedelta(seconds=30),
        ghes: bool = False,
        keep: int = KEPT,
    ) -> None:
        self._clock = clock
        course = Course(queued_for, running_for)
        self._world = World(repositories, listeners, course, keep)
        self.apps = Apps({app.id: app for app in apps}, self._world, clock)
        self._tokens = Tokens(tokens, self.apps, clock)
        self._actions = Actions(self._world, clock, index_lag)
        self._mishaps = Mishaps(clock, self._note_change)
        self._dispatches = Dispatches(self._world, self._mishaps, self.apps, clock, ghes=ghes)
        self._quota = Quota(rate_limit)
        self.secondary = SecondaryQuota(SecondaryLimits())
        self._ghes = ghes
        self.hooks = Hooks(clock)
        for app in apps:
            self._add_webhook(app)
        self._pulls = Pulls(self._world, self.hooks, clock)
        self._watch = RunWatch(self._world, self.hooks, clock, lambda: self.url)
        self._watching: asyncio.Task[None] | None = None
        self._controls = Controls(
            self._world,
            self._actions,
            self.hooks,
            self._mishaps,
            self.secondary,
            clock,
            self.clear,
        )
        self._requests = 0
        self._writes = 0
        self._unchanged = 0
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._date = (0, "")
        self.url = ""

    @property
    def received(self) -> list[ReceivedDispatch]:
        """The dispatches that were acted on, oldest first."""
        return list(self._world.received)

    @property
    def runs(self) -> list[Run]:
        """The runs that were started, oldest first."""
        return self._world.runs

    @property
    def world(self) -> World:
        """What is on this GitHub: repositories, workflow files, runs."""
        return self._world

    @property
    def requests(self) -> int:
        """How many requests came in on GitHub's routes, refused ones included."""
        return self._requests

    @property
    def writes(self) -> int:
        """How many of them were to change something, as dispatches are."""
        return self._writes

    @property
    def unchanged(self) -> int:
        """How many of them were answered 304, which counts against no limit."""
        return self._unchanged

    @property
    def stalled(self) -> int:
        """How many answers are being held right now."""
        return self._mishaps.stalled

    def _add_webhook(self, app: App) -> None:
        """Registers the App's own webhook, where it has one."""
        if app.webhook is None:
            return
        now = self._clock()
        hook = Hook(
            id=self.hooks.next_id(),
            place=place_of(app),
            url=app.webhook.url,
            secret=app.webhook.secret,
            content_type="json",
            insecure_ssl="0",
            events=app.webhook.events,
            active=True,
            created_at=now,
            updated_at=now,
        )
        self.hooks.add(hook)

    def allow(self, *tokens: str | Token) -> None:
        """From now on these tokens are good, beside those of the Apps, and no others."""
        self._tokens.allow(tokens)

    def inject(self, fault: Fault) -> None:
        """Shows ``fault`` on the dispatches to come, after those that were injected before."""
        self._mishaps.faults.add(fault)

    def release(self) -> None:
        """Lets every stalled answer go out."""
        self._mishaps.release()

    def clear(self) -> None:
        """Forgets the faults to come and releases what is stalled."""
        self._mishaps.faults.clear()
        self.release()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until ``condition`` holds; it is asked after everything that happens here."""
        while not condition():
            await self._changed.wait()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serves on ``host``, on a free port for 0, and sets ``url``. Raises OSError."""
        app = web.Application(middlewares=[self._serve])
        app.on_response_prepare.append(self._stamp)
        app.router.add_routes(self._dispatches.routes())
        app.router.add_routes(self.apps.routes())
        app.router.add_routes(self._actions.routes())
        app.router.add_routes(Lookups(self._world, self._quota, self._clock).routes())
        app.router.add_routes(HookRoutes(self._world, self.hooks, self.apps, self._clock).routes())
        app.router.add_routes(self._pulls.routes())
        app.router.add_routes(self._controls.routes())
        app.router.add_get(f"{PREFIX}log", self._get_log)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._watching = asyncio.create_task(self._watch.run())
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stops serving; what was received stays readable, and ``start`` serves it again."""
        self.release()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None
        await self.hooks.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware: what GitHub does with every request, before and after its route."""
        if request.path.startswith(PREFIX):
            return await handler(request)
        self._requests += 1
        self._writes += request.method != "GET"
        request_id.set(f"51D0:{self._requests:06X}:SIMULATED")
        response: web.StreamResponse
        try:
            if not request.headers.get("User-Agent"):
                return web.Response(status=403, text=_NO_USER_AGENT, content_type="text/html")
            self._admit(request)
            response = conditional(request, await self._answer(request, handler))
            if response.status == 304:
                self._quota.give_back()
                self._unchanged += 1
        except Rejection as rejection:
            response = refusal(rejection)
        except web.HTTPRequestEntityTooLarge:
            response = error_response(413, "Request Entity Too Large")
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            response = error_response(404, "Not Found")
        self._note_change()
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "GET":
            return await handler(request)  # which shows the faults of dispatches itself
        return await self._mishaps.through(
            request, FaultPlace.READ, partial(handler, request), str(request.url)
        )

    def _admit(self, request: web.Request) -> None:
        version = request.headers.get("X-GitHub-Api-Version")
        known = API_VERSIONS - {ALWAYS_WITH_RUN} if self._ghes else API_VERSIONS
        if version is not None and version not in known:
            if version < OLDEST_VERSION:
                raise Rejection(410, f'The API version "{version}" is no longer supported.')
            raise Rejection(400, f'"{version}" is not a supported API version.')
        self._tokens.admit(request)
        if request.path == "/rate_limit":
            return
        if not self._quota.take(self._clock()):
            raise Rejection(403, PRIMARY_LIMIT, RATE_LIMIT_DOCS)
        wait = self.secondary.wait(self._clock(), request.method, request.path)
        if wait is not None:
            raise Rejection(403, SECONDARY_LIMIT, RATE_LIMIT_DOCS, retry_after=wait)

    async def _stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        """The headers that are on every answer of GitHub's."""
        if request.path.startswith(PREFIX):
            return
        now, headers = self._clock(), response.headers
        second = int(now.timestamp())
        if self._date[0] != second:
            self._date = second, format_datetime(now.astimezone(UTC), usegmt=True)
        headers["Server"] = "github.com (simulated)"
        headers["Date"] = self._date[1]
        headers["X-GitHub-Request-Id"] = request_id.get()
        for name, value in self._quota.as_json(now).items():
            headers.setdefault(_LIMIT_HEADERS[name], str(value))
        headers["X-RateLimit-Resource"] = "core"
        headers.update(self._tokens.headers(request))

    async def _get_log(self, request: web.Request) -> web.StreamResponse:
        now = self._clock()
        document = {
            "simulated": True,
            "requests": self._requests,
            "unchanged": self._unchanged,
            "received": [dispatch.as_json() for dispatch in self._world.received],
            "runs": [run.in_short(now) for run in self._world.runs],
            "dropped": self._world.dropped,
            "stalled": self._mishaps.stalled,
            "faults": self._mishaps.faults.pending(),
        }
        return web.json_response(document)

    def _note_change(self) -> None:
        self._changed.set()
        self._changed.clear()
