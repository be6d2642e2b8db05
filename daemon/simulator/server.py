"""The stand-in's HTTP side: GitHub's routes, checks and headers over a World, and the faults that
it was told to show."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Self

from aiohttp import web

from daemon.simulator.faults import Fault, FaultKind, Faults
from daemon.simulator.quota import Quota
from daemon.simulator.validation import DISPATCH_DOCS, DOCS, Rejection, read_dispatch
from daemon.simulator.world import Listener, ReceivedDispatch, Run, World, workflow_id
from daemon.simulator.wrong_answers import (
    PRIMARY_LIMIT,
    RATE_LIMIT_DOCS,
    error_response,
    reset_connection,
    wrong_answer,
)

API_VERSIONS = frozenset({"2022-11-28", "2026-03-10"})
_NO_USER_AGENT = (
    "Request forbidden by administrative rules. Please make sure your request has a User-Agent "
    f"header ({DOCS}/using-the-rest-api/getting-started-with-the-rest-api#user-agent).\n"
)
# A context variable, since the keys that aiohttp wants for a request's own storage are new in 3.14.
_request_id: ContextVar[str] = ContextVar("request_id")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Simulator:
    """GitHub, simulated. ``async with Simulator(clock) as github: github.url`` serves it.

    ``clock`` gives aware datetimes: it stamps the answers and moves the runs on, ``queued_for``
    and ``running_for`` long. ``tokens`` are those that are good (None: any at all). For
    ``repositories`` and ``listeners`` see ``World``. ``rate_limit`` is requests per hour.

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
        repositories: Collection[str] | None = None,
        listeners: Mapping[str, Sequence[Listener]] | None = None,
        queued_for: timedelta = timedelta(seconds=2),
        running_for: timedelta = timedelta(seconds=5),
        rate_limit: int = 5000,
    ) -> None:
        self._clock = clock
        self._tokens = None if tokens is None else frozenset(tokens)
        self._world = World(repositories, listeners, queued_for, running_for)
        self._faults = Faults()
        self._quota = Quota(rate_limit)
        self._requests = 0
        self._stalled = 0
        self._released = asyncio.Event()
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
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
        repository = "/repos/{owner}/{name}"
        app.router.add_post(f"{repository}/dispatches", self._post_dispatch)
        app.router.add_post(r"/repositories/{number:\d{1,9}}/dispatches", self._post_dispatch)
        app.router.add_get(repository, self._get_repository)
        app.router.add_get(f"{repository}/actions/runs", self._get_runs)
        app.router.add_get(repository + r"/actions/runs/{id:\d{1,18}}", self._get_run)
        app.router.add_get(f"{repository}/actions/workflows", self._get_workflows)
        app.router.add_get("/rate_limit", self._get_rate_limit)
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
        self._stamp(response)
        self._note_change()
        return response

    def _admit(self, request: web.Request) -> None:
        version = request.headers.get("X-GitHub-Api-Version")
        if version is not None and version not in API_VERSIONS:
            raise Rejection(400, f'"{version}" is not a supported API version.')
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "token") or not token.strip():
            raise Rejection(401, "Requires authentication")
        if self._tokens is not None and token.strip() not in self._tokens:
            raise Rejection(401, "Bad credentials")
        if request.path == "/rate_limit":
            return
        if not self._quota.take(self._clock()):
            raise Rejection(403, PRIMARY_LIMIT, RATE_LIMIT_DOCS)

    def _stamp(self, response: web.StreamResponse) -> None:
        headers = response.headers
        headers["Server"] = "github.com (simulated)"
        headers["Date"] = format_datetime(self._clock().astimezone(UTC), usegmt=True)
        headers["X-GitHub-Request-Id"] = _request_id.get()
        for name, value in self._quota.as_json(self._clock()).items():
            headers.setdefault(f"X-RateLimit-{name.capitalize()}", str(value))
        headers["X-RateLimit-Resource"] = "core"

    async def _post_dispatch(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        repository = self._repository(request)
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
            self._world.receive(dispatch)
        if fault is None:
            return web.Response(status=204)
        if fault.kind is FaultKind.STALL:
            await self._hold(fault.seconds)
            return web.Response(status=204)
        if fault.kind is FaultKind.RESET:
            reset_connection(request)
            return web.Response(status=500)  # which nobody can receive any more
        renamed_to = f"{self.url}/repositories/{self._world.number(repository)}/dispatches"
        return wrong_answer(fault, self._clock(), renamed_to)

    async def _hold(self, seconds: float | None) -> None:
        released = self._released
        self._stalled += 1
        self._note_change()
        try:
            async with asyncio.timeout(seconds):
                await released.wait()
        except TimeoutError:
            pass
        finally:
            self._stalled -= 1

    async def _get_repository(self, request: web.Request) -> web.StreamResponse:
        repository = self._repository(request)
        owner, _, name = repository.partition("/")
        document = {
            "id": self._world.number(repository),
            "name": name,
            "full_name": repository,
            "private": True,
            "owner": {"login": owner},
            "url": f"{self.url}/repos/{repository}",
            "html_url": f"{self.url}/{repository}",
            "archived": False,
            "disabled": False,
            "default_branch": "main",
        }
        return web.json_response(document)

    async def _get_runs(self, request: web.Request) -> web.StreamResponse:
        repository = self._repository(request)
        runs = self._world.runs_of(repository)
        size = min(_at_least_one(request.query.get("per_page"), 30), 100)
        start = (_at_least_one(request.query.get("page"), 1) - 1) * size
        now = self._clock()
        page = [run.as_json(now, self.url) for run in runs[start : start + size]]
        return web.json_response({"total_count": len(runs), "workflow_runs": page})

    async def _get_run(self, request: web.Request) -> web.StreamResponse:
        runs = self._world.runs_of(self._repository(request))
        wanted = int(request.match_info["id"])
        run = next((run for run in runs if run.id == wanted), None)
        if run is None:
            raise Rejection(404, "Not Found")
        return web.json_response(run.as_json(self._clock(), self.url))

    async def _get_workflows(self, request: web.Request) -> web.StreamResponse:
        repository = self._repository(request)
        workflows = [
            {
                "id": workflow_id(repository, listener),
                "name": listener.name,
                "path": listener.path,
                "state": "active" if listener.enabled else "disabled_manually",
            }
            for listener in self._world.listeners(repository)
        ]
        return web.json_response({"total_count": len(workflows), "workflows": workflows})

    async def _get_rate_limit(self, request: web.Request) -> web.StreamResponse:
        rate = self._quota.as_json(self._clock())
        return web.json_response({"resources": {"core": rate}, "rate": rate})

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

    def _repository(self, request: web.Request) -> str:
        """The repository that the path names; raises Rejection where there is none."""
        info = request.match_info
        if "number" in info:
            repository = self._world.numbered(int(info["number"]))
        else:
            repository = f"{info['owner']}/{info['name']}"
        if repository is None or not self._world.exists(repository):
            raise Rejection(404, "Not Found", DISPATCH_DOCS)
        return repository

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _at_least_one(text: str | None, default: int) -> int:
    """A page number or size; what is no number counts as absent, as on GitHub."""
    if text is None or not re.fullmatch("[0-9]{1,9}", text):
        return default
    return max(int(text), 1)
