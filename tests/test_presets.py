"""What a vendor's own code signs is believed under its name, and nothing that differs from it."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.signatures import (
    ALIASES,
    PARAMETERS,
    SCHEMES,
    Mismatch,
    Request,
    Scheme,
    SchemeError,
    explain,
    parse,
)
from daemon.signatures.credentials import TokenScheme
from daemon.signatures.ed25519 import StandardWebhooksScheme
from daemon.signatures.hmac_scheme import HmacScheme
from daemon.signatures.presets import PRESETS, TOKENS
from daemon.signatures.senders import SENDERS
from tests.vendors import (
    BODY,
    MILLISECONDS,
    NOW,
    STAMP,
    VENDORS,
    WHSEC,
    Vendor,
    secrets,
    sha256,
)

EVERY = pytest.mark.parametrize("name", VENDORS)
SIGNED = [name for name, vendor in VENDORS.items() if vendor.signs]
TIMED = {
    *("linear", "grafana with a time", "gitlab_signed", "standard_webhooks", "svix", "stripe"),
    *("slack", "zoom", "calendly"),
}


def scheme_of(name: str) -> Scheme:
    return parse({"scheme": name, **VENDORS[name].more})


def believed(name: str, request: Request, *texts: str) -> bool:
    """Whether it is; what is not must also be explained, without a secret in the words."""
    scheme, held = scheme_of(name), secrets(*(texts or (VENDORS[name].secret,)))
    mismatch = scheme.verify(request, held, NOW)
    if mismatch is None:
        return True
    told = str(explain(scheme, request, held, NOW))
    assert told != "None"
    assert not any(one.reveal() in told for one in held if len(one.reveal()) > len("whsec_"))
    return False


def test_every_preset_has_a_vendor_here() -> None:
    shown = {VENDORS[name].more.get("scheme", name) for name in VENDORS}
    assert shown == {*PRESETS, *TOKENS, "alertmanager"}


@EVERY
def test_what_the_vendor_sends_is_believed(name: str) -> None:
    assert believed(name, VENDORS[name].request())


@EVERY
def test_while_a_secret_is_rotated_both_are_good(name: str) -> None:
    vendor = VENDORS[name]
    for texts in ((vendor.secret, vendor.other), (vendor.other, vendor.secret)):
        assert believed(name, vendor.request(), *texts)


def changes(vendor: Vendor) -> Iterator[tuple[str, Request]]:
    """The genuine request with one thing changed, and what that is."""
    genuine = vendor.request()
    yield "made with another secret", vendor.request(vendor.other)
    yield "no proof at all", replace(genuine, headers={}, query={})
    place = "headers" if vendor.proof in genuine.headers else "query"
    held: Mapping[str, str] = getattr(genuine, place)
    proof = held[vendor.proof]
    begins = proof.find(" ") + 1  # behind the word Bearer, whose case is free
    for at in range(begins, len(proof)):
        for other in {"0", "A", "a", chr(ord(proof[at]) ^ 1)} - {proof[at]}:
            changed = proof[:at] + other + proof[at + 1 :]
            altered: Any = {place: {**held, vendor.proof: changed}}
            yield f"{changed!r} for {proof!r}", replace(genuine, **altered)
    if not vendor.signs:
        return
    for at in (0, len(BODY) // 2, len(BODY) - 1):
        body = bytearray(genuine.body)
        body[at] ^= 1
        yield f"byte {at} of the body", replace(genuine, body=bytes(body))
    yield "a longer body", replace(genuine, body=genuine.body + b"\n")
    yield "no body", replace(genuine, body=b"")
    for header in vendor.also_signed:
        rest = {key: value for key, value in genuine.headers.items() if key != header}
        value = genuine.headers[header]
        later = str(int(STAMP) + 1) if value == STAMP else f"{value}2"
        yield f"no {header}", replace(genuine, headers=rest)
        yield f"another {header}", replace(genuine, headers={**rest, header: later})
        yield f"{header} with a dot", replace(genuine, headers={**rest, header: f"{value}."})


@EVERY
def test_whatever_is_changed_it_is_refused(name: str) -> None:
    """Body, time, secret, header, and each single character of the proof."""
    taken = [what for what, changed in changes(VENDORS[name]) if believed(name, changed)]
    assert taken == []


@EVERY
def test_a_secret_that_anybody_could_guess_believes_nobody(name: str) -> None:
    """An unset variable is no secret; nor is a key of zeros, which HMAC takes for an empty one."""
    vendor, scheme = VENDORS[name], scheme_of(name)
    worthless = ["", " \n"]
    if vendor.signs:
        worthless += ["\0", "\0\0"]
    if "whsec_" in str(scheme):
        worthless += ["whsec_", "whsec_AAAA", "whsec_not base64"]
    genuine = vendor.request()
    blank = replace(genuine, headers=dict.fromkeys(genuine.headers, ""), query={"token": ""})
    for text in worthless:
        for request in (genuine, blank, signed_with_nothing(vendor)):
            mismatch = scheme.verify(request, secrets(text), NOW)
            assert mismatch is not None
            assert "env:SECRET cannot be used" in mismatch.reason
            assert scheme.verify(request, [], NOW) is not None
            assert not believed(name, request, text, vendor.other)


def signed_with_nothing(vendor: Vendor) -> Request:
    """What an attacker would send who guesses that the key is empty."""
    request = vendor.request()
    hex_ = hmac.digest(b"", request.body, "sha256").hex()
    return replace(request, headers={**request.headers, vendor.proof: f"sha256={hex_},v1={hex_}"})


@pytest.mark.parametrize("name", sorted(TIMED))
@pytest.mark.parametrize("late", [-1, 1])
def test_a_request_of_another_time_is_refused(name: str, late: int) -> None:
    """However genuine it is: somebody may have kept it."""
    scheme = scheme_of(name)
    shape = scheme.hmac if isinstance(scheme, StandardWebhooksScheme) else scheme
    assert isinstance(shape, HmacScheme)
    vendor = VENDORS[name]
    for offset, taken in ((shape.tolerance, True), (shape.tolerance + timedelta(seconds=1), False)):
        seconds = int(STAMP) + late * int(offset.total_seconds())
        body = BODY.replace(MILLISECONDS, f"{seconds}000")
        request = vendor.request(stamp=str(seconds), body=body)
        mismatch = scheme.verify(request, secrets(vendor.secret), NOW)
        assert (mismatch is None) == taken
        if mismatch is not None:
            assert ("old" if late < 0 else "in the future") in mismatch.reason
            told = explain(scheme, request, secrets(vendor.secret), NOW)
            assert "the signature itself is right" in str(told)


def test_those_whose_time_is_not_signed_go_by_none() -> None:
    for name in VENDORS.keys() - TIMED:
        then = NOW + timedelta(days=365)
        held = secrets(VENDORS[name].secret)
        assert scheme_of(name).verify(VENDORS[name].request(), held, then) is None, name


@EVERY
def test_a_delivery_is_known_again_by_the_vendor_s_own_id(name: str) -> None:
    scheme, request = scheme_of(name), VENDORS[name].request()
    assert scheme.delivery_id(request, json.loads(BODY)) == VENDORS[name].id
    odd_bodies: list[Any] = [None, [], "text", 5, {"id": {}, "event": [], "update_id": True}]
    for odd in odd_bodies:
        found = scheme.delivery_id(replace(request, headers={}), odd)
        assert found is None


def test_what_could_be_sent_again_under_another_id_is_known_by_its_body_too() -> None:
    """Neither id nor time of these is signed; or there is no id, and no two bodies are alike."""
    assert {name for name in VENDORS if scheme_of(name).replayable} == {
        *("github", "bitbucket", "bitbucket_server", "gitea", "forgejo", "gogs"),
        *("jira", "sentry", "shopify", "zoom", "meta", "whatsapp", "airtable", "calendly"),
        "linear",
    }


def test_the_vendors_that_insist_on_another_success_get_it() -> None:
    told = {
        name: (ack.status, ack.body)
        for name in VENDORS
        if (ack := scheme_of(name).acknowledgement).status != 202
    }
    assert told == {
        "slack": (200, ""),
        "airtable": (200, ""),
        **dict.fromkeys(("linear", "zoom", "meta", "whatsapp", "asana"), (200, None)),
    }


def test_the_vendors_that_hand_their_secret_over_are_waited_for() -> None:
    assert {name for name in VENDORS if scheme_of(name).learns_secret} == {"asana", "notion"}
    asking = {name: scheme_of(name).handshake for name in VENDORS}
    kinds = {name: type(one).__name__ for name, one in asking.items() if one is not None}
    assert kinds == {
        "github": "GithubPing",
        "slack": "SlackChallenge",
        "zoom": "ZoomValidation",
        "meta": "MetaVerification",
        "whatsapp": "MetaVerification",
        "notion": "NotionToken",
        "asana": "AsanaHandshake",
        "dropbox": "DropboxChallenge",
    }


# Vectors from outside


@pytest.mark.parametrize(
    ("name", "secret", "headers", "body"),
    [
        pytest.param(
            "slack",
            "8f742231b10e8888abcd99yyyzzz85a5",
            {
                "x-slack-request-timestamp": "1531420618",
                "x-slack-signature": "v0="
                "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            },
            b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
            b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner"
            b"&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
            b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
            b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
            id="Slack's documentation",
        ),
        pytest.param(
            "circleci",
            "secret",
            {
                "circleci-signature": "v1="
                "734cc62f32841568f45715aeb9f4d7891324e6d948e4c6c60c0621cdac48623a"
            },
            b"hello world",
            id="CircleCI's documentation",
        ),
        pytest.param(
            "notion",
            "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl",
            {
                "x-notion-signature": "sha256="
                "cdec7e4cb6a82c68e936194b792aa713afc64c3039a44a049a4c7731458ce15f"
            },
            b'{"id":"evt_1","type":"page.created"}',
            id="@notionhq/client 5.26.0, signWebhookPayload",
        ),
        pytest.param(
            "github",
            "It's a Secret to Everybody",
            {
                "x-hub-signature-256": "sha256="
                "26679ea413e42d2d4203d669eee2ec54ad770011fe97e90e318ab50cf98e900b"
            },
            b'{"id":"evt_1","type":"page.created"}',
            id="@octokit/webhooks-methods 6.0.0, sign",
        ),
    ],
)
def test_what_the_vendor_published_is_believed(
    name: str, secret: str, headers: Mapping[str, str], body: bytes
) -> None:
    then = NOW.fromtimestamp(1531420618, NOW.tzinfo)
    genuine = Request("POST", "/hooks", headers, {}, body)
    assert parse({"scheme": name}).verify(genuine, secrets(secret), then) is None


# Several signatures


@pytest.mark.parametrize(
    ("name", "joined"),
    [
        ("stripe", "t={stamp},v1={wrong},v1={right},v0={wrong}"),
        ("stripe", "v1={right}, t={stamp}"),
        ("calendly", "t={stamp},v1={right}"),
        ("pagerduty", "v1={wrong},v1={right}"),
        ("pagerduty", "v1={right}, v1={wrong}"),
        ("circleci", "v1={right},v2={wrong}"),
    ],
)
def test_of_several_signatures_one_must_be_right(name: str, joined: str) -> None:
    vendor = VENDORS[name]
    genuine = vendor.request()
    right = genuine.headers[vendor.proof].rpartition("v1=")[2]
    for one, taken in ((right, True), (right[::-1], False)):
        header = joined.format(stamp=STAMP, wrong="0" * 64, right=one)
        given = replace(genuine, headers={vendor.proof: header})
        assert believed(name, given) == taken


@pytest.mark.parametrize(
    "header",
    [
        "v1={right}",
        "t=,v1={right}",
        "t={stamp},t={other},v1={right}",
        "t={stamp}, v1={right}, t={other}",
        "T={stamp},v1={right}",
        "t={stamp};v1={right}",
        "t=0{stamp},v1={right}",
    ],
)
def test_a_header_of_stripe_s_without_one_clear_time_is_refused(header: str) -> None:
    """With two times, one could be the fresh one that an old signature is not for."""
    genuine = VENDORS["stripe"].request()
    right = genuine.headers["stripe-signature"].rpartition("v1=")[2]
    given = header.format(stamp=STAMP, other=int(STAMP) - 1, right=right)
    assert not believed("stripe", replace(genuine, headers={"stripe-signature": given}))


def test_only_so_many_signatures_of_one_header_are_looked_at() -> None:
    """Else a header of a few thousand made-up ones would cost as many comparisons."""
    genuine = VENDORS["pagerduty"].request()
    right = genuine.headers["x-pagerduty-signature"]
    for wrong, taken in ((31, True), (32, False)):
        header = ",".join([*["v1=" + "0" * 64] * wrong, right])
        assert (
            believed("pagerduty", replace(genuine, headers={"x-pagerduty-signature": header}))
            == taken
        )


@pytest.mark.parametrize("stamp", ["", '"soon"', "true", "1.7e9", "[]", "null", f'"{STAMP}x"'])
def test_a_body_of_linear_s_without_a_clear_time_is_refused(stamp: str) -> None:
    body = BODY.replace(MILLISECONDS, stamp) if stamp else '{"action": "create"}'
    assert not believed("linear", VENDORS["linear"].request(body=body))
    assert not believed("linear", VENDORS["linear"].request(body="[" * 5000))


# Overriding


OVERRIDES: Mapping[str, Any] = {
    "header": "X-Own",
    "query": "own",
    "prefix": "own=",
    "algorithm": "sha512",
    "encoding": "base64",
    "signed": "own {body}",
    "timestamp_header": "X-Own-Time",
    "timestamp_prefix": "own=",
    "timestamp_field": "own.time",
    "tolerance": timedelta(hours=2),
    "key_encoding": "hex",
    "key_prefix": "own_",
    "delivery_header": "X-Own-Id",
    "delivery_field": "own.id",
}
GENERAL = [(name, key) for name in (*PRESETS, *TOKENS) for key in PARAMETERS[name]]


@pytest.mark.parametrize(("name", "key"), GENERAL)
def test_every_parameter_of_a_preset_can_be_overridden(name: str, key: str) -> None:
    auth: dict[str, Any] = {"scheme": name, key: OVERRIDES[key]}
    if key == "tolerance" and name not in TIMED:
        auth["timestamp_field"] = "time"
    if key == "timestamp_field" and key not in parameters_of(name):
        auth["signed"] = "{body}"
    if key in ("timestamp_header", "timestamp_prefix") and "{timestamp}" not in str(
        parameters_of(name).get("signed")
    ):
        auth["signed"] = "{timestamp}{body}"
    if key == "signed" and name in TIMED - {"linear"}:
        auth["signed"] = "own {timestamp} {body}"
    if key == "delivery_field" and "{id}" in str(parameters_of(name).get("signed")):
        auth["signed"] = "{timestamp}{body}"
    built = parse(auth)
    scheme = built.hmac if isinstance(built, StandardWebhooksScheme) else built
    assert isinstance(scheme, HmacScheme | TokenScheme)
    wanted = auth[key].lower() if key == "header" or key.endswith("_header") else auth[key]
    assert getattr(scheme, key) == wanted
    assert built.name == name


def parameters_of(name: str) -> Mapping[str, Any]:
    return {**PRESETS, **TOKENS}[name].parameters


def test_an_id_of_the_user_s_own_takes_the_place_of_the_preset_s() -> None:
    meta = parse({"scheme": "meta", "delivery_header": "x-own"})
    assert meta.delivery_id(Request("POST", "/", {"x-own": "d1"}, {}, b""), None) == "d1"
    grafana = parse({"scheme": "grafana", "delivery_field": "orgId"})
    assert grafana.delivery_id(Request("POST", "/", {}, {}, b""), {**ALERTS, "orgId": 5}) == "5"


# Several vendors have their own ways


ALERTS: Mapping[str, Any] = {
    "groupKey": '{}:{alertname="Down"}',
    "receiver": "dispatchd",
    "status": "firing",
    "alerts": [
        {"fingerprint": "a1", "status": "firing", "startsAt": "2026-03-01T11:00:00Z"},
        {"fingerprint": "b2", "status": "firing", "startsAt": "2026-03-01T11:30:00Z"},
    ],
}
RESOLVED = {**ALERTS["alerts"][0], "status": "resolved"}


@pytest.mark.parametrize("auth", [{"scheme": "alertmanager"}, {"scheme": "grafana"},
                                  {"scheme": "alertmanager", "username": "am"}])  # fmt: skip
def test_a_group_of_alerts_is_known_by_its_state(auth: Mapping[str, Any]) -> None:
    """A group's key alone is the same for good: its end would be a repetition of its beginning."""
    empty = Request("POST", "/", {}, {}, b"")

    def id_(body: object) -> str | None:
        return parse(auth).delivery_id(empty, body)

    first = id_(ALERTS)
    assert first is not None
    again = {**ALERTS, "alerts": [*reversed(ALERTS["alerts"])], "version": "4"}
    again["alerts"][0] = {**again["alerts"][0], "endsAt": "2026-03-01T12:30:00Z"}
    assert id_(again) == first
    others = [
        {**ALERTS, "groupKey": "{}:{}"},
        {**ALERTS, "receiver": "other"},
        {**ALERTS, "status": "resolved"},
        {**ALERTS, "alerts": ALERTS["alerts"][:1]},
        {**ALERTS, "alerts": [RESOLVED, ALERTS["alerts"][1]]},
        {**ALERTS, "alerts": [{**RESOLVED, "startsAt": "2026-03-01T13:00:00Z"}]},
    ]
    assert len({first, *map(id_, others)}) == len(others) + 1
    nothing: list[Any] = [{}, [], None, {"groupKey": 5}, {"groupKey": "k", "alerts": 5}]
    assert {id_(odd) for odd in nothing} == {None}
    odd: dict[str, Any] = {"groupKey": ["\ud800"], "alerts": [1, {"fingerprint": {}}]}
    assert id_(odd) is not None


