"""Who is believed: each scheme takes what was proved with its secret, and nothing else."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.secret import Secret
from daemon.signatures import (
    PARAMETERS,
    SCHEMES,
    Mismatch,
    Request,
    Scheme,
    SchemeError,
    explain,
    parse,
)
from daemon.signatures.hmac_scheme import HmacScheme

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = Secret("It's a Secret to Everybody", "env:SECRET")
OTHER = Secret("another one", "env:OTHER")
BODY = b"Hello, World!"
PUBLISHED = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
GITHUB = parse({"scheme": "github"})
LEGACY = parse({"scheme": "github_legacy"})
OLD_HEADER = "x-github-webhook-secret-token"
TIMED: Mapping[str, Any] = {
    "scheme": "hmac",
    "header": "X-Signature",
    "signed": "{timestamp}.{body}",
    "timestamp_header": "X-Timestamp",
    "tolerance": timedelta(minutes=5),
}

# Every supported kind of proof once, for what must hold for all of them.
AUTHS: Mapping[str, Mapping[str, Any]] = {
    "github": {"scheme": "github"},
    "github_legacy": {"scheme": "github_legacy"},
    "hmac": {"scheme": "hmac", "header": "x-signature"},
    "hmac with a time": TIMED,
    "hmac of everything": {
        "scheme": "hmac",
        "header": "x-signature",
        "prefix": "v1,",
        "algorithm": "sha512",
        "encoding": "base64",
        "signed": "{id}.{timestamp}.{method}.{path}.{body}",
        "timestamp_header": "x-timestamp",
        "delivery_header": "x-id",
    },
    "hmac with the time beside it": {
        "scheme": "hmac",
        "header": "x-signature",
        "prefix": "v1=",
        "signed": "{timestamp}.{body}",
        "timestamp_prefix": "t=",
        "delivery_field": "event.id",
    },
    "hmac of the URL": {"scheme": "hmac", "header": "x-signature", "signed": "{url}{body}"},
    "token": {"scheme": "token", "header": "x-token", "delivery_field": "id"},
    "api_key": {"scheme": "api_key"},
    "bearer": {"scheme": "bearer"},
    "basic": {"scheme": "basic", "username": "ann"},
}


def request(
    headers: Mapping[str, str] | None = None,
    body: bytes = BODY,
    query: Mapping[str, str] | None = None,
    method: str = "POST",
    path: str = "/hooks/team",
) -> Request:
    return Request(method, path, headers or {}, query or {}, body, url=path)


def signed(scheme: Scheme, secret: Secret = SECRET, body: bytes = BODY) -> Request:
    return request(scheme.sign(body, secret, NOW, method="POST", path="/hooks/team"), body)


def hexdigest(body: bytes, key: bytes = SECRET.value.encode(), algorithm: str = "sha256") -> str:
    return hmac.new(key, body, algorithm).hexdigest()


@pytest.fixture(params=AUTHS.values(), ids=list(AUTHS))
def scheme(request: pytest.FixtureRequest) -> Scheme:
    return parse(request.param)


# Vectors from outside


def test_github_s_published_vector_is_believed() -> None:
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""
    genuine = request({"x-hub-signature-256": f"sha256={PUBLISHED}"})
    assert GITHUB.verify(genuine, [SECRET], NOW) is None


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (
            "sha512",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ],
)
def test_the_vectors_of_the_rfcs_are_believed(algorithm: str, digest: str) -> None:
    """RFC 4231, test case 2, and for SHA-1 RFC 2202, test case 2."""
    scheme = parse({"scheme": "hmac", "header": "x-mac", "algorithm": algorithm})
    genuine = request({"x-mac": digest}, b"what do ya want for nothing?")
    assert scheme.verify(genuine, [Secret("Jefe", "env:KEY")], NOW) is None


def test_a_published_vector_with_time_id_and_base64_key_is_believed() -> None:
    """The general shape holds a vendor as pure data; the vector is that of the reference
    libraries of https://www.standardwebhooks.com."""
    scheme = parse(
        {
            "scheme": "hmac",
            "header": "webhook-signature",
            "prefix": "v1,",
            "encoding": "base64",
            "key_encoding": "base64",
            "signed": "{id}.{timestamp}.{body}",
            "timestamp_header": "webhook-timestamp",
            "delivery_header": "webhook-id",
        }
    )
    genuine = request(
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1a,other v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
    )
    then = datetime.fromtimestamp(1614265330, UTC)
    key = Secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "env:KEY")
    assert scheme.verify(genuine, [key], then) is None
    assert scheme.delivery_id(genuine, None) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


