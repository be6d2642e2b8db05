"""Why a sender was not believed: each of the usual mistakes is named, with its mend."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.secret import Secret
from daemon.signatures import Mismatch, Request, Scheme, explain, parse
from daemon.signatures.slips import REWRITE_LIMIT

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = Secret("6f3a92c4e1", "env:SECRET")
BODY = b'{"name": "n\\u00e4me", "url": "https://example.org/a", "tags": [1, 2]}'
GITHUB = parse({"scheme": "github"})
OLD_HEADER = "x-github-webhook-secret-token"
TIMED: Mapping[str, Any] = {
    "scheme": "hmac",
    "header": "x-signature",
    "signed": "{timestamp}.{body}",
    "timestamp_header": "x-timestamp",
}


def mac(body: bytes = BODY, key: bytes = SECRET.value.encode(), algorithm: str = "sha256") -> bytes:
    return hmac.new(key, body, algorithm).digest()


def request(
    headers: Mapping[str, str], body: bytes = BODY, query: Mapping[str, str] | None = None
) -> Request:
    return Request("POST", "/hooks", headers, query or {}, body)


def explained(
    scheme: Scheme, refused: Request, secrets: Sequence[Secret] = (SECRET,), now: datetime = NOW
) -> str:
    """The explanation as the operator reads it. It must add to what ``verify`` says, and must
    never hold a proof: not the secret, not what was received, not what would be right."""
    assert scheme.verify(refused, secrets, now) is not None
    mismatch = explain(scheme, refused, secrets, now)
    assert mismatch is not None
    assert mismatch.hint
    text = str(mismatch)
    proofs = {secret.value.strip() for secret in secrets} | {mac().hex()}
    proofs |= {word for value in refused.headers.values() for word in value.split() if word[8:]}
    for proof in proofs - {""}:
        assert proof not in text
    return text


def github(signature: str, body: bytes = BODY, secret: Secret = SECRET) -> str:
    return explained(GITHUB, request({"x-hub-signature-256": signature}, body), [secret])


def test_what_is_believed_needs_no_explanation() -> None:
    genuine = request(GITHUB.sign(BODY, SECRET, NOW))
    assert explain(GITHUB, genuine, [SECRET], NOW) is None


# The header


def test_no_signature_at_all() -> None:
    text = explained(GITHUB, request({"content-type": "application/json"}))
    assert "x-hub-signature-256 is missing" in text
    assert "once a secret is set on their side" in text


def test_the_older_header_with_the_older_algorithm() -> None:
    text = explained(GITHUB, request({"x-hub-signature": "sha1=" + mac(algorithm="sha1").hex()}))
    assert "x-hub-signature (GitHub's older SHA-1 signature" in text
    assert '"header": "x-hub-signature", "prefix": "sha1=", "algorithm": "sha1" is written' in text


@pytest.mark.parametrize(
    ("header", "sender"),
    [("x-gitlab-token", "GitLab"), ("stripe-signature", "Stripe"), ("x-own-signature", "")],
)
def test_another_sender_s_header(header: str, sender: str) -> None:
    text = explained(GITHUB, request({"accept": "*/*", header: "t=1,v1=abc"}))
    assert f"the request has {header}" in text
    assert sender in text
    assert "meant for another trigger" in text


def test_a_misspelt_header() -> None:
    scheme = parse({"scheme": "hmac", "header": "x-acme-sig"})
    text = explained(scheme, request({"user-agent": "acme", "x-acme-sign": mac().hex()}))
    assert 'matches once "header": "x-acme-sign" is written in `auth`' in text


# Another credential of the vendor's


def stripe(key: str, configured: str) -> str:
    """Why a delivery that is signed with ``key`` is refused where that is configured."""
    scheme = parse({"scheme": "stripe"})
    genuine = request(scheme.sign(BODY, Secret(key, "env:KEY"), NOW))
    return explained(scheme, genuine, [Secret(configured, "env:STRIPE")])


@pytest.mark.parametrize("beginning", ["sk_live_", "sk_test_", "rk_live_", "rk_test_"])
def test_an_api_key_in_the_place_of_stripe_s_signing_secret(beginning: str) -> None:
    text = stripe("whsec_3kPq7YtRzW", f"{beginning}51H8x2eZvKYlo2C")
    assert f"the secret env:STRIPE begins with {beginning}: that is an API key" in text
    assert "Signing secret: whsec_…" in text


def test_a_signing_secret_without_its_beginning() -> None:
    text = stripe("whsec_3kPq7YtRzW", "3kPq7YtRzW")
    assert "the secret env:STRIPE lacks its beginning whsec_" in text
    assert "paste it as the sender shows it" in text


def test_what_stands_for_nothing_but_the_key_may_be_left_out() -> None:
    """Of Svix's secrets whsec_ is no part of the key."""
    scheme = parse({"scheme": "svix"})
    key = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    genuine = request(scheme.sign(BODY, Secret(f"whsec_{key}", "env:KEY"), NOW))
    assert explain(scheme, genuine, [Secret(key, "env:KEY")], NOW) is None
    assert "cannot be used" in explained(scheme, genuine, [Secret("sk_live_51H8x2", "env:KEY")])


