"""Senders that sign by ed25519, so that the secret of the config is a public key: Discord, and
Standard Webhooks beside its HMAC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import ClassVar

from daemon.secret import Secret
from daemon.signatures.body_field import text_at
from daemon.signatures.freshness import check_unix_time, require_positive
from daemon.signatures.handshake import Handshake
from daemon.signatures.handshakes import DiscordPing
from daemon.signatures.hmac_scheme import SIGNATURES_MAX, HmacScheme
from daemon.signatures.public_keys import (
    base64_bytes,
    base64_ed25519,
    hex_ed25519,
    no_public_key,
)
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Acknowledgement, Scheme, SchemeError, octets

_DISCORD_HEADER = "x-signature-ed25519"
_DISCORD_TIME_HEADER = "x-signature-timestamp"
_DISCORD_KEY_FORM = "it should be the application's public key, 64 hex digits"
_HEX_SIGNATURE = re.compile(r"[0-9A-Fa-f]{128}")

_PUBLIC_KEY_PREFIX = "whpk_"
_PUBLIC_KEY_FORM = f"it should be {_PUBLIC_KEY_PREFIX} and the base64 of 32 bytes"
_SIGNATURE = re.compile(r"(?:^|[\s,])v1a,([^\s,]+)")


@dataclass(frozen=True, slots=True)
class DiscordScheme(Scheme):
    """``X-Signature-Ed25519``, hex, over ``X-Signature-Timestamp`` and the body; the secret is the
    application's public key, 64 hex digits. A time further than ``tolerance`` from now, in either
    direction, is refused.

    Confirmed against the package ``discord-interactions`` 0.4.0, which checks no time.
    https://docs.discord.com/developers/events/webhook-events

    Raises SchemeError for a tolerance that is not positive.
    """

    tolerance: timedelta = timedelta(minutes=5)

    timed: ClassVar[bool] = True
    name: ClassVar[str] = "discord"
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement(
        # For webhook events. An interaction waits for a message of the app's: only the trigger's
        # own `response` can say which.
        204,
        "",
    )

    def __post_init__(self) -> None:
        require_positive(self.tolerance)

    @property
    def handshake(self) -> Handshake:
        return DiscordPing()

    def signed_part(self, request: Request) -> bytes:
        return octets(request.headers.get(_DISCORD_TIME_HEADER, "")) + request.body

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        checks = [check for secret in secrets if (check := hex_ed25519(secret))]
        if not checks:
            return no_public_key(secrets, _DISCORD_KEY_FORM)
        received = request.headers.get(_DISCORD_HEADER)
        if received is None:
            return Mismatch(
                f"the header {_DISCORD_HEADER} is missing", "Discord signs every request"
            )
        if not _HEX_SIGNATURE.fullmatch(received):
            return Mismatch(
                f"the header {_DISCORD_HEADER} holds no signature", "it should be 128 hex digits"
            )
        if mismatch := check_unix_time(_DISCORD_TIME_HEADER, request, now, self.tolerance):
            return mismatch
        message = self.signed_part(request)
        if not any(check(bytes.fromhex(received), message) for check in checks):
            references = ", ".join(secret.reference for secret in secrets)
            return Mismatch(
                "the signature does not match",
                f"if Discord sent it, {references} is the key of another application. Discord "
                "sends wrong signatures on purpose at times, to see them refused",
            )
        return None

    def secret_fault(self, secret: Secret) -> str:
        return "" if hex_ed25519(secret) else _DISCORD_KEY_FORM

    def delivery_id(self, request: Request, body: object) -> str | None:
        """The interaction's ``id``; webhook events have none."""
        return text_at(body, "id")

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        raise SchemeError("only Discord can sign: the secret is its public key", "scheme")


