"""Netlify: a JSON Web Signature in a header, whose claims hold the hash of the body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from daemon.secret import Secret
from daemon.signatures.keys import KeyEncoding, shared_keys, signing_key
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Scheme, equals_any, no_secret, octets

_HEADER = "x-webhook-signature"
_LEEWAY = 60
"""Seconds by which two clocks may differ, RFC 7519, 4.1.4."""


@dataclass(frozen=True, slots=True)
class NetlifyScheme(Scheme):
    """``X-Webhook-Signature``: a JWS (RFC 7515) in compact form, by HS256 and nothing else, with
    the secret that is set beside the notification. Its claims are ``iss``, always ``netlify``, and
    ``sha256``, the body's in hex; ``exp``, ``nbf`` and ``iat`` count where they are there.

    From the vendor's documentation, not confirmed against an SDK, which has no verifier.
    https://docs.netlify.com/deploy/deploy-notifications/#payload-signature
    """

    name: ClassVar[str] = "netlify"
    replayable: ClassVar[bool] = True

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        keys = shared_keys(secrets)
        if not keys:
            return no_secret(secrets)
        token = request.headers.get(_HEADER)
        if token is None:
            return Mismatch(
                f"the header {_HEADER} is missing",
                "give the notification a JWS secret token at Netlify",
            )
        parts = octets(token).split(b".")
        if len(parts) != 3:
            return Mismatch(
                f"the header {_HEADER} holds no JWS", "it should be three parts, with dots between"
            )
        header, payload, signature = parts
        signed = header + b"." + payload
        if not equals_any(signature, [_signature(key, signed) for key in keys]):
            references = ", ".join(secret.reference for secret in secrets)
            return Mismatch(
                "the signature does not match",
                f"Netlify has another JWS secret token than {references}",
            )
        return _check_header(_object(header)) or _check_claims(_object(payload), request.body, now)

    def sign(
        self, body: bytes, secret: Secret, now: datetime, *, method: str = "POST", path: str = "/"
    ) -> dict[str, str]:
        key = signing_key(KeyEncoding.UTF8.key(secret), secret)
        claims = {"iss": "netlify", "sha256": hashlib.sha256(body).hexdigest()}
        signed = b".".join(
            _base64url(json.dumps(part, separators=(",", ":")).encode())
            for part in ({"alg": "HS256", "typ": "JWT"}, claims)
        )
        return {_HEADER: (signed + b"." + _signature(key, signed)).decode()}


def _base64url(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def _signature(key: bytes, signed: bytes) -> bytes:
    return _base64url(hmac.digest(key, signed, hashlib.sha256))


def _object(part: bytes) -> Mapping[str, Any]:
    """The JSON object that a part of the token encodes; empty where it is none."""
    try:
        value = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _check_header(header: Mapping[str, Any]) -> Mismatch | None:
    if header.get("alg") != "HS256":
        return Mismatch("the JWS is not by HS256", "Netlify signs by no other algorithm")
    # RFC 7515, 4.1.11: what is critical and not understood must be refused.
    if "crit" in header:
        return Mismatch("the JWS has critical extensions", "Netlify's has none")
    return None


def _check_claims(claims: Mapping[str, Any], body: bytes, now: datetime) -> Mismatch | None:
    if claims.get("iss") != "netlify":
        return Mismatch(
            "the JWS is not by Netlify: its claim `iss` says otherwise",
            "another service has the same secret; give each one of its own",
        )
    digest = claims.get("sha256")
    expected = hashlib.sha256(body).hexdigest().encode()
    if not isinstance(digest, str) or not equals_any(octets(digest.lower()), [expected]):
        return Mismatch(
            "the body is not the one whose hash is signed",
            "let no proxy or editor rewrite the body",
        )
    moment = now.timestamp()
    soon = moment + _LEEWAY
    for claim, earliest, latest in (
        ("exp", moment - _LEEWAY, math.inf),
        ("nbf", -math.inf, soon),
        ("iat", -math.inf, soon),
    ):
        time = claims.get(claim, soon)
        if type(time) not in (int, float) or not earliest < time <= latest:
            return Mismatch(
                f"the JWS does not hold now: see its claim `{claim}`",
                "it is expired, or a clock is wrong, here or at Netlify",
            )
    return None