# How the signature is written


def test_another_prefix() -> None:
    scheme = parse({"scheme": "hmac", "header": "x-mac", "prefix": "sha256="})
    for prefix in ("", "v1=", "v1,", "hmac-sha256="):
        text = explained(scheme, request({"x-mac": prefix + mac().hex()}))
        assert f'prefix "{prefix}" where "sha256=" is meant' in text
        assert f'matches once "prefix": "{prefix}" is written' in text


def test_a_prefix_where_none_is_meant() -> None:
    scheme = parse({"scheme": "hmac", "header": "x-mac"})
    text = explained(scheme, request({"x-mac": "sha256=" + mac().hex()}))
    assert 'prefix "sha256=" where "" is meant' in text


def test_base64_where_hex_is_meant() -> None:
    text = github("sha256=" + base64.b64encode(mac()).decode())
    assert 'encoding "base64" where "hex" is meant' in text
    assert 'matches once "encoding": "base64" is written in `auth`' in text


def test_hex_where_base64_is_meant() -> None:
    scheme = parse({"scheme": "hmac", "header": "x-mac", "encoding": "base64"})
    text = explained(scheme, request({"x-mac": mac().hex()}))
    assert 'encoding "hex" where "base64" is meant' in text


@pytest.mark.parametrize("algorithm", ["sha1", "sha512"])
def test_another_algorithm(algorithm: str) -> None:
    text = github("sha256=" + mac(algorithm=algorithm).hex())
    assert f'algorithm "{algorithm}" where "sha256" is meant' in text
    assert f'matches once "algorithm": "{algorithm}" is written' in text


def test_several_differences_at_once() -> None:
    text = github("sha1=" + base64.b64encode(mac(algorithm="sha1")).decode())
    assert '"prefix": "sha1=", "encoding": "base64", "algorithm": "sha1" is written' in text


def test_another_way_of_writing_that_would_not_match_either() -> None:
    text = github("sha1=" + mac(key=b"other", algorithm="sha1").hex())
    assert 'algorithm "sha1" where "sha256" is meant' in text
    assert "it would still not match" in text


def test_a_wrong_length() -> None:
    text = github("sha256=" + mac().hex()[:-1])
    assert "63 characters long and should be 64 characters (sha256 in hex)" in text


def test_the_secret_sent_in_place_of_a_signature() -> None:
    text = github("sha256=" + SECRET.value)
    assert "the scheme is `token`" in text


def test_characters_that_no_signature_holds() -> None:
    assert "characters that are not hex" in github("sha256=" + "z" * 64)


def test_a_header_that_holds_something_else() -> None:
    assert "nothing that begins with 'sha256='" in github("hello")