@dataclass(frozen=True, slots=True)
class StandardWebhooksScheme(Scheme):
    """Standard Webhooks: what ``hmac`` says of the secrets that are keys of an HMAC, and of those
    that begin with ``whpk_``, ed25519 over ``{id}.{timestamp}.{body}`` in ``v1a,`` signatures of
    the same header, with the same id, time and tolerance.

    ``whpk_`` is followed by the base64 of the 32 bytes. From the specification, no SDK verifies
    ``v1a`` (``standardwebhooks`` 1.1.0 passes over it).
    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    name: str = field()  # Without this, what the base class has of that name is the default.
    hmac: HmacScheme = field()

    @property
    def handshake(self) -> Handshake | None:
        return self.hmac.handshake

    @property
    def acknowledgement(self) -> Acknowledgement:
        return self.hmac.acknowledgement

    @property
    def replayable(self) -> bool:
        return self.hmac.replayable

    @property
    def signs_url(self) -> bool:
        return self.hmac.signs_url

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        public = [secret for secret in secrets if _is_public(secret)]
        shared = self.shared(secrets)
        if not public:
            return self.hmac.verify(request, shared, now)
        mismatch = self._verify_public(request, public, now)
        if mismatch is None or not shared:
            return mismatch
        by_hmac = self.hmac.verify(request, shared, now)
        # Of the two refusals, that of the kind of signature that the sender gave.
        return mismatch if by_hmac and self._signatures(request) else by_hmac

    def shared(self, secrets: Sequence[Secret]) -> list[Secret]:
        """Those of ``secrets`` that are for ``hmac``."""
        return [secret for secret in secrets if not _is_public(secret)]

    def _signatures(self, request: Request) -> list[str]:
        found = _SIGNATURE.finditer(request.headers.get(self.hmac.header, ""))
        return [one[1] for one in islice(found, SIGNATURES_MAX)]

    def _verify_public(
        self, request: Request, secrets: Sequence[Secret], now: datetime
    ) -> Mismatch | None:
        checks = [
            check for secret in secrets if (check := base64_ed25519(secret, _PUBLIC_KEY_PREFIX))
        ]
        if not checks:
            return no_public_key(secrets, _PUBLIC_KEY_FORM)
        header, id_header = self.hmac.header, self.hmac.delivery_header
        if header not in request.headers:
            return Mismatch(f"the header {header} is missing", "it holds the signatures")
        received = self._signatures(request)
        if not received:
            return Mismatch(
                f"the header {header} holds no signature that begins with 'v1a,'",
                "a key that begins with whpk_ is for those; for 'v1,' it takes the sender's "
                "whsec_ secret",
            )
        id_ = request.headers.get(id_header, "")
        if not id_:
            return Mismatch(f"the header {id_header} is missing", "the id is signed too")
        # Else who holds a genuine request could have the id end elsewhere.
        if "." in id_:
            return Mismatch(
                f"the header {id_header} holds '.', which parts it from the rest of what is signed",
                "such a request could pass for another one; see what the sender puts there",
            )
        if mismatch := check_unix_time(
            self.hmac.timestamp_header, request, now, self.hmac.tolerance
        ):
            return mismatch
        time = request.headers[self.hmac.timestamp_header]
        message = octets(f"{id_}.{time}.") + request.body
        signatures = [base64_bytes(one) for one in received]
        if not any(check(one, message) for check in checks for one in signatures):
            references = ", ".join(secret.reference for secret in secrets)
            return Mismatch(
                "the signature does not match",
                f"either {references} is not the sender's key, or the body was rewritten on its "
                "way",
            )
        return None

    def secret_fault(self, secret: Secret) -> str:
        if _is_public(secret):
            return "" if base64_ed25519(secret, _PUBLIC_KEY_PREFIX) else _PUBLIC_KEY_FORM
        return self.hmac.secret_fault(secret)

    def delivery_id(self, request: Request, body: object) -> str | None:
        return self.hmac.delivery_id(request, body)

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        if _is_public(secret):
            raise SchemeError("only the sender can sign: the secret is its public key", "scheme")
        return self.hmac.sign(body, secret, now, method=method, path=path)


def _is_public(secret: Secret) -> bool:
    return secret.reveal().lstrip().startswith(_PUBLIC_KEY_PREFIX)
