"""Senders that prove themselves by sending the secret itself: in a header, in the query, as a
bearer token or as a password. And ``none``, which asks for nothing."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from daemon.secret import Secret
from daemon.signatures.body_field import PATH, text_at
from daemon.signatures.handshake import Handshake
from daemon.signatures.handshakes import CloudEventsValidation
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Scheme, SchemeError, equals_any, is_blank, no_secret, octets

ANYBODYS = CloudEventsValidation()
"""The check that senders of any kind may make who prove themselves by the secret itself."""

_AUTHORIZATION = re.compile(r"(?P<kind>[A-Za-z0-9!#$%&'*+.^_`|~-]+) +(?P<value>.+)", re.DOTALL)


def authorization(request: Request, kind: str) -> str | None:
    """What the ``Authorization`` header holds after ``kind`` (in any case, RFC 9110, 11.1), or
    None where it is missing or of another kind."""
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    return match["value"] if match and match["kind"].lower() == kind else None


def _compare(
    received: bytes | None, absent: str, secrets: Sequence[Secret], place: str, before: bytes = b""
) -> Mismatch | None:
    """The common end of these schemes: whether ``received`` is ``before`` and one of ``secrets``.
    ``absent`` says what None means."""
    usable = [secret for secret in secrets if not is_blank(secret)]
    if not usable:
        return no_secret(secrets)
    if received is None:
        return Mismatch(absent)
    if not equals_any(received, [before + octets(secret.reveal()) for secret in usable]):
        return Mismatch(f"{place} does not match")
    return None


def _usable(secret: Secret) -> str:
    if is_blank(secret):
        raise SchemeError(no_secret([secret]).reason, "secret")
    return secret.reveal()


@dataclass(frozen=True, slots=True)
class TokenScheme(Scheme):
    """The secret in the header ``header`` (lower case) or the query parameter ``query``. A
    delivery's id is in ``delivery_header`` or in the body's ``delivery_field``.

    Raises SchemeError unless exactly one of the first two is given, and at most one of the others.
    """

    header: str = ""
    query: str = ""
    delivery_header: str = ""
    delivery_field: str = ""
    name: str = "token"

    @property
    def handshake(self) -> Handshake | None:
        # Its presets are vendors', who have no such check.
        return ANYBODYS if self.name in ("token", "api_key") else None

    def __post_init__(self) -> None:
        if bool(self.header) == bool(self.query):
            raise SchemeError("give exactly one of `header` and `query`", "header")
        if self.delivery_header and self.delivery_field:
            raise SchemeError(
                "`delivery_header` and `delivery_field` exclude each other", "delivery_field"
            )
        if self.delivery_field and not PATH.fullmatch(self.delivery_field):
            raise SchemeError(
                "`delivery_field` must be the body's keys joined by dots", "delivery_field"
            )

    @property
    def credential_headers(self) -> frozenset[str]:
        return frozenset({self.header} - {""})

    @property
    def credential_query(self) -> frozenset[str]:
        return frozenset({self.query} - {""})

    @property
    def place(self) -> str:
        """Where the secret is looked for, in words."""
        return f"the header {self.header}" if self.header else f"the query parameter {self.query}"

    def received(self, request: Request) -> str | None:
        """What stands where the secret should."""
        if self.header:
            return request.headers.get(self.header)
        return request.query.get(self.query)

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        received = self.received(request)
        return _compare(
            None if received is None else octets(received),
            f"{self.place} is missing",
            secrets,
            self.place,
        )

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        return {self.header: _usable(secret)} if self.header else {}

    def delivery_id(self, request: Request, body: object) -> str | None:
        if self.delivery_field:
            return text_at(body, self.delivery_field)
        return request.headers.get(self.delivery_header, "").strip() or None


@dataclass(frozen=True, slots=True)
class BearerScheme(Scheme):
    """The secret as ``Authorization: Bearer`` token (RFC 6750). ``identify`` makes a delivery's id
    of its parsed body, where a preset knows how."""

    name: str = "bearer"
    identify: Callable[[object], str | None] | None = None

    kind: ClassVar[str] = "bearer"
    credential_headers: ClassVar[frozenset[str]] = frozenset({"authorization"})

    @property
    def handshake(self) -> Handshake | None:
        return ANYBODYS if self.name == self.kind else None

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        token = authorization(request, "bearer")
        return _compare(
            None if token is None else octets(token),
            "the header authorization is missing or holds no Bearer token",
            secrets,
            "the bearer token",
        )

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        return {"authorization": f"Bearer {_usable(secret)}"}

    def delivery_id(self, request: Request, body: object) -> str | None:
        return self.identify(body) if self.identify is not None else None


@dataclass(frozen=True, slots=True)
class BasicScheme(Scheme):
    """``username`` with the secret as its password (RFC 7617, in UTF-8). For ``identify`` see
    BearerScheme."""

    username: str
    name: str = "basic"
    identify: Callable[[object], str | None] | None = None

    kind: ClassVar[str] = "basic"
    credential_headers: ClassVar[frozenset[str]] = frozenset({"authorization"})

    @property
    def handshake(self) -> Handshake | None:
        return ANYBODYS if self.name == self.kind else None

    def __post_init__(self) -> None:
        if not self.username or ":" in self.username:
            raise SchemeError("`username` must not be empty or hold a colon", "username")

    def received(self, request: Request) -> bytes | None:
        """The decoded ``username:password``; None where the header is missing, of another kind or
        not base64."""
        encoded = authorization(request, "basic")
        try:
            return None if encoded is None else base64.b64decode(encoded, validate=True)
        except ValueError:
            return None

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        return _compare(
            self.received(request),
            "the header authorization is missing or holds no Basic credentials",
            secrets,
            "the username or the password",
            octets(self.username) + b":",
        )

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        pair = octets(f"{self.username}:{_usable(secret)}")
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}

    def delivery_id(self, request: Request, body: object) -> str | None:
        return self.identify(body) if self.identify is not None else None


@dataclass(frozen=True, slots=True)
class NoScheme(Scheme):
    """Anyone may send."""

    name: ClassVar[str] = "none"
    handshake: ClassVar[Handshake] = ANYBODYS
    needs_secret: ClassVar[bool] = False

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        return None