# The secret


@pytest.mark.parametrize("value", [f"{SECRET.value}\n", f" {SECRET.value}", f"{SECRET.value}\r\n"])
def test_white_space_around_our_secret(value: str) -> None:
    text = github("sha256=" + mac().hex(), secret=Secret(value, "file:/run/secret"))
    assert "the secret file:/run/secret has white space around it" in text


def test_white_space_around_an_encoded_key() -> None:
    scheme = parse({"scheme": "hmac", "header": "x-mac", "key_encoding": "base64"})
    secret = Secret(base64.b64encode(b"some key").decode() + "\n", "file:/run/secret")
    text = explained(scheme, request({"x-mac": mac(key=b"some key").hex()}), [secret])
    assert "the secret file:/run/secret has white space around it" in text


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotation_marks_around_our_secret(quote: str) -> None:
    quoted = Secret(quote + SECRET.value + quote, "env:SECRET")
    text = github("sha256=" + mac().hex(), secret=quoted)
    assert "the secret env:SECRET has quotation marks around it" in text


def test_a_newline_at_the_end_of_the_sender_s_secret() -> None:
    text = github("sha256=" + mac(key=SECRET.value.encode() + b"\n").hex())
    assert "the sender's secret ends in a newline" in text


@pytest.mark.parametrize(
    ("encoding", "text"), [("hex", b"some key".hex()), ("base64", "c29tZSBrZXk=")]
)
def test_a_secret_that_the_sender_decodes(encoding: str, text: str) -> None:
    said = github("sha256=" + mac(key=b"some key").hex(), secret=Secret(text, "env:SECRET"))
    assert f"the sender reads the secret as {encoding}, not as utf8" in said
    assert f'"key_encoding": "{encoding}"' in said


def test_another_secret_altogether() -> None:
    text = github("sha256=" + mac(key=b"other").hex())
    assert "the signature does not match" in text
    assert "another secret than env:SECRET" in text


def test_no_secret_to_check_against() -> None:
    refused = request(GITHUB.sign(BODY, SECRET, NOW))
    assert "there is no secret" in explained(GITHUB, refused, [])
    assert "env:UNSET cannot be used" in explained(GITHUB, refused, [Secret("", "env:UNSET")])


# The body

COMPACT = '{"name":"näme","url":"https://example.org/a","tags":[1,2]}'.encode()
PRETTY = json.dumps(json.loads(BODY), indent=2, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (COMPACT, PRETTY, "as compact JSON"),
        (COMPACT, COMPACT + b"\n", "without the newline at its end"),
        (COMPACT + b"\n", COMPACT, "with a newline at its end"),
        (COMPACT + b"\n", PRETTY, "as compact JSON with a newline at its end"),
        (PRETTY, COMPACT, "as JSON indented by 2"),
        (BODY, COMPACT, "as Python writes it"),
        (
            COMPACT.replace("ä".encode(), rb"\u00e4"),
            BODY,
            r"as compact JSON with \u escapes",
        ),
        (
            COMPACT.replace("ä".encode(), rb"\u00e4").replace(b"/", rb"\/"),
            COMPACT,
            "as PHP writes it",
        ),
        (PRETTY, PRETTY.replace(b"\n", b"\r\n"), "with Unix line ends"),
        (PRETTY.replace(b"\n", b"\r\n"), PRETTY, "with Windows line ends"),
        (COMPACT, b"\xef\xbb\xbf" + COMPACT, "without its byte-order mark"),
    ],
)
def test_a_body_that_was_rewritten_on_its_way(before: bytes, after: bytes, words: str) -> None:
    text = github("sha256=" + mac(before).hex(), after)
    assert words in text
    assert "the very bytes that were signed" in text


def test_a_body_that_is_not_json_is_not_rewritten() -> None:
    assert "the body was changed on its way" in github("sha256=" + mac(b"{}").hex(), b"{ ")


