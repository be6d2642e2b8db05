"""What every way of proving a sender has in common: the request it looks at, the secrets it may
use, and a Mismatch in words for the operator."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from daemon.errors import DispatchdError
from daemon.secret import Secret


class SchemeError(DispatchdError):
    """Mend the config: an ``auth`` object that cannot work. ``key`` is the one at fault."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.message = message
        self.key = key


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came in, before anything is left out of it.

    ``path`` is as sent, without the query. ``headers`` have lower-case names, credentials
    included; a repeated header is joined with ``", "``. ``query`` is decoded.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a sender is not believed, and (``hint``) how to mend it.

    For the operator, never for the sender. Holds no secret, no expected signature and nothing
    that the sender sent as its proof. One with a hint needs no further explanation.
    """

    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.hint})" if self.hint else self.reason


class Scheme(Protocol):
    """One way of proving a sender, with its parameters. A hashable value: equal schemes with equal
    secrets give equal answers, so each is asked once per request."""

    @property
    def name(self) -> str:
        """The name that the config calls it by."""

    @property
    def needs_secret(self) -> bool:
        """Whether the config must give a ``secret`` with it."""

    @property
    def credential_headers(self) -> frozenset[str]:
        """Headers (lower case) that hold the secret itself, to be left out of what is stored."""

    @property
    def credential_query(self) -> frozenset[str]:
        """Query parameters that hold the secret itself."""

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        """None when the request proves itself with any of ``secrets``. Never raises, whatever the
        request holds; without a usable secret nothing is believed."""

    def delivery_id(self, request: Request) -> str | None:
        """The sender's own id of this delivery, or None where it names none."""

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        """The headers with which a sender that knows ``secret`` would prove itself.

        Empty where the proof is not in the headers. Raises SchemeError for an unusable secret.
        """


def octets(text: str) -> bytes:
    """``text`` as it was on the wire or in the environment, where bytes that are not UTF-8 become
    lone surrogates. Other surrogates cannot come from there, but must not raise either."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def is_blank(secret: Secret) -> bool:
    """Whether the secret is empty or only white space: anybody could guess it."""
    return not secret.reveal().strip()


def equals_any(received: bytes, expected: Iterable[bytes]) -> bool:
    """Whether ``received`` is one of ``expected``, in a time that tells neither which, nor how
    much of it was right, nor how long it is: digests are compared, and all of them."""
    digest = hashlib.sha256(received).digest()
    found = False
    for one in expected:
        found |= hmac.compare_digest(digest, hashlib.sha256(one).digest())
    return found


def no_secret(secrets: Sequence[Secret]) -> Mismatch:
    """The refusal where none of ``secrets`` can be used."""
    if not secrets:
        return Mismatch(
            "there is no secret to check against",
            "without one every request is refused; see that the entry's `secret` resolves",
        )
    references = ", ".join(secret.reference for secret in secrets)
    return Mismatch(
        f"the secret {references} cannot be used",
        "it is empty, or not in the key encoding that the entry names",
    )