# What holds for every scheme


def test_what_was_proved_with_the_secret_is_believed(scheme: Scheme) -> None:
    assert scheme.verify(signed(scheme), [SECRET], NOW) is None


def test_what_was_proved_with_another_secret_is_refused(scheme: Scheme) -> None:
    assert isinstance(scheme.verify(signed(scheme, OTHER), [SECRET], NOW), Mismatch)


@pytest.mark.parametrize("secrets", [(SECRET, OTHER), (OTHER, SECRET)])
def test_while_secrets_are_rotated_each_of_them_is_good(
    scheme: Scheme, secrets: tuple[Secret, ...]
) -> None:
    for secret in secrets:
        assert scheme.verify(signed(scheme, secret), secrets, NOW) is None
    third = Secret("a third one", "env:THIRD")
    assert scheme.verify(signed(scheme, third), secrets, NOW) is not None


@pytest.mark.parametrize("secrets", [(), (Secret("", "env:EMPTY"),), (Secret(" \n", "env:EMPTY"),)])
def test_without_a_secret_nobody_is_believed(scheme: Scheme, secrets: tuple[Secret, ...]) -> None:
    """An unset variable must not turn into the password ""."""
    empty_proof = dict.fromkeys(signed(scheme).headers, "")
    for headers in (signed(scheme).headers, empty_proof, {}, _signed_with_nothing(scheme)):
        mismatch = scheme.verify(request(headers), secrets, NOW)
        assert mismatch is not None
        assert "secret" in mismatch.reason


def _signed_with_nothing(scheme: Scheme) -> dict[str, str]:
    """What an attacker would send who guesses that the secret is empty."""
    basic = base64.b64encode(b"ann:").decode()
    return {
        "x-hub-signature-256": "sha256=" + hexdigest(BODY, b""),
        OLD_HEADER: "",
        "x-signature": hexdigest(BODY, b""),
        "x-timestamp": str(int(NOW.timestamp())),
        "authorization": f"Basic {basic}" if scheme.name == "basic" else "Bearer ",
    }


def test_an_empty_secret_among_others_opens_nothing(scheme: Scheme) -> None:
    secrets = [Secret("", "env:EMPTY"), SECRET]
    assert scheme.verify(signed(scheme), secrets, NOW) is None
    assert scheme.verify(request(_signed_with_nothing(scheme)), secrets, NOW) is not None


def test_nothing_can_be_signed_with_an_empty_secret(scheme: Scheme) -> None:
    with pytest.raises(SchemeError, match="env:EMPTY"):
        scheme.sign(BODY, Secret("", "env:EMPTY"), NOW)


def test_a_request_without_any_proof_is_refused(scheme: Scheme) -> None:
    assert scheme.verify(request(), [SECRET], NOW) is not None


def test_equal_auths_are_one_key(scheme: Scheme) -> None:
    """Triggers that share an ``auth`` share its one verification, so schemes are hashable."""
    auth = next(auth for auth in AUTHS.values() if parse(auth) == scheme)
    assert len({(scheme, (SECRET,)), (parse(auth), (SECRET,))}) == 1


