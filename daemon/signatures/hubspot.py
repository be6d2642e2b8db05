"""HubSpot's signature, version 3: an HMAC over the method, the URL that it called, the body and the
time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import unquote

from daemon.secret import Secret
from daemon.signatures.freshness import check_unix_time, require_positive
from daemon.signatures.keys import KeyEncoding, shared_keys, signing_key
from daemon.signatures.request import URL, Mismatch, Request
from daemon.signatures.scheme import Scheme, equals_any, no_secret, octets

_HEADER = "x-hubspot-signature-v3"
_TIME_HEADER = "x-hubspot-request-timestamp"

_DECODED = re.compile("%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""Those escapes that HubSpot takes back before it signs: of ``: / ? @ ! $ ' ( ) * , ;``."""


@dataclass(frozen=True, slots=True)
class HubspotScheme(Scheme):
    """``X-HubSpot-Signature-v3``, with the app's client secret. A time further than ``tolerance``
    from now, in either direction, is refused.

    Confirmed against the vendor's SDK ``hubspot-api-client`` 12.0.0 (``Signature``); the escapes
    that are taken back, which the SDK leaves to its caller, from the documentation.
    https://developers.hubspot.com/docs/guides/apps/authentication/validating-requests

    Raises SchemeError for a tolerance that is not positive.
    """

    tolerance: timedelta = timedelta(minutes=5)

    timed: ClassVar[bool] = True
    name: ClassVar[str] = "hubspot"
    signs_url: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_positive(self.tolerance)

    def signed_part(self, request: Request) -> bytes:
        return octets(request.headers.get(_TIME_HEADER, "")) + request.body

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        keys = shared_keys(secrets)
        if not keys:
            return no_secret(secrets)
        received = request.headers.get(_HEADER)
        if received is None:
            return Mismatch(
                f"the header {_HEADER} is missing", "older signatures of HubSpot prove no time"
            )
        if not request.url:
            return Mismatch(
                "the URL that HubSpot called is not known, and it is signed too",
                "set `public_url` in DAEMON.yaml to the address that HubSpot calls",
            )
        # Nothing parts the URL from the body, so that a captured body could pass for more query.
        if not URL.fullmatch(request.url):
            return Mismatch("the URL holds characters that no URL has", "HubSpot escapes them")
        if mismatch := check_unix_time(
            _TIME_HEADER, request, now, self.tolerance, milliseconds=True
        ):
            return mismatch
        if not equals_any(octets(received), [_signature(key, request) for key in keys]):
            references = ", ".join(secret.reference for secret in secrets)
            return Mismatch(
                "the signature does not match",
                f"either {references} is not the app's client secret, or HubSpot called another "
                "URL than `public_url` in DAEMON.yaml and the trigger's path make up, or the body "
                "was rewritten on its way",
            )
        return None

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        key = signing_key(KeyEncoding.UTF8.key(secret), secret)
        time = {_TIME_HEADER: str(int(now.timestamp() * 1000))}
        request = Request(method, path, time, {}, body, path)
        return time | {_HEADER: _signature(key, request).decode()}


def _signature(key: bytes, request: Request) -> bytes:
    mac = hmac.new(key, digestmod=hashlib.sha256)
    mac.update(octets(request.method.upper()))
    mac.update(octets(_DECODED.sub(lambda escape: unquote(escape[0]), request.url)))
    mac.update(request.body)
    mac.update(octets(request.headers[_TIME_HEADER]))
    return base64.b64encode(mac.digest())