def test_a_large_body_is_not_rewritten() -> None:
    """Writing 25 MiB a dozen times would stall whoever asks."""
    compact = b"[" + b"1," * (REWRITE_LIMIT // 2) + b"1]"
    text = github("sha256=" + mac(compact).hex(), compact.replace(b",", b", "))
    assert "re-serialised" not in text


# The time


def timed(seconds: int, signed: str = "{timestamp}.{body}", key: bytes | None = None) -> Request:
    """A request that was signed ``seconds`` ago."""
    timestamp = str(int(NOW.timestamp()) - seconds)
    message = signed.replace("{timestamp}", timestamp).encode().replace(b"{body}", BODY)
    signature = mac(message, key or SECRET.value.encode()).hex()
    return request({"x-timestamp": timestamp, "x-signature": signature})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (420, "x-timestamp is 7m old, and 5m are allowed"),
        (-3725, "x-timestamp is 1h2m5s in the future, and 5m are allowed"),
        (200_000, "x-timestamp is 2d7h33m20s old"),
    ],
)
def test_a_time_too_far_away(seconds: int, words: str) -> None:
    text = explained(parse(TIMED), timed(seconds))
    assert words in text
    assert "the signature itself is right" in text


def test_a_time_too_far_away_beside_a_wrong_signature() -> None:
    text = explained(parse(TIMED), timed(420, key=b"other"))
    assert "7m old" in text
    assert "nor does the signature match" in text


def test_a_time_that_is_not_one() -> None:
    headers = {**timed(0).headers, "x-timestamp": "2026-03-01T12:00:00Z"}
    assert "10 digits for seconds" in explained(parse(TIMED), request(headers))


@pytest.mark.parametrize("with_time", [True, False])
def test_a_signature_of_the_body_without_the_time(with_time: bool) -> None:
    refused = timed(0, signed="{body}")
    if not with_time:
        refused = request({"x-signature": refused.headers["x-signature"]})
    text = explained(parse(TIMED), refused)
    assert "the sender signs the body alone, without the time" in text


def test_a_time_that_is_signed_otherwise() -> None:
    text = explained(parse(TIMED), timed(0, signed="v0:{timestamp}:{body}"))
    assert '"signed": "v0:{timestamp}:{body}"' in text


def test_an_id_that_is_signed_and_missing() -> None:
    scheme = parse(
        {"scheme": "hmac", "header": "x-mac", "signed": "{id}.{body}", "delivery_header": "x-id"}
    )
    text = explained(scheme, request({"x-mac": mac().hex()}))
    assert "x-id is missing, which is signed too" in text


# Secrets that are sent themselves


