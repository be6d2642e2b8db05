"""What the webhook routes and the API share of HTTP: bounded reading, and answers in JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from daemon.errors import Refused, StoreError
from daemon.expressions import compact
from daemon.facts import Facts, RequestRefused, Trouble
from daemon.signatures import Request

SIMULATION_HEADER = "x-dispatchd-simulation"
"""Every answer of a simulation carries it: the command line says what it talks to."""

BODY_TIMEOUT = 30.0
"""Seconds that a sender has for its whole body."""


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body, if it is at most ``limit`` bytes and comes in time. Nothing is hashed or parsed
    before this has passed. Raises Refused: 400 for one that breaks off, 408, 413, or 415 for a
    compressed body."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Refused(415, f"content encoding {encoding!r:.40} is not supported; send it plain")
    if (request.content_length or 0) > limit:
        raise _too_large(request.content_length or 0, limit)
    received = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.content.iter_any():
                received += chunk
                if len(received) > limit:
                    raise _too_large(len(received), limit)
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {BODY_TIMEOUT:.0f} s") from None
    except ConnectionError:
        # Nobody will read this; the operator may.
        raise Refused(400, f"the connection ended after {len(received):,} bytes of body") from None
    return bytes(received)


def signed_request(request: web.Request, body: bytes) -> Request:
    """The request as signature schemes look at it: every header, repeated ones joined."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return Request(
        method=request.method,
        path=request.rel_url.raw_path,
        headers=headers,
        query=dict(request.query),
        body=body,
    )


def client_ip(request: web.Request) -> str:
    """The peer's address; empty over the Unix socket."""
    return request.remote or ""


def json_response(
    status: int, value: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        body=compact(dict(value)).encode(errors="replace"),
        headers={"Content-Type": "application/json; charset=utf-8", **(headers or {})},
    )


def unavailable(error: StoreError) -> Refused:
    """The refusal of what could not be stored. Where the store is, is the operator's business."""
    return Refused(
        503,
        "nothing could be stored, so nothing was taken; send it again",
        why=str(error),
        headers={"Retry-After": "5"},
    )


def not_allowed(request: web.Request, allowed: str) -> Refused:
    """The refusal of a method; ``allowed`` are those that there are, as in ``GET, HEAD``."""
    return Refused(
        405,
        f"{request.method} is not allowed here; allowed: {allowed}",
        headers={"Allow": allowed},
    )


async def answered(
    answer: Awaitable[web.Response], request: web.Request, facts: Facts
) -> web.Response:
    """The answer, or the refusal that it came to: the log is told why, the sender what it may
    know."""
    try:
        return await answer
    except Refused as refusal:
        facts.publish(
            RequestRefused(
                request.method, request.path, client_ip(request), refusal.status, refusal.why
            )
        )
        return error_response(refusal.status, refusal.message, refusal.headers)


def error_response(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    return json_response(status, {"error": message}, headers)


async def encourage(request: web.Request) -> None:
    """The expect handler of every route: a body that waits for our consent has it. Any other
    expectation is passed over (RFC 9110, 10.1.1, leaves that open): aiohttp's own handler would
    repeat it in its answer."""
    if request.version >= (1, 1) and request.headers["Expect"].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # those bytes are no answer yet


class Runner(web.AppRunner):
    """aiohttp's runner, whose server answers in our form even what never becomes a request: bytes
    that are no HTTP. aiohttp's own answer to these is plain text and quotes them, credentials
    included."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, **self._kwargs)


class _Server(web.Server):
    """aiohttp leaves no other way to choose the class of the connections."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        # This logs the error, and raises where an answer has begun already.
        super().handle_error(request, status, exc, message)
        if isinstance(exc, LineTooLong):
            text = "the request line or a header is too long"
        elif isinstance(exc, HttpProcessingError):
            text = "this is not HTTP that can be read"
        else:
            text = "internal error; the daemon's log says more"
        response = error_response(status, text)
        response.force_close()
        return response


def http_log(facts: Facts) -> logging.Logger:
    """The logger of an HTTP server: what it says becomes facts. It has no name and no parent, so
    nothing else writes there."""
    logger = logging.Logger("http", logging.WARNING)  # noqa: LOG001 - one for each server
    logger.addHandler(_Telling(facts))
    return logger


class _Telling(logging.Handler):
    """aiohttp logs a request that it cannot parse with a traceback and the bytes at fault. These
    may be a credential with a stray character in it: only the kind of the fault is told."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            client = str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""
            reason = f"this is not HTTP that can be read ({type(error).__name__})"
            self._facts.publish(RequestRefused("", "", client, error.code, reason))
        else:
            self._facts.publish(Trouble("http", f"{record.getMessage()}: {error!r}"))


def _too_large(size: int, limit: int) -> Refused:
    return Refused(
        413, f"the body is larger than the {limit:,} bytes allowed here (at least {size:,})"
    )
