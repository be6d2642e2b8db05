"""``POST /dispatch``: one call becomes one dispatch; the caller hears what GitHub said, or that it
is queued."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from daemon.admission import requester
from daemon.body import parse_json
from daemon.call import Call, judge_call, parse_call
from daemon.dispatch import Dispatch, State
from daemon.errors import Refused
from daemon.event import API_ENTRY, DedupeKey, Delivery, Event, Outcome
from daemon.ids import IdSource
from daemon.ports import Record, Records
from daemon.reading import read_body
from daemon.settlements import Settlements
from daemon.spec import Settings
from daemon.web import client_ip, json_response, signed_request

CALL_BYTES_MAX = 1024 * 1024
"""GitHub's limit for a payload is 64 KB; escapes can make it six times as long on the wire."""

SETTLED_WITHIN = 10.0
"""Seconds that a caller of ``POST /dispatch`` waits for GitHub's answer before it gets a 202."""

IDEMPOTENCY_WINDOW = timedelta(hours=24)
IDEMPOTENCY_KEY_MAX = 255
OWED_MAX = 1000


class DispatchRoute:
    """Answers calls whose key has been checked."""

    def __init__(
        self,
        settings: Settings,
        record: Record,
        records: Records,
        *,
        ids: IdSource,
        clock: Callable[[], datetime],
        settlements: Settlements,
    ) -> None:
        self._settings = settings
        self._record = record
        self._records = records
        self._ids = ids
        self._clock = clock
        self._settlements = settlements

    async def handle(self, request: web.Request) -> web.Response:
        """Raises Refused with what is wrong with the call, StoreUnavailable where it could not be
        recorded (and then nothing is sent)."""
        signed = signed_request(request, await read_body(request, CALL_BYTES_MAX))
        body = parse_json(signed.headers, signed.body, CALL_BYTES_MAX)
        settings = self._settings
        now = self._clock()
        event_id, dispatch_id = self._ids.event(now), self._ids.dispatch(now)
        call = parse_call(body, dispatch_id, settings.default_repository, settings.repositories)
        delivery = Delivery(
            route=API_ENTRY,
            method=request.method,
            path=API_ENTRY,
            headers={"content-type": signed.headers.get("content-type", "application/json")},
            query={},
            params={},
            body=signed.body,
            client_ip=client_ip(request),
            received_at=now,
        )
        event = Event(event_id, delivery, by=requester(request))
        key = _idempotency_key(signed.headers, signed.body, now)
        with self._settlements.expect(dispatch_id) as settled:
            (verdict,) = await self._record(event, [judge_call(event, call, key)])
            if verdict.conflict:
                raise Refused(
                    422,
                    "this Idempotency-Key was used for another request "
                    f"({verdict.duplicate_of}); use a new key",
                )
            if verdict.outcome is Outcome.DUPLICATE:
                return await self._join(request, call, str(verdict.duplicate_of))
            if verdict.outcome is Outcome.HELD:
                return _queued(call, dispatch_id, held=verdict.reason)
            return await self._await_settled(request, call, dispatch_id, settled)

    async def _join(self, request: web.Request, call: Call, event_id: str) -> web.Response:
        """The answer of the first request under the same key, awaited where it is under way."""
        owed = await self._records.dispatches(OWED_MAX, event_id=event_id)
        if not owed:
            raise Refused(409, f"the first request under this Idempotency-Key ({event_id}) is gone")
        original = owed[-1].id  # newer ones are replays by hand
        with self._settlements.expect(original) as settled:
            # Looked up again: it may have settled before we began to listen.
            dispatch = await self._records.dispatch(original)
            if dispatch is not None and dispatch.state.final:
                return _settled_answer(call, dispatch)
            if dispatch is not None and dispatch.state is State.HELD:
                return _queued(call, original, held=dispatch.reason)
            return await self._await_settled(request, call, original, settled)

    async def _await_settled(
        self,
        request: web.Request,
        call: Call,
        dispatch_id: str,
        settled: asyncio.Future[Dispatch],
    ) -> web.Response:
        applied: dict[str, str] = {}
        if _prefers_async(request):
            applied["Preference-Applied"] = "respond-async"
        else:
            await asyncio.wait({settled}, timeout=SETTLED_WITHIN)
            if settled.done() and not settled.cancelled():
                return _settled_answer(call, settled.result())
        return _queued(call, dispatch_id, headers=applied)


def _idempotency_key(headers: Mapping[str, str], body: bytes, now: datetime) -> DedupeKey | None:
    key = headers.get("idempotency-key")
    if key is None:
        return None
    if not key or len(key) > IDEMPOTENCY_KEY_MAX or not key.isprintable():
        raise Refused(
            400, f"an Idempotency-Key has 1 to {IDEMPOTENCY_KEY_MAX} printable characters"
        )
    return DedupeKey(
        key=key,
        expires_at=now + IDEMPOTENCY_WINDOW,
        fingerprint=hashlib.sha256(body).hexdigest(),
        sticky=True,
    )


def _prefers_async(request: web.Request) -> bool:
    """RFC 7240: preferences are a list, in one header or in several."""
    preferences = ",".join(request.headers.getall("Prefer", []))
    names = (part.partition(";")[0].strip().lower() for part in preferences.split(","))
    return "respond-async" in names


def _settled_answer(call: Call, dispatch: Dispatch) -> web.Response:
    if dispatch.state is not State.ACCEPTED:
        return json_response(
            500,
            {
                "error": "Failed to dispatch workflow",
                "reason": dispatch.reason,
                "dispatch_id": dispatch.id,
            },
        )
    answer = {
        "success": True,
        "event_type": call.event_type,
        "client_payload": call.client_payload,
        "dispatch_id": dispatch.id,
    }
    return json_response(200, _with_warning(answer, call))


def _queued(
    call: Call, dispatch_id: str, *, headers: Mapping[str, str] | None = None, held: str = ""
) -> web.Response:
    """``held`` says why it waits for a person."""
    answer = {
        "status": "queued",
        "event_type": call.event_type,
        "client_payload": call.client_payload,
        "dispatch_id": dispatch_id,
    }
    location = {"Location": f"/api/v1/dispatches/{dispatch_id}"}
    return json_response(202, _with_warning(answer, call, held), {**(headers or {}), **location})


def _with_warning(answer: dict[str, Any], call: Call, held: str = "") -> dict[str, Any]:
    warning = "; ".join(filter(None, (held and f"it is held: {held}", call.warning)))
    return answer | ({"warning": warning} if warning else {})
