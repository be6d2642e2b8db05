"""The stand-in's HTTP side: GitHub's checks and headers, its endpoint for dispatches over a World,
and the faults that it was told to show there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Self

from aiohttp import web

from daemon.simulator.apps import App, Apps
from daemon.simulator.faults import Fault, FaultKind, Faults
from daemon.simulator.lookups import META, REPOSITORY, Lookups, named
from daemon.simulator.quota import Quota
from daemon.simulator.validation import DOCS, Rejection, read_dispatch
from daemon.simulator.world import KEPT, Listener, ReceivedDispatch, Run, World
from daemon.simulator.wrong_answers import (
    PRIMARY_LIMIT,
    RATE_LIMIT_DOCS,
    drip,
    error_response,
    pour,
    reset_connection,
    wrong_answer,
)

API_VERSIONS = frozenset({"2022-11-28", "2026-03-10"})
OLDEST_VERSION = min(API_VERSIONS)
"""What is older is retired: it was there once."""
_NO_USER_AGENT = (
    "Request forbidden by administrative rules. Please make sure your request has a User-Agent "
    f"header ({DOCS}/using-the-rest-api/getting-started-with-the-rest-api#user-agent).\n"
)
# A context variable, since the keys that aiohttp wants for a request's own storage are new in 3.14.
_request_id: ContextVar[str] = ContextVar("request_id")

_LIMIT_HEADERS = {
    name: f"X-RateLimit-{name.capitalize()}" for name in ("limit", "remaining", "used", "reset")
}
_HELD = (FaultKind.STALL, FaultKind.ENDLESS, FaultKind.DRIP)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Simulator:
    """GitHub, simulated. ``async with Simulator(clock) as github: github.url`` serves it.

    ``clock`` gives aware datetimes: it stamps the answers and moves the runs on, ``queued_for``
    and ``running_for`` long. ``tokens`` are those that are good (None: any at all), beside the ones
    that ``apps`` are given. For ``repositories`` and ``listeners`` see ``World``. ``rate_limit`` is
    requests per hour. The newest ``keep`` dispatches and runs are remembered.

    Beside GitHub's routes it has its own, without a token, for whoever wants to watch the daemon
    cope::

        curl -X POST URL/_simulator/faults -d '{"kind": "status", "status": 502, "times": 3}'
        curl -X POST URL/_simulator/faults -d '{"kind": "reset", "acts": true}'
        curl -X POST URL/_simulator/faults -d '{"kind": "secondary", "retry_after": 30}'
        curl -X DELETE URL/_simulator/faults       # all well again; stalled answers go out
        curl URL/_simulator/log                    # what was received, the runs, faults to come

    The keys are those of ``Fault``. Faults show on dispatches only, in the order given.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        tokens: Collection[str] | None = None,
        apps: Collection[App] = (),
        repositories: Collection[str] | None = None,
        listeners: Mapping[str, Sequence[Listener]] | None = None,
        queued_for: timedelta = timedelta(seconds=2),
        running_for: timedelta = timedelta(seconds=5),
        rate_limit: int = 5000,
        keep: int = KEPT,
    ) -> None:
        self._clock = clock
        self._tokens: set[str] | None = None if tokens is None else set(tokens)
        self._world = World(repositories, listeners, queued_for, running_for, keep)
        self.apps = Apps({app.id: app for app in apps}, self._world, clock)
        self._faults = Faults()
        self._quota = Quota(rate_limit)
        self._requests = 0
        self._stalled = 0
        self._released = asyncio.Event()
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
        return list(self._world.runs)

    @property
    def requests(self) -> int:
        """How many requests came in on GitHub's routes, refused ones included."""
        return self._requests

    @property
    def stalled(self) -> int:
        """How many answers are being held right now."""
        return self._stalled

    def allow(self, *tokens: str) -> None:
        """From now on these tokens are good, beside those of the Apps, and no others."""
        self._tokens = set(tokens)

    def inject(self, fault: Fault) -> None:
        """Shows ``fault`` on the dispatches to come, after those that were injected before."""
        self._faults.add(fault)

    def release(self) -> None:
        """Lets every stalled answer go out."""
        self._released.set()
        self._released = asyncio.Event()

    def clear(self) -> None:
        """Forgets the faults to come and releases what is stalled."""
        self._faults.clear()
        self.release()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until ``condition`` holds; it is asked after everything that happens here."""
        while not condition():
            await self._changed.wait()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serves on ``host``, on a free port for 0, and sets ``url``. Raises OSError."""
        app = web.Application(middlewares=[self._serve])
        app.on_response_prepare.append(self._stamp)
        app.router.add_post(f"{REPOSITORY}/dispatches", self._post_dispatch)
        app.router.add_post(r"/repositories/{number:\d{1,9}}/dispatches", self._post_dispatch)
        app.router.add_routes(self.apps.routes())
        app.router.add_routes(Lookups(self._world, self._quota, self._clock).routes())
        app.router.add_post("/_simulator/faults", self._post_fault)
        app.router.add_delete("/_simulator/faults", self._delete_faults)
        app.router.add_get("/_simulator/log", self._get_log)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stops serving; what was received stays readable, and ``start`` serves it again."""
        self.release()
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
        if request.path.startswith("/_simulator/"):
            return await handler(request)
        self._requests += 1
        _request_id.set(f"51D0:{self._requests:06X}:SIMULATED")
        response: web.StreamResponse
        try:
            if not request.headers.get("User-Agent"):
                return web.Response(status=403, text=_NO_USER_AGENT, content_type="text/html")
            self._admit(request)
            response = await handler(request)
        except Rejection as rejection:
            response = error_response(
                rejection.status, rejection.message, rejection.documentation_url
            )
        except web.HTTPRequestEntityTooLarge:
            response = error_response(413, "Request Entity Too Large")
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
            response = error_response(404, "Not Found")
        self._note_change()
        return response

    def _admit(self, request: web.Request) -> None:
        version = request.headers.get("X-GitHub-Api-Version")
        if version is not None and version not in API_VERSIONS:
            if version < OLDEST_VERSION:
                raise Rejection(410, f'The API version "{version}" is no longer supported.')
            raise Rejection(400, f'"{version}" is not a supported API version.')
        credential = request.headers.get("Authorization", "")
        scheme, _, token = credential.partition(" ")
        if request.path == META and not credential:
            pass  # it is open to everybody, but not to a wrong token
        elif scheme.lower() not in ("bearer", "token") or not token.strip():
            raise Rejection(401, "Requires authentication")
        elif self.apps.takes(request) or self.apps.grant(token.strip()) is not None:
            pass  # a claim is checked where it is shown, and a token of its giving is good
        elif self._tokens is not None and token.strip() not in self._tokens:
            raise Rejection(401, "Bad credentials")
        if request.path == "/rate_limit":
            return
        if not self._quota.take(self._clock()):
            raise Rejection(403, PRIMARY_LIMIT, RATE_LIMIT_DOCS)

    async def _stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        """The headers that are on every answer of GitHub's."""
        if request.path.startswith("/_simulator/"):
            return
        now, headers = self._clock(), response.headers
        second = int(now.timestamp())
        if self._date[0] != second:
            self._date = second, format_datetime(now.astimezone(UTC), usegmt=True)
        headers["Server"] = "github.com (simulated)"
        headers["Date"] = self._date[1]
        headers["X-GitHub-Request-Id"] = _request_id.get()
        for name, value in self._quota.as_json(now).items():
            headers.setdefault(_LIMIT_HEADERS[name], str(value))
        headers["X-RateLimit-Resource"] = "core"

    async def _post_dispatch(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        repository = named(request, self._world)
        token = request.headers.get("Authorization", "").partition(" ")[2].strip()
        self.apps.demand(token, repository, "contents")
        event_type, payload = read_dispatch(body)
        dispatch = ReceivedDispatch(
            at=self._clock(),
            repository=repository,
            event_type=event_type,
            client_payload=payload,
            request_id=_request_id.get(),
        )
        fault = self._faults.take()
        if fault is None or fault.acts or fault.kind is FaultKind.STALL:
            self._world.receive(dispatch, len(body))
        if fault is None:
            return web.Response(status=204)
        if fault.kind is FaultKind.RESET:
            reset_connection(request)
            return web.Response(status=500)  # which nobody can receive any more
        if fault.kind in _HELD:
            return await self._hold(request, fault)
        renamed_to = f"{self.url}/repositories/{self._world.number(repository)}/dispatches"
        return wrong_answer(fault, self._clock(), renamed_to)

    async def _hold(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        """The answers that take their time. All end when they are released."""
        released = self._released
        self._stalled += 1
        self._note_change()
        try:
            if fault.kind is FaultKind.ENDLESS:
                return await pour(request, fault, released)
            if fault.kind is FaultKind.DRIP:
                return await drip(request, fault, released)
            async with asyncio.timeout(fault.seconds):
                await released.wait()
        except TimeoutError:
            pass
        finally:
            self._stalled -= 1
        return web.Response(status=204)

    async def _post_fault(self, request: web.Request) -> web.StreamResponse:
        try:
            fault = Fault.parse(json.loads(await request.read()))
        except (ValueError, RecursionError) as error:
            return web.json_response({"error": str(error)}, status=400)
        self.inject(fault)
        return web.json_response({"faults": self._faults.pending()}, status=201)

    async def _delete_faults(self, request: web.Request) -> web.StreamResponse:
        self.clear()
        return web.Response(status=204)

    async def _get_log(self, request: web.Request) -> web.StreamResponse:
        now = self._clock()
        document = {
            "simulated": True,
            "requests": self._requests,
            "received": [dispatch.as_json() for dispatch in self._world.received],
            "runs": [run.as_json(now, self.url) for run in self._world.runs],
            "stalled": self._stalled,
            "faults": self._faults.pending(),
        }
        return web.json_response(document)

    def _note_change(self) -> None:
        self._changed.set()
        self._changed.clear()
