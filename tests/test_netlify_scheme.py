"""Netlify's JWS: what it must say beside being signed."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from daemon.signatures.request import Mismatch
from tests.odd_senders import JWS_SECRET, NOW, Sent, netlify


def refusal(answer: object) -> Mismatch:
    assert isinstance(answer, Mismatch)
    assert answer.hint
    return answer


@pytest.mark.parametrize(
    "sent",
    [
        netlify(iss="somebody"),
        netlify(iss=""),
        netlify(sha256="0" * 64),
        netlify(sha256=5),
        netlify(sha256="\udcff"),
        netlify(exp=NOW.timestamp() - 61),
        netlify(exp="tomorrow"),
        netlify(exp=True),
        netlify(nbf=NOW.timestamp() + 61),
        netlify(iat=NOW.timestamp() + 61),
        netlify(algorithm="HS512"),
        netlify(algorithm="none"),
        netlify(header={"crit": ["exp"]}),
    ],
)
def test_a_jws_that_says_anything_else_is_refused(sent: Sent) -> None:
    """Though it is signed with the secret."""
    assert refusal(sent.verify()).hint


def test_a_jws_may_name_times_that_hold_within_a_minute() -> None:
    now = NOW.timestamp()
    assert netlify(exp=now - 59, nbf=now + 59, iat=now + 59).verify() is None


@pytest.mark.parametrize(
    "header",
    [b'{"alg":"none"}', b'{"alg":"RS256"}', b"{}", b"[]", b'"HS256"', b"", b"\xff"],
)
def test_a_jws_is_by_hs256_whatever_its_header_says(header: bytes) -> None:
    """A header that names another algorithm is refused even where the HMAC of it is right."""

    def encoded(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    payload = netlify().request.headers["x-webhook-signature"].split(".")[1].encode()
    signed = encoded(header) + b"." + payload
    mac = hmac.digest(JWS_SECRET.reveal().encode(), signed, hashlib.sha256)
    token = (signed + b"." + encoded(mac)).decode()
    sent = netlify()
    answer = refusal(sent.verify(headers=sent.with_header("x-webhook-signature", token)))
    assert answer.reason == "the JWS is not by HS256"
