"""Who may ask what of the daemon's own routes: which scope each of them wants, and whose key a
request carries."""

from __future__ import annotations

import pwd
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus

from aiohttp import web

from daemon.addresses import household
from daemon.api_keys import ApiKey, Scope, holder
from daemon.errors import Refused
from daemon.event import API_ENTRY
from daemon.expressions import rfc3339
from daemon.throttle import Throttle
from daemon.web import client_ip

OPEN = frozenset({("GET", "/ping"), ("GET", "/healthz"), ("GET", "/readyz")})
"""What everybody may ask."""

SOCKET_ONLY = frozenset({("GET", "/api/v1/triggers/{name}/secret")})
"""What no key opens, but the admins' Unix socket."""

SCOPES: Mapping[tuple[str, str], Scope] = {
    ("POST", API_ENTRY): Scope.DISPATCH,
    ("GET", "/metrics"): Scope.READ,
    ("GET", "/api/v1/status"): Scope.READ,
    ("GET", "/api/v1/events"): Scope.READ,
    ("GET", "/api/v1/events/{id}"): Scope.READ,
    ("GET", "/api/v1/refused"): Scope.READ,
    ("GET", "/api/v1/dispatches"): Scope.READ,
    ("GET", "/api/v1/dispatches/{id}"): Scope.READ,
    ("GET", "/api/v1/dispatches/{id}/tree"): Scope.READ,
    ("GET", "/api/v1/dispatches/{id}/branch"): Scope.READ,
    ("GET", "/api/v1/firings"): Scope.READ,
    ("GET", "/api/v1/incidents"): Scope.READ,
    ("GET", "/api/v1/hooks"): Scope.READ,
    ("GET", "/api/v1/recovery"): Scope.READ,
    ("POST", "/api/v1/crons/{name}/fire"): Scope.ADMIN,
    ("POST", "/api/v1/crons/{name}/backfill"): Scope.ADMIN,
    ("POST", "/api/v1/reload"): Scope.ADMIN,
    ("POST", "/api/v1/pause"): Scope.ADMIN,
    ("POST", "/api/v1/resume"): Scope.ADMIN,
    ("POST", "/api/v1/release"): Scope.ADMIN,
    ("POST", "/api/v1/release/{id}"): Scope.ADMIN,
    ("POST", "/api/v1/replay/{id}"): Scope.ADMIN,
    ("POST", "/api/v1/cancel/{id}"): Scope.ADMIN,
    ("POST", "/api/v1/triggers/{name}/arm"): Scope.ADMIN,
    ("POST", "/api/v1/triggers/{name}/hook"): Scope.ADMIN,
    ("POST", "/api/v1/hooks/ping"): Scope.ADMIN,
    ("POST", "/api/v1/hooks/delete"): Scope.ADMIN,
    ("POST", "/api/v1/recover"): Scope.ADMIN,
}
"""The scope that each other route wants, by method and path. What is not here is not served."""

UNGUESSABLE = 32
"""Characters of a key from which on nobody guesses it: 128 random bits, written in hexadecimal."""

HOLDER = web.RequestKey("holder", ApiKey)
"""Under which a request holds the key that it was admitted by."""

CREDENTIALS = struct.Struct("3i")
"""The process, user and group at the other end of a Unix socket: unix(7), SO_PEERCRED."""


class Admission:
    """Checks keys. ``elapsed`` is a clock of seconds that nobody sets."""

    def __init__(
        self,
        keys: Sequence[ApiKey],
        throttle: Throttle,
        *,
        clock: Callable[[], datetime],
        elapsed: Callable[[], float],
    ) -> None:
        self._keys = tuple(keys)
        self._throttle = throttle
        self._clock = clock
        self._elapsed = elapsed

    def check(self, request: web.Request, scope: Scope, *, bearer: bool = False) -> None:
        """Lets the request pass that carries a key which is good for ``scope``; ``bearer`` takes it
        as a bearer token as well. Raises Refused: 401, 403 for a key with other scopes, 429 for
        guesses."""
        given = _presented(request, bearer=bearer)
        if not self._keys or not given:
            why = (
                "no x-api-key" if self._keys else "no API key is set, so nobody is let in over HTTP"
            )
            raise _unauthorized(why)
        address, now = household(client_ip(request)), self._elapsed()
        wait = self._throttle.wait(address, now)
        if wait and len(given) < UNGUESSABLE:
            raise _too_many(wait)
        key = holder(given, self._keys)
        if key is None:
            self._throttle.failed(address, now)
            raise _too_many(wait) if wait else _unauthorized("a wrong x-api-key")
        if key.expires_at is not None and key.expired(self._clock()):
            # Who had the key may know why it opens no more.
            why = f"the key {key.name} expired at {rfc3339(key.expires_at)}"
            raise Refused(
                401, f"Unauthorized: {why}; `dispatchd key create {key.name}` makes another"
            )
        if not key.may(scope):
            has = ", ".join(sorted(key.scopes))
            raise Refused(
                403,
                f"this needs a key with the scope {scope}, and the key {key.name} has: {has}",
            )
        request[HOLDER] = key


def requester(request: web.Request) -> str:
    """Who asks, as it is kept and shown: the user at the other end of the Unix socket, else the
    name of the key and the address that it came from."""
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    if connection is None or connection.family != socket.AF_UNIX:
        key = request.get(HOLDER)
        return f"the key {key.name if key else '?'} from {client_ip(request)}"
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, user, _ = CREDENTIALS.unpack(raw)
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _presented(request: web.Request, *, bearer: bool) -> str:
    given = request.headers.get("x-api-key", "")
    if bearer and not given:  # Prometheus sends no other header
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return given


def _unauthorized(why: str) -> Refused:
    return Refused(401, HTTPStatus.UNAUTHORIZED.phrase, why=why)


def _too_many(wait: int) -> Refused:
    return Refused(
        429,
        f"too many wrong keys from this address; try again in {wait} s",
        headers={"Retry-After": str(wait)},
    )