def test_grafana_signs_the_time_where_one_is_set() -> None:
    """And what was signed without it does not pass for that."""
    timed, untimed = VENDORS["grafana with a time"], VENDORS["grafana"]
    stamped = replace(untimed.request(), headers={**untimed.request().headers, "x-time": STAMP})
    assert not believed("grafana with a time", stamped)
    assert not believed("grafana", timed.request())


def test_a_key_in_base64_may_lack_its_padding_and_its_prefix() -> None:
    """The SDKs of Standard Webhooks take all of these for the same key."""
    text = "whsec_c29tZSBrZXkgb2Ygb25lcw=="
    genuine = VENDORS["svix"].request(text)
    for same in (text, text.rstrip("="), text[6:], text[6:].rstrip("=")):
        assert believed("svix", genuine, same)


@pytest.mark.parametrize(("name", "before"), [("standard_webhooks", "webhook"), ("svix", "svix")])
def test_standard_webhooks_may_be_signed_by_a_private_key(name: str, before: str) -> None:
    """``v1a`` signatures, while the secrets of ``v1`` are good as well."""
    private = Ed25519PrivateKey.generate()
    public = "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
    signature = base64.b64encode(private.sign(f"msg_1.{STAMP}.{BODY}".encode())).decode()
    headers = {f"{before}-id": "msg_1", f"{before}-timestamp": STAMP}
    headers[f"{before}-signature"] = f"v1a,{signature}"
    genuine = Request("POST", "/hooks", headers, {}, BODY.encode())
    assert believed(name, genuine, public)
    assert believed(name, genuine, WHSEC, public)
    assert believed(name, VENDORS[name].request(), WHSEC, public)
    assert not believed(name, genuine, WHSEC)
    assert not believed(name, replace(genuine, body=b"{}"), public)


