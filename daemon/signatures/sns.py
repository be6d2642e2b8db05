"""Amazon SNS: messages that name the certificate which they are signed with, on a host of
Amazon's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

import orjson

from daemon.secret import Secret
from daemon.signatures.body_field import text_at
from daemon.signatures.freshness import check_age, require_positive
from daemon.signatures.handshake import Handshake
from daemon.signatures.handshakes import SnsConfirmation
from daemon.signatures.public_keys import base64_bytes
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Scheme, SchemeError

_ARN = re.compile(r"arn:aws[a-z-]{0,20}:sns:[a-z0-9-]{1,40}:[0-9]{12}:[A-Za-z0-9_-]{1,256}")

_CERTIFICATE_URL = re.compile(
    r"https://sns\.[a-z]{2}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?"
    r"/[A-Za-z0-9_-]{1,200}\.pem"
)
"""Matched as a whole. A region has a shape: with anything in its place, a bucket named ``sns``
would do, at ``sns.s3-us-west-2.amazonaws.com``."""

_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")

_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED: Mapping[str, Sequence[str]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
"""By type, what is signed, in this order. A message without a subject is signed without it."""

_BODY_SIZE_MAX = 512 * 1024
"""Bytes. A message has at most 256 KB, and few characters of it are escaped as a rule."""

_KEY_SIZE_MIN = 2048


@dataclass(frozen=True, slots=True)
class SnsScheme(Scheme):
    """A message of the topic ``topic_arn``, signed by RSA with SHA-1 (``SignatureVersion`` 1, the
    default of AWS) or SHA-256 (2).

    The certificate is fetched from where the message says, if that is a host of SNS's: who can
    serve a file there over TLS is Amazon, so its chain is not looked at, as AWS's own validator
    does not. Its key and its time of validity are. Every topic of every customer is signed with
    the same certificate, so the topic is part of the proof.

    A time further than ``tolerance`` from now, in either direction, is refused. SNS tries again
    for at most an hour and keeps the signed time; five minutes are for the clocks. Younger replays
    are told by the signed ``MessageId``.

    What is not signed: ``MessageAttributes``, ``UnsubscribeURL`` and whatever else the body holds.

    Confirmed against the vendor's SDK ``sns-validator`` 0.3.5 for JavaScript.
    https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
    https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html

    Raises SchemeError for what is no topic's ARN, and for a tolerance that is not positive.
    """

    topic_arn: str
    tolerance: timedelta = timedelta(minutes=65)

    name: ClassVar[str] = "sns"
    needs_secret: ClassVar[bool] = False
    body_type: ClassVar[str] = "application/json"
    """SNS sends JSON as ``text/plain``."""

    def __post_init__(self) -> None:
        if not _ARN.fullmatch(self.topic_arn):
            raise SchemeError(
                f"`topic_arn` is not the ARN of a topic: {self.topic_arn!r:.300}; it should be "
                "like arn:aws:sns:us-east-1:123456789012:alarms",
                "topic_arn",
            )
        require_positive(self.tolerance)

    @property
    def handshake(self) -> Handshake:
        return SnsConfirmation()

    def needs(self, request: Request) -> str | None:
        """The URL of the certificate, for a message that is of this topic as it says."""
        message = self._message(request)
        if isinstance(message, Mismatch) or isinstance(_canonical(message), Mismatch):
            return None
        # Anybody may have sent it: what is fetched for it is in the topic's own region.
        url = _certificate_url(message)
        region = self.topic_arn.split(":")[3]
        if isinstance(url, Mismatch) or not url.startswith(f"https://sns.{region}.amazonaws."):
            return None
        return url

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        message = self._message(request)
        if isinstance(message, Mismatch):
            return message
        url = _certificate_url(message)
        if isinstance(url, Mismatch):
            return url
        canonical = _canonical(message)
        if isinstance(canonical, Mismatch):
            return canonical
        if mismatch := self._check_time(message["Timestamp"], now):
            return mismatch
        if url not in request.fetched:
            return Mismatch(
                f"the certificate could not be fetched from {url}",
                "see that this machine reaches that host by HTTPS; SNS will try again",
            )
        return _check_signature(message, canonical, request.fetched[url], now)

    def _message(self, request: Request) -> Mapping[str, Any] | Mismatch:
        if request.headers.get("x-amz-sns-rawdelivery", "").lower() == "true":
            return Mismatch(
                "raw message delivery is on, and such messages are not signed",
                "turn RawMessageDelivery off in the subscription",
            )
        try:
            body = orjson.loads(request.body if len(request.body) <= _BODY_SIZE_MAX else b"")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return Mismatch(
                "the body is no message of SNS's", "it should be a JSON object of at most 512 KiB"
            )
        if body.get("TopicArn") != self.topic_arn:
            return Mismatch(
                f"the message is not of the topic {self.topic_arn}",
                "any AWS customer can send messages of another topic here; if it is yours, mend "
                "`topic_arn`",
            )
        return body

    def _check_time(self, text: str, now: datetime) -> Mismatch | None:
        try:
            moment = datetime.fromisoformat(text) if _TIMESTAMP.fullmatch(text) else None
        except ValueError:
            moment = None
        if moment is None:
            return Mismatch(
                "the Timestamp is no time", "it should be like 2026-01-02T03:04:05.678Z"
            )
        return check_age("the Timestamp", now - moment, self.tolerance)

    def delivery_id(self, request: Request, body: object) -> str | None:
        return text_at(body, "MessageId")

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        raise SchemeError("only AWS can sign for SNS", "scheme")


def _certificate_url(message: Mapping[str, Any]) -> str | Mismatch:
    url = message.get("SigningCertURL")
    if isinstance(url, str) and _CERTIFICATE_URL.fullmatch(url):
        return url
    return Mismatch(
        "the SigningCertURL is not on a host of SNS's",
        "it should be like https://sns.us-east-1.amazonaws.com/SimpleNotificationService-….pem; "
        "if SNS sent it otherwise, something on the way rewrites the message",
    )


def _canonical(message: Mapping[str, Any]) -> bytes | Mismatch:
    """The bytes that are signed: each field's name and value, on a line each."""
    kind = message.get("Type")
    keys = _SIGNED.get(kind) if isinstance(kind, str) else None
    if keys is None:
        return Mismatch("the Type is none that SNS sends", f"known are {', '.join(_SIGNED)}")
    lines = []
    for key in keys:
        value = message.get(key)
        if value is None and key == "Subject":
            continue
        if not isinstance(value, str):
            return Mismatch(f"the field {key} is missing or no text", "SNS always sends it")
        lines += [key, value]
    return "".join(f"{line}\n" for line in lines).encode()


def _check_signature(
    message: Mapping[str, Any], canonical: bytes, pem: bytes, now: datetime
) -> Mismatch | None:
    # Here, since most configs have no use for it, and it takes as long to import as all schemes.
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return Mismatch("what was fetched as the certificate is none", "SNS will try again")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return Mismatch(
            "the certificate is expired or not valid yet", "see that this machine's clock is right"
        )
    if not isinstance(key, RSAPublicKey) or key.key_size < _KEY_SIZE_MIN:
        return Mismatch("the certificate's key is not RSA of 2048 bits or more", "SNS's is")
    version = message.get("SignatureVersion")
    if version not in ("1", "2"):
        return Mismatch("the SignatureVersion is not known", "known are 1 and 2")
    try:
        key.verify(
            base64_bytes(str(message.get("Signature"))),
            canonical,
            PKCS1v15(),
            SHA1() if version == "1" else SHA256(),  # noqa: S303 - AWS's default
        )
    except (InvalidSignature, UnsupportedAlgorithm):
        return Mismatch(
            "the signature does not match", "let no proxy or editor rewrite the message"
        )
    return None
