"""What the webhook routes and the API share of HTTP: requests as the rules see them, answers in
JSON, refusals, and what an HTTP server's log becomes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from daemon.addresses import Networks, called_url, client_address
from daemon.errors import Refused, StoreError, kind_and_place
from daemon.expressions import compact
from daemon.facts import Facts, RequestRefused, Trouble
from daemon.signatures import Request

SIMULATION_HEADER = "x-dispatchd-simulation"
"""Every answer of a simulation carries it: the command line says what it talks to."""


SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "dispatchd",  # aiohttp would tell its own version and Python's
}
"""What every answer says, unless it says something else there: that it is for programs, and no page
that a browser should guess at, keep, or run anything of."""

TRANSPORT_SECURITY: Mapping[str, str] = {"Strict-Transport-Security": "max-age=31536000"}
"""What it says beside that under TLS: to come by nothing else, for a year."""


class Crowded(Refused):
    """The refusal of what there is no room for. It is told by who raises it, sparingly: it comes in
    floods."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "too much is coming in at once, so nothing of this was taken; send it again",
            headers={"Retry-After": "5"},
        )


TRUSTED = web.AppKey[Callable[[], Networks]]("trusted")
"""Under which an application tells the proxies whose word on their clients it takes."""


_NOBODY = Networks()


def nobody() -> Networks:
    """Where no proxy is believed."""
    return _NOBODY


def headers_of(request: web.Request) -> dict[str, str]:
    """Every header by its lower-case name, repeated ones joined."""
    received = request.headers
    headers = {name.lower(): value for name, value in received.items()}
    if len(headers) == len(received):
        return headers
    headers.clear()
    for name, value in received.items():
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return headers


def signed_request(request: web.Request, body: bytes, url: str = "") -> Request:
    """The request as signature schemes look at it; ``url`` is what its sender called."""
    return Request(
        method=request.method,
        path=request.rel_url.raw_path,
        headers=headers_of(request),
        query=dict(request.query) if "?" in request.raw_path else {},
        body=body,
        url=url,
    )


def client_ip(request: web.Request) -> str:
    """The client's address: the peer's, or what trusted proxies say; empty over the Unix socket."""
    peer = request.remote or ""
    trusted = request.app.get(TRUSTED, nobody)()
    # An IPv4 address in its IPv6 form is read below.
    if not trusted.networks and not peer.startswith("::"):
        return peer
    return client_address(peer, headers_of(request), trusted)


def url_of(request: web.Request, public_url: str) -> str:
    """The URL that the sender called, as it wrote it; empty where that cannot be told."""
    target = request.raw_path  # with its query, as sent
    if public_url:
        return called_url(public_url, "", "", {}, target, proxied=False)
    trusted = request.app.get(TRUSTED, nobody)()
    proxied = bool(trusted.networks) and trusted.contains(request.remote or "")
    headers = headers_of(request) if proxied else {}
    return called_url(
        "", request.scheme, request.headers.get("Host", ""), headers, target, proxied=proxied
    )


def json_response(
    status: int, value: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        body=json_bytes(value),
        headers={"Content-Type": "application/json; charset=utf-8", **(headers or {})},
    )


def json_bytes(value: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # half of a surrogate pair, or an integer of more than 64 bits
        return compact(dict(value)).encode(errors="replace")


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
        if not isinstance(refusal, Crowded):
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
            what = f"nobody caught a {kind_and_place(error)}" if error else record.getMessage()
            self._facts.publish(Trouble("http", what))