ANY_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("\ud800\udc80")), max_size=80)
PROOF = st.one_of(
    ANY_TEXT,
    st.sampled_from(
        ["sha256=", "v1,", "Basic ", "Bearer ", "basic =", "1772366400", "t=1772366400,v1=", "t="]
    ).flatmap(lambda start: ANY_TEXT.map(lambda rest: start + rest)),
    st.binary(max_size=60).map(lambda raw: "Basic " + base64.b64encode(raw).decode()),
    st.binary(max_size=60).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("x-hub-signature-256", "x-hub-signature", OLD_HEADER, "x-signature", "x-timestamp"),
            *("x-id", "x-token", "x-api-key", "authorization", "x-github-delivery"),
        ]
    ),
    PROOF,
)


@given(
    headers=HEADERS,
    body=st.one_of(st.binary(max_size=80), st.just(b"[" * 10_000), st.just(b'{"a": 1}')),
    name=st.sampled_from(sorted(AUTHS)),
    value=ANY_TEXT,
)
def test_whatever_comes_is_refused_without_raising(
    headers: dict[str, str], body: bytes, name: str, value: str
) -> None:
    """No header, body or secret makes an error of a refusal; nor does its explanation, which
    finds a reason exactly when ``verify`` does."""
    scheme = parse(AUTHS[name])
    odd = request(headers, body)
    assert isinstance(scheme.verify(odd, [SECRET], NOW), Mismatch)
    assert isinstance(explain(scheme, odd, [SECRET], NOW), Mismatch)
    secrets = [SECRET, Secret(value, "env:ODD")]
    refused = scheme.verify(odd, secrets, NOW) is not None
    assert (explain(scheme, odd, secrets, NOW) is not None) == refused
    assert scheme.delivery_id(odd, None) != ""


# HMAC


@given(body=st.binary(max_size=200), other=st.binary(max_size=200))
def test_a_signature_holds_for_its_own_body_only(body: bytes, other: bytes) -> None:
    genuine = signed(GITHUB, body=body)
    believed = GITHUB.verify(replace(genuine, body=other), [SECRET], NOW) is None
    assert believed == (body == other)


def test_a_signature_with_any_one_bit_changed_is_refused() -> None:
    """Bit 5 of a letter is its case: hex in mixed case is refused as well."""
    genuine = f"sha256={PUBLISHED}".encode()
    for position in range(len(genuine)):
        for bit in range(8):
            changed = bytearray(genuine)
            changed[position] ^= 1 << bit
            headers = {"x-hub-signature-256": changed.decode("utf-8", "surrogateescape")}
            assert GITHUB.verify(request(headers), [SECRET], NOW) is not None, (position, bit)


@given(position=st.integers(0, 43), character=st.characters(codec="ascii"))
def test_a_base64_signature_has_one_spelling(position: int, character: str) -> None:
    """Its last character has spare bits, which a decoder would overlook."""
    scheme = parse({"scheme": "hmac", "header": "x-mac", "encoding": "base64"})
    genuine = scheme.sign(BODY, SECRET, NOW)["x-mac"]
    changed = genuine[:position] + character + genuine[position + 1 :]
    believed = scheme.verify(request({"x-mac": changed}), [SECRET], NOW) is None
    assert believed == (changed == genuine)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha256=",
        "sha256=,",
        PUBLISHED,
        f"SHA256={PUBLISHED}",
        f"sha1={PUBLISHED}",
        f"sha256= {PUBLISHED}",
        f"xsha256={PUBLISHED}",
        f"sha256=sha256={PUBLISHED}",
        f"sha256={PUBLISHED[:-1]}",
        f"sha256={PUBLISHED}0",
        f"sha256={PUBLISHED[:32]},{PUBLISHED[32:]}",
        f"sha256={PUBLISHED}\udc80",
    ],
)
def test_a_malformed_signature_is_refused(value: str) -> None:
    assert GITHUB.verify(request({"x-hub-signature-256": value}), [SECRET], NOW) is not None


@pytest.mark.parametrize(
    "header", ["x-hub-signature", "x-hub-signature-512", "authorization", "X-Hub-Signature-256"]
)
def test_a_signature_under_another_header_is_refused(header: str) -> None:
    """Names arrive in lower case, so one in capitals is another too."""
    assert GITHUB.verify(request({header: f"sha256={PUBLISHED}"}), [SECRET], NOW) is not None