def test_a_url_that_is_signed_must_be_known() -> None:
    scheme = parse({"scheme": "hmac", "header": "x-sign", "signed": "{url}{body}"})
    url = "https://hooks.example.com/hooks?a=b"
    signature = sha256(VENDORS["github"].secret, url + BODY).hex()
    held = secrets(VENDORS["github"].secret)
    genuine = Request("POST", "/hooks", {"x-sign": signature}, {}, BODY.encode(), url=url)
    assert scheme.verify(genuine, held, NOW) is None
    assert scheme.verify(replace(genuine, url=url + "c"), held, NOW) is not None
    unknown = scheme.verify(replace(genuine, url=""), held, NOW)
    assert isinstance(unknown, Mismatch)
    assert "public_url" in unknown.hint
    made = scheme.sign(genuine.body, held[0], NOW, path=url)
    assert made == {"x-sign": signature}


@pytest.mark.parametrize("name", SIGNED)
def test_dispatchd_signs_as_the_vendor_does(name: str) -> None:
    """`dispatchd test --sign` makes what a preset believes."""
    vendor, scheme = VENDORS[name], scheme_of(name)
    [secret] = secrets(vendor.secret)
    headers = scheme.sign(BODY.encode(), secret, NOW)
    assert believed(name, Request("POST", "/hooks", headers, {}, BODY.encode()))
    if not any(header.endswith("-id") for header in vendor.also_signed):
        assert headers[vendor.proof] == vendor.request().headers[vendor.proof]


