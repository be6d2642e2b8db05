"""SendGrid's Event Webhook: ECDSA over the time and the body, so that the secret of the config is a
public key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from daemon.secret import Secret
from daemon.signatures.batches import batch_id
from daemon.signatures.freshness import check_unix_time, require_positive
from daemon.signatures.public_keys import base64_bytes, der_p256, no_public_key
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Scheme, SchemeError, octets

_HEADER = "x-twilio-email-event-webhook-signature"
_TIME_HEADER = "x-twilio-email-event-webhook-timestamp"
_KEY_FORM = "it should be the verification key as SendGrid shows it, in base64"


@dataclass(frozen=True, slots=True)
class SendgridScheme(Scheme):
    """``X-Twilio-Email-Event-Webhook-Signature``: ECDSA on P-256 over SHA-256, in base64 of DER.
    The secret is the verification key that SendGrid shows.

    A time further than ``tolerance`` from now, in either direction, is refused. It is a day, as
    long as SendGrid tries again: nothing says that a later try is signed anew, and what is younger
    is told by its signed ids.

    Confirmed against the vendor's SDK ``sendgrid`` 6.12.5 (``EventWebhook``), which checks no time.
    https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features

    Raises SchemeError for a tolerance that is not positive.
    """

    tolerance: timedelta = timedelta(hours=24)

    timed: ClassVar[bool] = True
    name: ClassVar[str] = "sendgrid"

    def __post_init__(self) -> None:
        require_positive(self.tolerance)

    def signed_part(self, request: Request) -> bytes:
        return octets(request.headers.get(_TIME_HEADER, "")) + request.body

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        checks = [check for secret in secrets if (check := der_p256(secret))]
        if not checks:
            return no_public_key(secrets, _KEY_FORM)
        received = request.headers.get(_HEADER)
        if received is None:
            return Mismatch(
                f"the header {_HEADER} is missing",
                "turn the Signed Event Webhook on at SendGrid",
            )
        signature = base64_bytes(received)
        if not signature:
            return Mismatch(f"the header {_HEADER} holds no signature", "it should be base64")
        if mismatch := check_unix_time(_TIME_HEADER, request, now, self.tolerance):
            return mismatch
        message = self.signed_part(request)
        if not any(check(signature, message) for check in checks):
            references = ", ".join(secret.reference for secret in secrets)
            return Mismatch(
                "the signature does not match",
                f"either {references} is the key of another webhook, or the body was rewritten on "
                "its way",
            )
        return None

    def secret_fault(self, secret: Secret) -> str:
        return "" if der_p256(secret) else _KEY_FORM

    def delivery_id(self, request: Request, body: object) -> str | None:
        """A hash of the ``sg_event_id`` of all events, in their order."""
        return batch_id(body, "sg_event_id")

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        raise SchemeError("only SendGrid can sign: the secret is its public key", "scheme")