@pytest.mark.parametrize("between", [",", ", ", " ", " , "])
def test_of_several_signatures_any_may_match(between: str) -> None:
    """As senders do while they rotate a secret, and as a repeated header arrives."""
    wrong = "0" * 64
    for first, second in ((wrong, PUBLISHED), (PUBLISHED, wrong)):
        value = f"sha256={first}{between}sha256={second}"
        assert GITHUB.verify(request({"x-hub-signature-256": value}), [SECRET], NOW) is None
    value = f"sha256={wrong}{between}sha256={wrong}"
    assert GITHUB.verify(request({"x-hub-signature-256": value}), [SECRET], NOW) is not None


def test_hex_in_capitals_throughout_is_the_same_signature() -> None:
    genuine = request({"x-hub-signature-256": f"sha256={PUBLISHED.upper()}"})
    assert GITHUB.verify(genuine, [SECRET], NOW) is None


@pytest.mark.parametrize(
    ("key_encoding", "text"), [("hex", b"\x00key\xff".hex()), ("base64", "AGtlef8=")]
)
def test_a_key_may_be_written_in_hex_or_base64(key_encoding: str, text: str) -> None:
    scheme = parse({"scheme": "hmac", "header": "x-mac", "key_encoding": key_encoding})
    genuine = request({"x-mac": hexdigest(BODY, b"\x00key\xff")})
    assert scheme.verify(genuine, [Secret(text, "env:KEY")], NOW) is None


@pytest.mark.parametrize(
    ("key_encoding", "text"), [("hex", "xyz"), ("hex", "abc"), ("base64", "a"), ("base64", "ä")]
)
def test_a_secret_that_does_not_decode_believes_nobody(key_encoding: str, text: str) -> None:
    scheme = parse({"scheme": "hmac", "header": "x-mac", "key_encoding": key_encoding})
    secret = Secret(text, "env:KEY")
    for key in (b"", text.encode()):
        mismatch = scheme.verify(request({"x-mac": hexdigest(BODY, key)}), [secret], NOW)
        assert mismatch is not None
        assert "env:KEY cannot be used" in mismatch.reason


def test_a_secret_that_is_not_utf_8_is_the_bytes_it_was_in_the_environment() -> None:
    secret = Secret(b"\xff\xfe".decode("utf-8", "surrogateescape"), "env:KEY")
    genuine = request({"x-hub-signature-256": "sha256=" + hexdigest(BODY, b"\xff\xfe")})
    assert GITHUB.verify(genuine, [secret], NOW) is None


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ("method", "PUT"),
        ("path", "/hooks/other"),
        ("body", b"Hello, World?"),
        ("x-id", "other"),
        ("x-timestamp", str(int(NOW.timestamp()) + 1)),
    ],
)
def test_everything_that_is_signed_is_held_to_it(changed: str, value: Any) -> None:
    scheme = parse(AUTHS["hmac of everything"])
    genuine = signed(scheme)
    assert scheme.verify(genuine, [SECRET], NOW) is None
    forged = (
        replace(genuine, headers={**genuine.headers, changed: value})
        if changed.startswith("x-")
        else replace(genuine, **{changed: value})
    )
    assert scheme.verify(forged, [SECRET], NOW) is not None


WITH_ID: Mapping[str, Any] = {"scheme": "hmac", "header": "x-sign", "delivery_header": "x-id"}


