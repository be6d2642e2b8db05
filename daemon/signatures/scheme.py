"""What every way of proving a sender has in common, and how secrets are compared."""

from __future__ import annotations

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.errors import DispatchdError
from daemon.secret import Secret
from daemon.signatures.handshake import Handshake
from daemon.signatures.request import Mismatch, Request


class SchemeError(DispatchdError):
    """Mend the config: an ``auth`` object that cannot work. ``key`` is the one at fault."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.message = message
        self.key = key


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a sender takes for success. Without a ``body`` it gets the daemon's usual JSON; with an
    empty one, none."""

    status: int = 202
    body: str | None = None
    content_type: str = "text/plain; charset=utf-8"


USUAL = Acknowledgement()

UNGUESSABLE = "it should be text that nobody can guess"
"""How a secret should look that has no form of its own."""


class Scheme(ABC):
    """One way of proving a sender, with its parameters. A hashable value: equal schemes with equal
    secrets give equal answers, so each is asked once per request."""

    __slots__ = ()

    @property
    @abstractmethod
    def name(self) -> str:
        """The name that the config calls it by."""

    @property
    def needs_secret(self) -> bool:
        """Whether the config must give a ``secret`` with it."""
        return True

    @property
    def learns_secret(self) -> bool:
        """Whether the sender hands the secret over in a handshake where the config gives none."""
        return False

    @property
    def signs_url(self) -> bool:
        """Whether the URL that the sender called is part of what it signs."""
        return False

    @property
    def credential_headers(self) -> frozenset[str]:
        """Headers (lower case) that hold the secret itself, to be left out of what is stored."""
        return frozenset()

    @property
    def credential_query(self) -> frozenset[str]:
        """Query parameters that hold the secret itself."""
        return frozenset()

    @property
    def acknowledgement(self) -> Acknowledgement:
        return USUAL

    @property
    def body_type(self) -> str:
        """The media type of its bodies, where their own Content-Type does not say it; or empty."""
        return ""

    @property
    def handshake(self) -> Handshake | None:
        """How the sender checks the address before it uses it."""
        return None

    @property
    def replayable(self) -> bool:
        """Whether a captured request could be sent again as another delivery: the proof covers
        neither its id nor its time. Such deliveries are told by the hash of their body as well."""
        return False

    @property
    def timed(self) -> bool:
        """Whether a time is signed: a request is believed for a while, and sent again during that
        it is told by what was signed, where it has no id."""
        return False

    @abstractmethod
    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        """None when the request proves itself with any of ``secrets``. Never raises, whatever the
        request holds; without a usable secret nothing is believed."""

    def secret_fault(self, secret: Secret) -> str:
        """Why no request could ever prove itself with ``secret``, as how it should look: "it should
        be …". Empty where it can be used. Says nothing of the value, and never raises."""
        return UNGUESSABLE if is_blank(secret) else ""

    def needs(self, request: Request) -> str | None:
        """The URL of what must be fetched before the request can be verified, a certificate say;
        None for nothing. Its host is one that the scheme trusts, whoever sent the request."""
        return None

    def signed_part(self, request: Request) -> bytes:
        """Of a request what stays the same however it is sent again; empty where there is nothing
        such."""
        return request.body

    def without_secret(self, body: bytes) -> bytes:
        """The body as it may be stored and shown: without the secret, where that is in it."""
        return body

    def delivery_id(self, request: Request, body: object) -> str | None:
        """The sender's own id of this delivery, or None where it names none. ``body`` is the
        request's, parsed."""
        return None

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        """The headers with which a sender that knows ``secret`` would prove itself; ``path`` is
        the whole URL where that is signed.

        Empty where the proof is not in the headers. Raises SchemeError for an unusable secret, and
        where only the sender can sign.
        """
        return {}


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