@pytest.mark.parametrize(
    ("auth", "headers", "query", "words"),
    [
        ({"scheme": "api_key"}, {}, {}, "set the secret at the sender"),
        ({"scheme": "api_key"}, {"authorization": "Bearer x"}, {}, "is `bearer` or `basic`"),
        ({"scheme": "api_key"}, {"x-gitlab-token": "x"}, {}, "x-gitlab-token (GitLab)"),
        ({"scheme": "api_key"}, {"x-hub-signature-256": "x"}, {}, "(GitHub)"),
        ({"scheme": "api_key"}, {"x-apikey": "x"}, {}, "the request has x-apikey"),
        ({"scheme": "api_key"}, {}, {"X-Api-Key": "x"}, '`token` with "query": "X-Api-Key"'),
        ({"scheme": "token", "query": "key"}, {"key": "x"}, {}, '`token` with "header": "key"'),
        ({"scheme": "api_key"}, {"x-api-key": "other"}, {}, "another secret than env:SECRET"),
        ({"scheme": "api_key"}, {"x-api-key": f"Token {SECRET.value}"}, {}, "word such as Bearer"),
        ({"scheme": "api_key"}, {"x-api-key": f'"{SECRET.value}"'}, {}, "quotation marks"),
        ({"scheme": "bearer"}, {}, {}, "authorization is missing"),
        ({"scheme": "bearer"}, {"x-api-key": "x"}, {}, "the request has x-api-key"),
        ({"scheme": "bearer"}, {"authorization": SECRET.value}, {}, "without the word Bearer"),
        ({"scheme": "bearer"}, {"authorization": "Basic eA=="}, {}, "the scheme is `basic`"),
        ({"scheme": "bearer"}, {"authorization": "Digest x"}, {}, "the word Bearer, a space"),
        ({"scheme": "bearer"}, {"authorization": "Bearer other"}, {}, "another secret than"),
        ({"scheme": "basic", "username": "ann"}, {"authorization": "Basic ?"}, {}, "not base64"),
        (
            {"scheme": "basic", "username": "ann"},
            {"authorization": "Basic " + base64.b64encode(b"ann:other").decode()},
            {},
            "the password does not match (the sender has another secret than env:SECRET",
        ),
        (
            {"scheme": "basic", "username": "ann"},
            {"authorization": "Basic " + base64.b64encode(b"bob:6f3a92c4e1").decode()},
            {},
            "the username does not match (the password does)",
        ),
        (
            {"scheme": "basic", "username": "ann"},
            {"authorization": "Basic " + base64.b64encode(b"bob:other").decode()},
            {},
            "the username does not match (nor does the password)",
        ),
    ],
)
def test_a_secret_that_is_not_where_or_what_it_should_be(
    auth: Mapping[str, Any], headers: Mapping[str, str], query: Mapping[str, str], words: str
) -> None:
    assert words in explained(parse(auth), request(headers, query=query))


@pytest.mark.parametrize(
    "auth", [{"scheme": "api_key"}, {"scheme": "bearer"}, {"scheme": "basic", "username": "ann"}]
)
def test_a_newline_at_the_end_of_our_token(auth: Mapping[str, Any]) -> None:
    scheme = parse(auth)
    refused = request(scheme.sign(BODY, SECRET, NOW))
    text = explained(scheme, refused, [Secret(SECRET.value + "\n", "file:/run/token")])
    assert "the secret file:/run/token has white space around it" in text
    assert "there is no secret" in explained(scheme, refused, [])
    assert "there is no secret" in explained(scheme, request({}), [])


# The older handler's route


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "x-hub-signature-256 is missing"),
        ({OLD_HEADER: "other"}, f"{OLD_HEADER} does not match"),
        ({OLD_HEADER: "sha256=" + "0" * 64}, "the body was changed on its way"),
        ({OLD_HEADER: "sha256=" + mac(COMPACT).hex()}, "as compact JSON"),
        ({"x-hub-signature-256": "sha256=" + mac(COMPACT).hex()}, "as compact JSON"),
    ],
)
def test_the_older_handler_s_proofs_are_explained(headers: Mapping[str, str], words: str) -> None:
    assert words in explained(parse({"scheme": "github_legacy"}), request(headers))


# Cost and care


@given(
    key=st.binary(min_size=8, max_size=20),
    body=st.binary(max_size=40),
    algorithm=st.sampled_from(["sha1", "sha256", "sha512"]),
)
def test_no_explanation_holds_the_right_signature(key: bytes, body: bytes, algorithm: str) -> None:
    secret = Secret(key.hex(), "env:SECRET")
    wrong = "sha256=" + hmac.new(b"other", body, hashlib.sha256).hexdigest()
    mismatch = explain(GITHUB, request({"x-hub-signature-256": wrong}, body), [secret], NOW)
    assert mismatch is not None
    right = hmac.new(secret.value.encode(), body, algorithm)
    assert right.hexdigest() not in str(mismatch)
    assert secret.value not in str(mismatch)


def test_a_mismatch_reads_as_one_sentence() -> None:
    assert str(Mismatch("it is old", "send it afresh")) == "it is old (send it afresh)"
    assert str(Mismatch("it is old")) == "it is old"