@pytest.mark.parametrize(
    ("signed_text", "genuine", "forged"),
    [
        ("{id}.{body}", ("a", b"b.c"), ("a.b", b"c")),
        ("{id}::{body}", ("a", b"b::c"), ("a::b", b"c")),
        ("v1:{id}:{body}", ("a", b"b:c"), ("a:b", b"c")),
        ("{body}.{id}", ("c", b"a.b"), ("b.c", b"a")),
        ("{path}.{id}:{body}", ("a", b"b:c"), ("a:b", b"c")),
    ],
)
def test_no_byte_moves_between_the_id_and_the_body(
    signed_text: str, genuine: tuple[str, bytes], forged: tuple[str, bytes]
) -> None:
    """Who holds a genuine request could else present its bytes as another id and another body."""
    scheme = parse({**WITH_ID, "signed": signed_text})
    assert isinstance(scheme, HmacScheme)
    id_, body = genuine
    signature = scheme.signature(request({"x-id": id_}, body), SECRET.value.encode())
    assert scheme.verify(request({"x-id": id_, "x-sign": signature}, body), [SECRET], NOW) is None
    id_, body = forged
    mismatch = scheme.verify(request({"x-id": id_, "x-sign": signature}, body), [SECRET], NOW)
    assert mismatch is not None
    assert "x-id" in mismatch.reason


@pytest.mark.parametrize(
    ("signed_text", "id_"),
    [
        ("{id}:{body}", "evt_1.2"),
        ("{timestamp}.{id}:{body}", "evt_1.2"),
        ("{body}", "evt_1.2"),
    ],
)
def test_an_id_may_hold_what_does_not_part_it_from_the_body(signed_text: str, id_: str) -> None:
    timed = {"timestamp_header": "x-time"} if "{timestamp}" in signed_text else {}
    scheme = parse({**WITH_ID, **timed, "signed": signed_text})
    assert isinstance(scheme, HmacScheme)
    headers = {"x-id": id_, "x-time": str(int(NOW.timestamp()))}
    signature = scheme.signature(request(headers), SECRET.value.encode())
    assert scheme.verify(request(headers | {"x-sign": signature}), [SECRET], NOW) is None


@pytest.mark.parametrize("missing", ["x-id", "x-timestamp", "x-signature"])
def test_every_header_that_a_signature_needs_must_be_there(missing: str) -> None:
    scheme = parse(AUTHS["hmac of everything"])
    genuine = signed(scheme)
    headers = {name: value for name, value in genuine.headers.items() if name != missing}
    mismatch = scheme.verify(replace(genuine, headers=headers), [SECRET], NOW)
    assert mismatch is not None
    assert missing in mismatch.reason


@pytest.mark.parametrize(
    ("seconds", "believed"),
    [(0, True), (300, True), (-300, True), (301, False), (-301, False), (86400, False)],
)
@pytest.mark.parametrize("unit", [1, 1000])
def test_a_time_too_far_from_now_is_refused_in_both_directions(
    seconds: int, believed: bool, unit: int
) -> None:
    scheme = parse(TIMED)
    timestamp = str((int(NOW.timestamp()) - seconds) * unit)
    signature = hexdigest(timestamp.encode() + b"." + BODY)
    genuine = request({"x-timestamp": timestamp, "x-signature": signature})
    mismatch = scheme.verify(genuine, [SECRET], NOW)
    assert (mismatch is None) == believed
    if mismatch:
        assert ("old" if seconds > 0 else "in the future") in mismatch.reason


@pytest.mark.parametrize(
    "text", ["", "now", "-1772366400", "1_772_366_400", "١٧٧٢٣٦٦٤٠٠", "1772366400.0", "9" * 4000]
)
def test_a_time_that_is_no_unix_time_is_refused(text: str) -> None:
    scheme = parse(TIMED)
    signature = hexdigest(text.encode() + b"." + BODY)
    genuine = request({"x-timestamp": text, "x-signature": signature})
    assert scheme.verify(genuine, [SECRET], NOW) is not None


# Secrets that are sent themselves


@pytest.mark.parametrize("value", ["", "It's", SECRET.value + " ", SECRET.value.lower(), "ä\udc80"])
@pytest.mark.parametrize(
    "auth", [{"scheme": "token", "header": "x-api-key"}, {"scheme": "api_key"}]
)
def test_a_token_must_be_the_secret_exactly(auth: Mapping[str, Any], value: str) -> None:
    scheme = parse(auth)
    assert scheme.verify(request({"x-api-key": SECRET.value}), [SECRET], NOW) is None
    assert scheme.verify(request({"x-api-key": value}), [SECRET], NOW) is not None


