"""Twilio: an HMAC over the URL that it called and the form fields that it sent, or the hash of a
JSON body that the URL holds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from daemon.secret import Secret
from daemon.signatures.keys import KeyEncoding, shared_keys, signing_key
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import (
    Acknowledgement,
    Scheme,
    SchemeError,
    equals_any,
    no_secret,
    octets,
)

FORM_SIZE_MAX = 1024 * 1024
"""Bytes of form that are read before anything is proved. Twilio's are a few thousand long."""

FORM_FIELDS_MAX = 1000

_HEADER = "x-twilio-signature"
_SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"
_ALGORITHMS: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {"HMAC_SHA1": hashlib.sha1, "HMAC_SHA256": hashlib.sha256}
)

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[^/?#]*?)(?P<port>:[0-9]+)?(?=[/?#]|$)", re.IGNORECASE
)
_BODY_HASH = re.compile(r"[?&]bodySHA256=([^&#]*)")

_FORM = "application/x-www-form-urlencoded"

_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'


@dataclass(frozen=True, slots=True)
class TwilioScheme(Scheme):
    """``X-Twilio-Signature``, with the account's auth token as the secret (of a request that names
    a signing key in its settings header, the secret of that key).

    It signs neither a time nor an id, and runs names and values together: one signature fits
    several splits of the same text.

    Confirmed against the vendor's SDK ``twilio`` 9.13.0 (``RequestValidator``), with one
    difference: a body that is no form, and whose hash the URL does not hold, is refused.
    https://www.twilio.com/docs/usage/webhooks/webhooks-security
    """

    name: ClassVar[str] = "twilio"
    replayable: ClassVar[bool] = True
    signs_url: ClassVar[bool] = True
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement(
        # Calls and messages are answered in TwiML, and JSON is error 12300; empty means to do
        # nothing. https://www.twilio.com/docs/api/errors/12300
        200,
        _TWIML,
        "text/xml; charset=utf-8",
    )

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        keys = shared_keys(secrets)
        if not keys:
            return no_secret(secrets)
        received = request.headers.get(_HEADER)
        if received is None:
            return Mismatch(f"the header {_HEADER} is missing", "Twilio signs every request")
        if not request.url:
            return Mismatch(
                "the URL that Twilio called is not known, and it is what Twilio signs",
                "set `public_url` in DAEMON.yaml to the address that Twilio calls",
            )
        algorithm = _algorithm(request.headers.get(_SETTINGS_HEADER, ""))
        if algorithm is None:
            return Mismatch(
                f"the header {_SETTINGS_HEADER} names an algorithm that is not known",
                f"known are {' and '.join(_ALGORITHMS)}",
            )
        fields = _signed_fields(request)
        if isinstance(fields, Mismatch):
            return fields
        expected = [
            _signature(key, url, fields, algorithm) for key in keys for url in _urls(request.url)
        ]
        if not equals_any(octets(received), expected):
            references = ", ".join(secret.reference for secret in secrets)
            return Mismatch(
                "the signature does not match",
                f"either {references} is not the account's auth token, or Twilio called another "
                "URL than `public_url` in DAEMON.yaml and the trigger's path make up",
            )
        return None

    def signed_part(self, request: Request) -> bytes:
        # Of a form the decoded fields are signed, so that its bytes may differ.
        return octets(request.headers.get(_HEADER, ""))

    def delivery_id(self, request: Request, body: object) -> str | None:
        return request.headers.get("i-twilio-idempotency-token", "").strip() or None

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        """``body`` is a form, or JSON whose hash the URL ``path`` holds as ``bodySHA256``."""
        key = signing_key(KeyEncoding.UTF8.key(secret), secret)
        form = {"content-type": _FORM}
        headers = {} if _BODY_HASH.search(path) else form
        fields = _signed_fields(Request(method, path, headers, {}, body, path))
        if isinstance(fields, Mismatch):
            raise SchemeError(str(fields), "scheme")
        return {_HEADER: _signature(key, path, fields, hashlib.sha1).decode()}


def _algorithm(settings: str) -> Callable[[], Any] | None:
    """The hash that ``key=…,algorithm=…`` names: SHA-1 where none is, None for an unknown one."""
    for part in settings.split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return _ALGORITHMS.get(value.strip().upper())
    return hashlib.sha1


def _signed_fields(request: Request) -> list[tuple[str, str]] | Mismatch:
    """The form's fields, each different one once, in the order in which they are signed; or why
    the signature could say nothing about the body."""
    named = _BODY_HASH.search(request.url)
    if named and not equals_any(
        octets(named[1]), [hashlib.sha256(request.body).hexdigest().encode()]
    ):
        return Mismatch(
            "the body is not the one whose hash is in the URL, as bodySHA256",
            "let no proxy or editor rewrite the body",
        )
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM:
        if request.body and not named:
            return Mismatch(
                "the body is not signed: it is no form, and the URL does not hold its bodySHA256",
                f"a form's content type is {_FORM}, and this one's is {media_type[:80]!r}; "
                "if Twilio sent it, something on the way changed that, or took bodySHA256 out of "
                "the query",
            )
        return []
    if len(request.body) > FORM_SIZE_MAX:
        return Mismatch(
            f"the form is longer than {FORM_SIZE_MAX} bytes", "Twilio's are a few thousand long"
        )
    try:
        pairs = parse_qsl(
            request.body.decode("utf-8", "surrogateescape"),
            keep_blank_values=True,
            max_num_fields=FORM_FIELDS_MAX,
            errors="replace",
        )
    except ValueError:
        return Mismatch(f"the form has more than {FORM_FIELDS_MAX} fields", "Twilio's have fewer")
    return sorted(set(pairs))


def _urls(url: str) -> Iterator[str]:
    """``url`` with and without its port: which one Twilio signs depends on what it calls."""
    yield url
    origin = _ORIGIN.match(url)
    if origin:
        default = ":443" if origin["scheme"].lower() == "https" else ":80"
        port = "" if origin["port"] else default
        yield f"{origin['scheme']}://{origin['host']}{port}{url[origin.end() :]}"


def _signature(
    key: bytes, url: str, fields: Sequence[tuple[str, str]], algorithm: Callable[[], Any]
) -> bytes:
    signed = url + "".join(name + value for name, value in fields)
    return base64.b64encode(hmac.digest(key, octets(signed), algorithm))
