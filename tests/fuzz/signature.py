"""Every scheme, with any parameters, on any request. The first line is the ``auth`` object as JSON,
then ``SIGNED`` where the request is to be signed before its body is changed; the headers may hold
``:method``, ``:path``, ``:url`` and ``:query`` as well, and ``:wrong`` to be put after the body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from msgspec.structs import replace

from daemon.body import parse_body
from daemon.errors import Refused
from daemon.secret import Secret
from daemon.signatures import SCHEMES, Mismatch, Request, Scheme, SchemeError, explain, parse
from daemon.signatures.hmac_scheme import HmacScheme
from tests.fuzz.message import Message

NOW = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp())).encode()
SIGNED = "SIGNED"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
REQUIRED: Mapping[str, Mapping[str, str]] = {
    "hmac": {"header": "x-signature"},
    "basic": {"username": "sender"},
    "sns": {"topic_arn": TOPIC},
}
"""Parameters that some schemes need, where none are given."""

TEXT = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""A secret that is text and Base64."""
KEYS = (
    TEXT,
    f"whsec_{TEXT}",
    "whpk_XPXAmVvqaCSDPkpQ+FZlPVfYRNTV0AMyQ7S3eAKYxO8=",
    "5cf5c0995bea6824833e4a50f856653d57d844d4d5d0033243b4b7780298c4ef",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+"
    "2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
)
"""Those, and public keys of the schemes that have some."""
SECRETS = [Secret(text, "env:SECRET") for text in KEYS]

WORDS = (
    *(f'{{"scheme": "{name}"}}'.encode() for name in sorted(SCHEMES)),
    b"SIGNED", b":wrong: x", b":method: GET", b":path: /a", b":query: token=", b":url: https://a/b",
    b'"header": "', b'"prefix": "v1="', b'"signed": "{timestamp}.{body}"', b'"{id}{body}{url}"',
    b'"timestamp_header": "x-t"', b'"timestamp_prefix": "t="', b'"timestamp_field": "a.b"',
    b'"delivery_header": "x-d"', b'"delivery_field": "id"', b'"tolerance": 300', b'"algorithm":',
    b'"sha512"', b'"encoding": "base64"', b'"key_encoding": "hex"', b'"key_prefix": "whsec_"',
    b"t=" + STAMP, b"v1=", b"v1a,", b"sha256=", b"authorization: Bearer ", b"Basic c2VuZGVyOg==",
    b"x-hub-signature-256: ", b"stripe-signature: ", b"x-twilio-signature: ", b"webhook-id: ",
    b"x-signature-ed25519: ", b"x-webhook-signature: eyJhbGciOiJIUzI1NiJ9.e30.", b"bodySHA256=",
    b"x-hubspot-signature-v3: ", b"x-hubspot-request-timestamp: " + STAMP + b"000", b"\xff", b",",
    b"content-type: application/x-www-form-urlencoded", b'"SigningCertURL": "https://sns.', b"%",
    b'"SignatureVersion": "2"', b'"Type": "Notification"', b'"value": [{"clientState": "', b"\0",
    b'{"challenge": "a", "type": "url_verification"}', b'"plainToken"', b"x-hook-secret: ",
    b"hub.mode=subscribe&hub.challenge=1", b"validationToken=", b"x-amz-sns-message-type: ",
)  # fmt: skip


def run(data: bytes) -> None:
    """Raises where a request is believed whose signed body was changed, where a secret is told, and
    for whatever else is not SchemeError or Refused."""
    message = Message.parse(data)
    scheme = scheme_of(message.first.removesuffix(SIGNED))
    if scheme is None:
        return
    headers = dict(message.headers)
    control = {name: headers.pop(name) for name in list(headers) if name.startswith(":")}
    headers.pop("", None)
    body, url = message.body, control.get(":url", "")
    if message.first.endswith(SIGNED):
        headers |= _signed(scheme, body, control.get(":method", "POST"), url or "/a")
    wrong = control.get(":wrong", "").encode("utf-8", "surrogateescape")
    query = dict(parse_qsl(control.get(":query", ""), errors="surrogateescape"))
    method, path = control.get(":method", "POST"), control.get(":path", "/a")
    request = Request(method, path, headers, query, body + wrong, url)
    needed = scheme.needs(request)
    if needed is not None:
        assert needed.startswith("https://sns."), needed
        request = replace(request, fetched={needed: body})
    mismatch = scheme.verify(request, SECRETS, NOW)
    check(mismatch)
    if mismatch is not None:
        check(explain(scheme, request, SECRETS, NOW))
    elif wrong and message.first.endswith(SIGNED) and isinstance(scheme, HmacScheme):
        genuine = replace(request, body=body)
        assert scheme.verify(genuine, SECRETS, NOW) is not None, "believed with two bodies"
    assert scheme.verify(request, [], NOW) is not None or scheme.name in ("none", "sns")
    _greeted(scheme, request)


def scheme_of(text: str) -> Scheme | None:
    """What the config would make of the ``auth`` object; None where it would not take it."""
    try:
        auth = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(auth, dict):
        return None
    given = _with_required(auth)
    if isinstance(seconds := given.get("tolerance"), int) and abs(seconds) < 10**9:
        given["tolerance"] = timedelta(seconds=seconds)
    try:
        return parse(given)
    except SchemeError as error:
        check_words(error.message)
        return None


def _with_required(auth: Mapping[str, Any]) -> dict[str, Any]:
    return {**REQUIRED.get(str(auth.get("scheme")), {}), **auth}


def _signed(scheme: Scheme, body: bytes, method: str, url: str) -> dict[str, str]:
    try:
        return scheme.sign(body, SECRETS[0], NOW, method=method, path=url)
    except SchemeError:
        return {}


def _greeted(scheme: Scheme, request: Request) -> None:
    """The handshakes, and the id, as for a request that was believed."""
    try:
        value = parse_body(request.headers, request.body)
    except Refused:
        value = None
    id_ = scheme.delivery_id(request, value)
    assert id_ is None or isinstance(id_, str)
    handshake = scheme.handshake
    if handshake is None:
        return
    for reply in (
        handshake.opening(request, SECRETS[:1]),
        handshake.proven(request, value, SECRETS),
    ):
        if isinstance(reply, Mismatch):
            check(reply)
        elif reply is not None:
            assert 200 <= reply.status < 300
            (reply.body or "").encode()
            assert not any(mark in text for text in reply.headers.values() for mark in "\r\n\0")


def check(mismatch: Mismatch | None) -> None:
    if mismatch is not None:
        check_words(str(mismatch))


def check_words(told: str) -> None:
    """Raises where the words for the operator are none, or hold a secret."""
    assert told
    assert not [text for text in KEYS if text in told], told


def seeds() -> list[bytes]:
    found = []
    body = b'\n:url: https://a.example/b\n\n{"id": "evt_1", "type": "url_verification"}'
    for name in sorted(SCHEMES):
        more = {"header": "x-token"} if name == "token" else {}
        auth = json.dumps({"scheme": name, **more}).encode()
        found += [auth + SIGNED.encode() + body, auth + body.replace(b":url", b":wrong: x\n:url")]
    return found