def test_a_repeated_token_header_is_refused() -> None:
    twice = request({"x-api-key": f"{SECRET.value}, {SECRET.value}"})
    assert parse({"scheme": "api_key"}).verify(twice, [SECRET], NOW) is not None


def test_a_token_in_the_query_is_looked_for_there_only() -> None:
    scheme = parse({"scheme": "token", "query": "key"})
    assert scheme.verify(request(query={"key": SECRET.value}), [SECRET], NOW) is None
    assert scheme.verify(request({"key": SECRET.value}), [SECRET], NOW) is not None
    assert scheme.verify(request(query={"key": "guess"}), [SECRET], NOW) is not None
    assert scheme.verify(request(query={"Key": SECRET.value}), [SECRET], NOW) is not None


def test_the_api_key_header_can_be_another() -> None:
    scheme = parse({"scheme": "api_key", "header": "X-Key"})
    assert scheme.verify(request({"x-key": SECRET.value}), [SECRET], NOW) is None
    assert scheme.verify(request({"x-api-key": SECRET.value}), [SECRET], NOW) is not None


@pytest.mark.parametrize(
    ("value", "believed"),
    [
        ("Bearer s3cret", True),
        ("bearer  s3cret", True),
        ("Bearer s3cret2", False),
        ("Bearers3cret", False),
        ("s3cret", False),
        ("Basic s3cret", False),
        ("Bearer", False),
        ("Bearer s3cret, Bearer s3cret", False),
    ],
)
def test_a_bearer_token_follows_its_word(value: str, believed: bool) -> None:
    secret = Secret("s3cret", "env:TOKEN")
    mismatch = parse({"scheme": "bearer"}).verify(request({"authorization": value}), [secret], NOW)
    assert (mismatch is None) == believed


@pytest.mark.parametrize(
    ("pair", "believed"),
    [
        (b"ann:pass:word", True),
        (b"bob:pass:word", False),
        (b"ann:pass", False),
        (b"ann", False),
        (b"annpass:word", False),
        (b":pass:word", False),
        (b"\xff:\xff", False),
    ],
)
def test_basic_wants_both_username_and_password(pair: bytes, believed: bool) -> None:
    """A password may hold colons, RFC 7617."""
    scheme = parse({"scheme": "basic", "username": "ann"})
    value = "Basic " + base64.b64encode(pair).decode()
    mismatch = scheme.verify(
        request({"authorization": value}), [Secret("pass:word", "env:PASSWORD")], NOW
    )
    assert (mismatch is None) == believed


def test_none_asks_for_nothing() -> None:
    scheme = parse({"scheme": "none"})
    assert not scheme.needs_secret
    assert scheme.verify(request(), [], NOW) is None
    assert scheme.sign(BODY, SECRET, NOW) == {}
    assert scheme.delivery_id(request(), None) is None


# The older handler's route


@pytest.mark.parametrize(
    ("headers", "believed"),
    [
        ({"x-hub-signature-256": f"sha256={PUBLISHED}"}, True),
        ({OLD_HEADER: f"sha256={PUBLISHED}"}, True),
        ({OLD_HEADER: SECRET.value}, True),
        ({OLD_HEADER: SECRET.value, "x-hub-signature-256": "sha256=" + "0" * 64}, True),
        ({OLD_HEADER: PUBLISHED}, False),
        ({OLD_HEADER: "guess"}, False),
        ({OLD_HEADER: ""}, False),
        ({OLD_HEADER: "sha256=" + "0" * 64}, False),
        ({"x-hub-signature-256": SECRET.value}, False),
        ({"x-hub-signature": SECRET.value}, False),
        ({"x-api-key": SECRET.value}, False),
    ],
)
def test_the_older_handler_s_proofs_are_taken(headers: dict[str, str], believed: bool) -> None:
    assert (LEGACY.verify(request(headers), [SECRET], NOW) is None) == believed


