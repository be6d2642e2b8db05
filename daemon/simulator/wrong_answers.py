"""The answers of GitHub on a bad day: error statuses, rate limits, redirects and broken
connections, each as GitHub or the gateway before it gives them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from datetime import datetime, timedelta
from http.client import responses

from aiohttp import web

from daemon.simulator.faults import Fault, FaultKind
from daemon.simulator.validation import DOCS, Rejection

PRIMARY_LIMIT = "API rate limit exceeded for user ID 1."
SECONDARY_LIMIT = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
)
RATE_LIMIT_DOCS = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"

_GATEWAY_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad "
    "Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def error_response(status: int, message: str, documentation_url: str = DOCS) -> web.Response:
    """An error in the shape of GitHub's."""
    return refusal(Rejection(status, message, documentation_url))


def refusal(rejection: Rejection) -> web.Response:
    """The answer that a Rejection is."""
    headers = {"Location": rejection.location} if rejection.location else {}
    if rejection.retry_after is not None:
        headers["Retry-After"] = str(rejection.retry_after)
    return web.json_response(rejection.as_json(), status=rejection.status, headers=headers)


def wrong_answer(fault: Fault, now: datetime, renamed_to: str) -> web.Response:
    """The answer that shows ``fault``; ``renamed_to`` is where a redirect points by default. For
    the faults whose answer takes its time, see ``pour`` and ``drip``."""
    if fault.kind is FaultKind.SECONDARY:
        response = error_response(fault.status or 403, SECONDARY_LIMIT, RATE_LIMIT_DOCS)
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        return response
    if fault.kind is FaultKind.PRIMARY:
        response = error_response(fault.status or 403, PRIMARY_LIMIT, RATE_LIMIT_DOCS)
        ends = now + timedelta(seconds=60 if fault.seconds is None else fault.seconds)
        response.headers["X-RateLimit-Remaining"] = "0"
        response.headers["X-RateLimit-Reset"] = str(int(ends.timestamp()))
        return response
    if fault.kind is FaultKind.REDIRECT:
        response = error_response(fault.status or 307, "Moved Permanently")
        response.headers["Location"] = fault.location or renamed_to
        return response
    status = _status(fault)
    if status == 502:
        return web.Response(status=502, text=_GATEWAY_PAGE, content_type="text/html")
    return error_response(status, responses.get(status, "Error"))


async def pour(request: web.Request, fault: Fault, released: asyncio.Event) -> web.StreamResponse:
    """An error whose body goes on for as long as it is read, until it is ``released``."""
    response = web.StreamResponse(status=_status(fault))
    response.content_type = "application/json"
    words = f" {responses.get(response.status, 'Error')}".encode()
    with contextlib.suppress(ConnectionError):  # the client has hung up
        await response.prepare(request)
        await response.write(b'{"message": "')
        while not released.is_set():
            await response.write(words * 100)
            await asyncio.sleep(0)  # a write waits only for a client that is slower than we are
    reset_connection(request)
    return response


async def drip(request: web.Request, fault: Fault, released: asyncio.Event) -> web.StreamResponse:
    """An error of whose body a byte a second comes, and the rest when it is ``released``."""
    status = _status(fault)
    document = Rejection(status, responses.get(status, "Error")).as_json()
    body = json.dumps(document).encode()
    response = web.StreamResponse(status=status)
    response.content_type = "application/json"
    response.content_length = len(body)
    with contextlib.suppress(ConnectionError):  # the client has hung up
        await response.prepare(request)
        while body and not released.is_set():
            await response.write(body[:1])
            body = body[1:]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await released.wait()
        await response.write(body)
    return response


def reset_connection(request: web.Request) -> None:
    """Closes the connection with a TCP reset: the client sees it break, not end."""
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()


def _status(fault: Fault) -> int:
    return fault.status or 503