ODD_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("\ud800\udc80,=. ")), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD_TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "event", "alerts", "groupKey", "x"]), inner)
    ),
    max_leaves=8,
)


@given(
    name=st.sampled_from(sorted(VENDORS)),
    values=st.lists(
        ODD_TEXT | st.sampled_from([STAMP, f"t={STAMP},v1=a", "v1,a v1,b"]), max_size=4
    ),
    body=st.binary(max_size=60) | st.just(BODY.encode()) | st.just(b"[" * 9999),
    parsed=JSON,
)
def test_whatever_comes_is_refused_without_raising(
    name: str, values: list[str], body: bytes, parsed: object
) -> None:
    genuine = VENDORS[name].request()
    headers = {**genuine.headers, **dict(zip(genuine.headers, values, strict=False))}
    query = dict(zip(genuine.query, values, strict=False))
    odd = replace(genuine, headers=headers, query=query, body=body)
    if odd != genuine and VENDORS[name].signs and body != genuine.body:
        assert not believed(name, odd)
    else:
        believed(name, odd)
    assert scheme_of(name).delivery_id(odd, parsed) != ""


# Names


@pytest.mark.parametrize("alias", ALIASES)
def test_another_spelling_is_the_same_scheme(alias: str) -> None:
    name = ALIASES[alias]
    assert PARAMETERS[alias] == SCHEMES[name].parameters
    required = {"topic_arn": "arn:aws:sns:eu-central-1:123456789012:builds"}
    more = {key: required[key] for key in SCHEMES[name].required}
    assert parse({"scheme": alias, **more}) == parse({"scheme": name, **more})