def test_the_older_handler_s_deliveries_are_known_by_their_body_too() -> None:
    """As GitHub's: the id is not signed."""
    assert LEGACY.replayable == GITHUB.replayable
    assert LEGACY.replayable


def test_the_older_handler_s_header_is_github_s_scheme_s_no_more() -> None:
    assert GITHUB.verify(request({OLD_HEADER: SECRET.value}), [SECRET], NOW) is not None


# What is stored, and by what a delivery is known


@pytest.mark.parametrize(
    ("auth", "headers", "query"),
    [
        ({"scheme": "github"}, set(), set()),
        ({"scheme": "github_legacy"}, {OLD_HEADER}, set()),
        ({"scheme": "hmac", "header": "x-mac"}, set(), set()),
        ({"scheme": "token", "header": "X-Gitlab-Token"}, {"x-gitlab-token"}, set()),
        ({"scheme": "token", "query": "Key"}, set(), {"Key"}),
        ({"scheme": "api_key"}, {"x-api-key"}, set()),
        ({"scheme": "bearer"}, {"authorization"}, set()),
        ({"scheme": "basic", "username": "ann"}, {"authorization"}, set()),
        ({"scheme": "none"}, set(), set()),
    ],
)
def test_every_place_that_holds_the_secret_itself_is_named(
    auth: Mapping[str, Any], headers: set[str], query: set[str]
) -> None:
    scheme = parse(auth)
    assert scheme.credential_headers == headers
    assert scheme.credential_query == query


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"scheme": "github"}, "x-github-delivery"),
        ({"scheme": "github_legacy"}, "x-github-delivery"),
        ({"scheme": "github", "delivery_header": "X-Own-Id"}, "x-own-id"),
        ({"scheme": "hmac", "header": "x-mac", "delivery_header": "X-Own-Id"}, "x-own-id"),
    ],
)
def test_the_sender_s_own_id_is_found(auth: Mapping[str, Any], header: str) -> None:
    scheme = parse(auth)
    assert scheme.delivery_id(request({header: "72d3162e"}), None) == "72d3162e"
    assert scheme.delivery_id(request({header: ""}), None) is None
    assert scheme.delivery_id(request(), None) is None


@pytest.mark.parametrize("name", ["hmac", "token", "api_key", "bearer", "basic"])
def test_other_senders_name_no_id(name: str) -> None:
    assert parse(AUTHS[name]).delivery_id(request({"x-github-delivery": "72d3162e"}), None) is None


def test_a_request_shows_neither_its_headers_nor_its_body() -> None:
    shown = repr(request({"authorization": "Bearer s3cret"}, b"s3cret", {"key": "s3cret"}))
    assert "s3cret" not in shown
    assert "/hooks/team" in shown


# Reading the config


