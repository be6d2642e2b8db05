"""``POST /dispatch``, the open health routes, and ``/api/v1`` for the command line: over HTTP with
an API key, over the Unix socket without one."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from aiohttp import web

from daemon.admission import OPEN, SCOPES, SOCKET_ONLY, Admission, requester
from daemon.arming import Arming
from daemon.branches import Branches
from daemon.by_hand import ByHand
from daemon.dispatch import Dispatch, State
from daemon.errors import Refused, StoreError
from daemon.event import API_ENTRY, Event, FiringOutcome, Outcome, Verdict
from daemon.facts import Facts
from daemon.hooking import Hooking
from daemon.instants import instant
from daemon.pausing import Pausing
from daemon.ports import Condition, Records
from daemon.refusals import Refusals
from daemon.releasing import Releasing
from daemon.reloading import Reloading
from daemon.views import (
    FAMILY_MAX,
    dispatch_details,
    dispatch_view,
    event_details,
    event_view,
    family_view,
    firing_view,
    incident_view,
    recorded_view,
    refusal_view,
)
from daemon.web import answered, json_response, not_allowed, unavailable

ID = re.compile(r"(evt|dsp)_[0-9a-z]{26}")
METRICS = "/metrics"
LISTED_MAX = 1000
LISTED_BY_DEFAULT = 50

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Intake(Protocol):
    """The door by which what the API is asked for comes in."""

    async def replay_event(
        self, event_id: str, *, by: str
    ) -> tuple[Event, tuple[Verdict, ...]]: ...

    async def replay_dispatch(self, dispatch_id: str, *, by: str) -> Dispatch: ...

    async def cancel(self, ids: Sequence[str], *, by: str) -> list[tuple[str, State | None]]: ...


class Overseer(Protocol):
    """Knows how the daemon as a whole is doing."""

    async def condition(self) -> Condition: ...

    async def status(self) -> Mapping[str, Any]: ...


Scrape = Callable[[str], Awaitable[tuple[bytes, str]]]
"""The metrics, and their content type, as an ``Accept`` header wants them."""


class Api:
    """The daemon's own routes. ``dispatch`` answers the calls of ``POST /dispatch``, ``arming``
    those about secrets that senders hand over, ``pausing`` those about entries that rest,
    ``by_hand`` those that fire cron entries, ``hooking`` those about webhooks at GitHub,
    ``releasing`` those that let go what is held, ``reloading`` those that have the config read
    anew, and ``branches`` those about what runs push."""

    def __init__(
        self,
        admission: Admission,
        dispatch: Handler,
        arming: Arming,
        pausing: Pausing,
        by_hand: ByHand,
        hooking: Hooking,
        releasing: Releasing,
        reloading: Reloading,
        branches: Branches,
        intake: Intake,
        records: Records,
        overseer: Overseer,
        refusals: Refusals,
        scrape: Scrape,
        facts: Facts,
    ) -> None:
        self._admission = admission
        self._intake = intake
        self._records = records
        self._overseer = overseer
        self._refusals = refusals
        self._scrape = scrape
        self._facts = facts
        self._dispatch = dispatch
        self._arming = arming
        self._pausing = pausing
        self._by_hand = by_hand
        self._hooking = hooking
        self._releasing = releasing
        self._reloading = reloading
        self._branches = branches

    def routes(self, *, trusted: bool) -> list[web.RouteDef]:
        """Behind the Unix socket everybody is ``trusted``: who can open it is an admin."""

        handlers: list[tuple[str, str, Handler]] = [
            ("GET", "/ping", self._ping),
            ("GET", "/healthz", self._healthz),
            ("GET", "/readyz", self._readyz),
            ("POST", API_ENTRY, self._dispatch),
            ("GET", METRICS, self._metrics),
            ("GET", "/api/v1/status", self._status),
            ("GET", "/api/v1/events", self._events),
            ("GET", "/api/v1/events/{id}", self._event),
            ("GET", "/api/v1/refused", self._refused),
            ("GET", "/api/v1/dispatches", self._dispatches),
            ("GET", "/api/v1/dispatches/{id}", self._one_dispatch),
            ("GET", "/api/v1/dispatches/{id}/tree", self._tree),
            ("GET", "/api/v1/dispatches/{id}/branch", self._branches.look),
            ("GET", "/api/v1/firings", self._firings),
            ("GET", "/api/v1/incidents", self._incidents),
            ("POST", "/api/v1/crons/{name}/fire", self._by_hand.fire),
            ("POST", "/api/v1/crons/{name}/backfill", self._by_hand.backfill),
            ("POST", "/api/v1/pause", self._pausing.pause),
            ("POST", "/api/v1/resume", self._pausing.resume),
            ("POST", "/api/v1/reload", self._reloading.reload),
            ("POST", "/api/v1/release", self._releasing.release_entry),
            ("POST", "/api/v1/release/{id}", self._releasing.release),
            ("POST", "/api/v1/replay/{id}", self._replay),
            ("POST", "/api/v1/cancel/{id}", self._cancel),
            ("POST", "/api/v1/triggers/{name}/arm", self._arming.arm),
            ("POST", "/api/v1/triggers/{name}/hook", self._hooking.create),
            ("GET", "/api/v1/hooks", self._hooking.listed),
            ("POST", "/api/v1/hooks/ping", self._hooking.ping),
            ("POST", "/api/v1/hooks/delete", self._hooking.delete),
            ("POST", "/api/v1/recover", self._hooking.recover),
            ("GET", "/api/v1/recovery", self._hooking.recovered),
            ("GET", "/api/v1/triggers/{name}/secret", self._arming.secret),
        ]
        own = [
            (web.get if method == "GET" else web.post)(
                path, self._answering(handler if trusted else self._guarded(method, path, handler))
            )
            for method, path, handler in handlers
            if trusted or (method, path) not in SOCKET_ONLY
        ]
        # Whatever else is asked of these paths gets a 405 here, and is no webhook's.
        others = [web.route("*", route.path, self._answering(_only(route.method))) for route in own]
        return own + others

    async def nowhere(self, request: web.Request) -> web.Response:
        """What the admins' door answers to every path that it does not have."""
        return await self._answering(_nowhere)(request)

    # What everybody may ask

    async def _ping(self, request: web.Request) -> web.Response:
        return json_response(200, {"message": "Pong!"})

    async def _healthz(self, request: web.Request) -> web.Response:
        return json_response(200, {"status": "alive"})

    async def _readyz(self, request: web.Request) -> web.Response:
        now = await self._overseer.condition()
        if not now.reasons:
            return json_response(200, {"status": "ready"})
        # What is not well without keeping deliveries out must not have a proxy keep them out.
        status, told = (200, "degraded") if now.ready else (503, "not ready")
        return json_response(status, {"status": told, "reasons": list(now.reasons)})

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = await self._scrape(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    # /api/v1

    async def _status(self, request: web.Request) -> web.Response:
        return json_response(200, await self._overseer.status())

    async def _events(self, request: web.Request) -> web.Response:
        query = request.query
        events = await self._records.events(
            _limit(query),
            before=_before(query),
            outcome=_member(Outcome, query, "outcome"),
            source=query.get("source"),
        )
        verdicts = await self._records.verdicts([event.id for event in events])
        views = [event_view(event, verdicts.get(event.id, ())) for event in events]
        return json_response(200, {"events": views})

    async def _event(self, request: web.Request) -> web.Response:
        event_id = request.match_info["id"]
        event = await self._records.event(event_id)
        if event is None:
            raise Refused(404, f"there is no event {event_id!r:.100}; it may have aged out")
        verdicts = await self._records.verdicts([event_id])
        view = event_details(event, verdicts.get(event_id, ()))
        dispatches = await self._records.dispatches(LISTED_MAX, event_id=event_id)
        view["dispatches"] = [dispatch_view(dispatch) for dispatch in dispatches]
        return json_response(200, view)

    async def _refused(self, request: web.Request) -> web.Response:
        newest = self._refusals.newest(_limit(request.query))
        return json_response(200, {"refused": [refusal_view(each) for each in newest]})

    async def _dispatches(self, request: web.Request) -> web.Response:
        query = request.query
        state = _member(State, query, "state")
        dispatches = await self._records.dispatches(
            _limit(query),
            before=_before(query),
            states=[state] if state else None,
            entry=query.get("entry"),
            event_id=query.get("event"),
            since=_instant(query, "since"),
        )
        return json_response(200, {"dispatches": [dispatch_view(each) for each in dispatches]})

    async def _one_dispatch(self, request: web.Request) -> web.Response:
        dispatch_id = request.match_info["id"]
        dispatch = await self._records.dispatch(dispatch_id)
        if dispatch is None:
            raise Refused(404, f"there is no dispatch {dispatch_id!r:.100}; it may have aged out")
        attempts = await self._records.attempts(dispatch_id)
        follow_ups = await self._records.follow_ups(dispatch_id)
        runs = (await self._records.runs([dispatch_id]))[dispatch_id]
        return json_response(200, dispatch_details(dispatch, attempts, runs, follow_ups))

    async def _tree(self, request: web.Request) -> web.Response:
        dispatch_id = request.match_info["id"]
        family = await self._records.family(dispatch_id, FAMILY_MAX)
        if family is None:
            raise Refused(404, f"there is no dispatch {dispatch_id!r:.100}; it may have aged out")
        return json_response(200, family_view(family))

    async def _firings(self, request: web.Request) -> web.Response:
        query = request.query
        firings = await self._records.firings(
            _limit(query),
            cron=query.get("cron"),
            outcome=_member(FiringOutcome, query, "outcome"),
            before=_instant(query, "before"),
        )
        return json_response(200, {"firings": [firing_view(each) for each in firings]})

    async def _incidents(self, request: web.Request) -> web.Response:
        query = request.query
        incidents = await self._records.incidents(
            _limit(query), entry=query.get("entry"), before=_instant(query, "before")
        )
        return json_response(200, {"incidents": [incident_view(each) for each in incidents]})

    async def _replay(self, request: web.Request) -> web.Response:
        target, by = request.match_info["id"], requester(request)
        if target.startswith("evt_"):
            recorded = await self._intake.replay_event(target, by=by)
            return json_response(202, recorded_view(*recorded))
        if target.startswith("dsp_"):
            dispatch = await self._intake.replay_dispatch(target, by=by)
            return json_response(202, {"dispatches": [dispatch.id]})
        raise Refused(400, f"{target!r:.60} is neither an event (evt_…) nor a dispatch (dsp_…)")

    async def _cancel(self, request: web.Request) -> web.Response:
        ((target, state),) = await self._intake.cancel(
            [request.match_info["id"]], by=requester(request)
        )
        if state is None:
            raise Refused(404, f"there is no dispatch {target!r:.100}")
        if state is not State.CANCELLED:
            raise Refused(409, f"{target} is {state} and cannot be cancelled")
        return json_response(200, {"id": target, "state": state.value})

    # Around every handler

    def _guarded(self, method: str, path: str, handler: Handler) -> Handler:
        """The handler for those alone whose key has the route's scope; a route without one is open,
        or a fault of ours."""
        if (method, path) in OPEN:
            return handler
        scope, bearer = SCOPES[method, path], path == METRICS

        async def checked(request: web.Request) -> web.Response:
            self._admission.check(request, scope, bearer=bearer)
            return await handler(request)

        return checked

    def _answering(self, handler: Handler) -> Handler:
        async def working(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except StoreError as error:
                raise unavailable(error) from None

        async def answering(request: web.Request) -> web.Response:
            return await answered(working(request), request, self._facts)

        return answering


async def _nowhere(request: web.Request) -> web.Response:
    raise Refused(404, f"nothing is served at {request.path!r:.200}; docs/http.md has every route")


def _only(method: str) -> Handler:
    allowed = "GET, HEAD" if method == "GET" else method

    async def refusing(request: web.Request) -> web.Response:
        raise not_allowed(request, allowed)

    return refusing


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(LISTED_BY_DEFAULT))
    if not text.isdecimal() or not 1 <= int(text[:9]) <= LISTED_MAX:
        raise Refused(400, f"limit={text!r:.20} is not a number from 1 to {LISTED_MAX}")
    return int(text)


def _before(query: Mapping[str, str]) -> str | None:
    text = query.get("before")
    if text is not None and not ID.fullmatch(text):
        raise Refused(
            400, f"before={text!r:.40} is not an id: give the last one of the page before"
        )
    return text


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    try:
        return instant(text) if text else None
    except ValueError:
        raise Refused(400, f"{name}={text!r:.60} is not an RFC 3339 instant") from None


Member = TypeVar("Member", bound=StrEnum)


def _member(kind: type[Member], query: Mapping[str, str], name: str) -> Member | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        allowed = ", ".join(kind)
        raise Refused(400, f"{name}={text!r:.40} is not one of: {allowed}") from None