def test_every_header_s_schemes_exist_and_look_at_it() -> None:
    for header, sender in SENDERS.items():
        for name in sender.schemes:
            assert name in SCHEMES
            scheme = parse({"scheme": name}) if name in PRESETS or name in TOKENS else None
            shape = scheme.hmac if isinstance(scheme, StandardWebhooksScheme) else scheme
            looked_at = {getattr(shape, "header", header), "x-hook-secret"}
            assert header in looked_at
    covered = {name for sender in SENDERS.values() for name in sender.schemes}
    assert {*PRESETS, "gitlab", "telegram"} <= covered


@pytest.mark.parametrize(
    ("auth", "key"),
    [
        ({"scheme": "stripe", "timestamp_header": "x-t", "timestamp_prefix": "t="}, ""),
        ({"scheme": "stripe", "delivery_header": "x-i", "delivery_field": "id"}, "delivery_field"),
        ({"scheme": "gitlab", "header": "x", "query": "x"}, "header"),
        ({"scheme": "telegram", "delivery_header": "x", "delivery_field": "x"}, "delivery_field"),
        ({"scheme": "telegram", "delivery_field": "a..b"}, "delivery_field"),
        ({"scheme": "circleci", "delivery_field": "$.id"}, "delivery_field"),
        ({"scheme": "circleci", "timestamp_prefix": "t="}, "timestamp_prefix"),
        ({"scheme": "linear", "timestamp_field": "a b"}, "timestamp_field"),
        ({"scheme": "standard_webhooks", "delivery_field": "id"}, "signed"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(
    auth: Mapping[str, Any], key: str
) -> None:
    with pytest.raises(SchemeError) as caught:
        parse(auth)
    assert caught.value.key == (key or "timestamp_prefix")


# What is said to whoever mends it


def test_the_secret_of_another_endpoint_is_the_likely_cause_with_stripe() -> None:
    given = VENDORS["stripe"].request(VENDORS["stripe"].other)
    told = str(explain(parse({"scheme": "stripe"}), given, secrets(WHSEC), NOW))
    assert "another secret than env:SECRET" in told
    assert "one for each endpoint" in told


def test_a_secret_that_is_decoded_or_not_is_told() -> None:
    """Stripe's whsec_… is the key as it stands, that of Standard Webhooks its base64."""
    held = secrets(WHSEC)
    [secret] = held
    whole = parse({"scheme": "svix", "key_encoding": "utf8", "key_prefix": "-"})
    made = Request("POST", "/", whole.sign(BODY.encode(), secret, NOW), {}, BODY.encode())
    told = str(explain(parse({"scheme": "svix"}), made, held, NOW))
    assert '"key_encoding": "utf8"' in told
    decoded = parse({"scheme": "stripe", "key_encoding": "base64", "key_prefix": "whsec_"})
    made = Request("POST", "/", decoded.sign(BODY.encode(), secret, NOW), {}, BODY.encode())
    told = str(explain(parse({"scheme": "stripe"}), made, held, NOW))
    assert '"key_encoding": "base64", "key_prefix": "whsec_"' in told


def test_gitlab_s_token_in_place_of_its_signature_is_told() -> None:
    given = VENDORS["gitlab"].request(WHSEC)
    told = str(explain(parse({"scheme": "gitlab_signed"}), given, secrets(WHSEC), NOW))
    assert "x-gitlab-token (GitLab)" in told
    assert "the scheme should be `gitlab`" in told
    given = VENDORS["gitlab_signed"].request()
    told = str(explain(parse({"scheme": "gitlab"}), given, secrets(WHSEC), NOW))
    assert "`standard_webhooks` or `gitlab_signed`" in told


def test_a_time_that_the_config_does_not_know_of_is_told() -> None:
    given, held = VENDORS["grafana with a time"].request(), secrets(VENDORS["grafana"].secret)
    told = str(explain(parse({"scheme": "grafana"}), given, held, NOW))
    assert '"timestamp_header": "x-time", "signed": "{timestamp}:{body}"' in told


def test_a_key_that_is_no_base64_is_told() -> None:
    told = parse({"scheme": "airtable"}).verify(VENDORS["airtable"].request(), secrets("ä"), NOW)
    assert "not in the key encoding" in str(told)