@pytest.mark.parametrize(
    ("auth", "key", "words"),
    [
        ({}, "scheme", "no scheme"),
        ({"scheme": "githib"}, "scheme", "did you mean 'github'"),
        ({"scheme": "xyz"}, "scheme", "`dispatchd schemes` lists them"),
        ({"scheme": ["github"]}, "scheme", "no scheme"),
        ({"scheme": "github", "heeder": "x"}, "heeder", "did you mean 'header'"),
        ({"scheme": "bearer", "header": "x"}, "header", "takes no 'header'"),
        ({"scheme": "hmac"}, "header", "needs `header`"),
        ({"scheme": "hmac", "header": "x mac"}, "header", "not the name of a header"),
        ({"scheme": "hmac", "header": "x", "algorithm": "md5"}, "algorithm", "sha256, sha1"),
        ({"scheme": "hmac", "header": "x", "encoding": "utf8"}, "encoding", "hex, base64"),
        ({"scheme": "hmac", "header": "x", "key_encoding": "x"}, "key_encoding", "utf8, hex"),
        ({"scheme": "hmac", "header": "x", "signed": "{bdy}"}, "signed", "{bdy}"),
        ({"scheme": "hmac", "header": "x", "signed": "{body"}, "signed", "unpaired brace"),
        ({"scheme": "hmac", "header": "x", "signed": "{body}{}"}, "signed", "names {}"),
        ({"scheme": "hmac", "header": "x", "signed": "{method}"}, "signed", "leaves out {body}"),
        (
            {"scheme": "hmac", "header": "x", "signed": "{timestamp}.{body}"},
            "signed",
            "timestamp_header",
        ),
        ({"scheme": "hmac", "header": "x", "signed": "{id}.{body}"}, "signed", "delivery_header"),
        (
            {"scheme": "hmac", "header": "x", "timestamp_header": "x-time"},
            "timestamp_header",
            "proves nothing",
        ),
        (
            {"scheme": "github", "tolerance": timedelta(minutes=1)},
            "tolerance",
            "without a `timestamp_header`",
        ),
        ({**TIMED, "tolerance": timedelta(0)}, "tolerance", "longer than 0s"),
        ({"scheme": "token"}, "header", "exactly one"),
        ({"scheme": "token", "header": "x", "query": "y"}, "header", "exactly one"),
        ({"scheme": "basic"}, "username", "needs `username`"),
        ({"scheme": "basic", "username": "ann:lee"}, "username", "colon"),
    ],
)
def test_an_auth_that_cannot_work_is_refused_at_its_key(
    auth: Mapping[str, Any], key: str, words: str
) -> None:
    with pytest.raises(SchemeError) as caught:
        parse(auth)
    assert caught.value.key == key
    assert words in caught.value.message


WRONG: list[Any] = [None, True, 5, 1.5, [], ["x"], {}, {"x": 1}, b"x", object()]


@pytest.mark.parametrize(
    ("name", "key"),
    [(name, key) for name in SCHEMES for key in ("scheme", *PARAMETERS[name])],
)
def test_a_value_of_the_wrong_kind_is_refused_at_its_key(name: str, key: str) -> None:
    """Whatever it is: nothing else than a SchemeError is ever raised."""
    needed = {"hmac": "header", "token": "header", "basic": "username"}
    auth: dict[str, Any] = {"scheme": name}
    if name in needed:
        auth[needed[name]] = "x-value"
    for value in [*WRONG, "5m"] if key == "tolerance" else WRONG:
        with pytest.raises(SchemeError) as caught:
            parse({**auth, key: value})
        assert caught.value.key == key


@given(
    st.dictionaries(
        st.sampled_from(["scheme", *PARAMETERS["hmac"], "query", "username", "other"]),
        st.sampled_from([*WRONG, *SCHEMES, *"{}", "{id}", "{body}", "hex", timedelta(1)])
        | st.text(max_size=5),
    )
)
def test_any_auth_is_a_scheme_or_refused_at_one_of_its_keys(auth: dict[str, Any]) -> None:
    found: Scheme | SchemeError
    try:
        found = parse(auth)
    except SchemeError as error:
        found = error
    if isinstance(found, SchemeError):
        name = auth.get("scheme")
        needed = SCHEMES[name].required if isinstance(name, str) and name in SCHEMES else ()
        assert found.key in {*auth, "scheme", "header", "signed", *needed}
    else:
        assert found.name == auth["scheme"]


def test_every_scheme_on_offer_says_what_it_takes() -> None:
    for name, entry in SCHEMES.items():
        assert PARAMETERS[name] == entry.parameters
        assert set(entry.required) <= set(entry.parameters)
        assert entry.description
        required = {"header": "x-value"} if name in ("hmac", "token") else {}
        if name == "basic":
            required = {"username": "ann"}
        if name == "sns":
            required = {"topic_arn": "arn:aws:sns:eu-central-1:123456789012:builds"}
        assert parse({"scheme": name, **required}).name == name
