"""How senders check an address: each vendor's documented example is answered as its page says, what
is not quite it is not, and nothing that is asked makes an answer unsafe."""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.secret import Secret
from daemon.signatures import SCHEMES, Mismatch, Request, parse
from daemon.signatures.handshake import Handshake, Reply
from daemon.signatures.handshakes import (
    AsanaHandshake,
    CloudEventsValidation,
    DiscordPing,
    DropboxChallenge,
    GithubPing,
    GraphValidation,
    MetaVerification,
    NotionToken,
    SlackChallenge,
    SnsConfirmation,
    ZoomValidation,
)

SECRET = Secret("the secret token of the app", "env:SECRET")
OTHER = Secret("the one before it was rotated", "env:OTHER")
TOKEN = Secret("meatyhamhock", "env:VERIFY_TOKEN")
NOSNIFF = {"X-Content-Type-Options": "nosniff"}

SLACK_CHALLENGE = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
ASANA_SECRET = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
NOTION_TOKEN = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"
PLAIN_TOKEN = "qgg8vlvZRS6UYooatFL8Aw"
GRAPH_TOKEN = (
    "Validation: Testing client application reachability for subscription "
    "Request-Id: 522a8e7e-096a-494c-aaf1-ac0dcfca45b7"
)
TOPIC = "arn:aws:sns:us-west-2:123456789012:MyTopic"
SUBSCRIBE_URL = (
    "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription"
    f"&TopicArn={TOPIC}&Token=2336412f37fb687f5d51e6e241d09c805a5a57b30d712f794cc5f6a988666d92"
)


def sent(
    value: object = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    method: str = "POST",
) -> Request:
    """A request with ``value`` as its JSON body."""
    body = b"" if value is None else json.dumps(value).encode()
    return Request(method, "/hooks/team", headers or {}, query or {}, body)


def by_zoom(value: object, secret: Secret = SECRET) -> Request:
    """A request as Zoom signs it."""
    request = sent(value)
    signed = b"v0:1772366400:" + request.body
    signature = hmac.new(secret.reveal().encode(), signed, hashlib.sha256).hexdigest()
    headers = {"x-zm-request-timestamp": "1772366400", "x-zm-signature": f"v0={signature}"}
    return replace(request, headers=headers)


def zooms_question(token: object = PLAIN_TOKEN) -> dict[str, Any]:
    return {
        "event": "endpoint.url_validation",
        "event_ts": 1654503849680,
        "payload": {"plainToken": token},
    }


def aws_message(url: object = SUBSCRIBE_URL, kind: str = "SubscriptionConfirmation") -> Request:
    """A message as SNS sends it, as text/plain."""
    message = {
        "Type": kind,
        "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
        "TopicArn": TOPIC,
        "SubscribeURL": url,
    }
    return sent(message, {"content-type": "text/plain; charset=UTF-8"})


def metas_query(**changes: str) -> dict[str, str]:
    query = {"mode": "subscribe", "challenge": "1158201444", "verify_token": "meatyhamhock"}
    return {f"hub.{name}": value for name, value in {**query, **changes}.items()}


@dataclass(frozen=True)
class Example:
    """A request of a vendor's documentation, and the answer that it waits for."""

    handshake: Handshake
    request: Request
    reply: Reply = field(default_factory=Reply)


# Sent when the request has proved itself.
SIGNED: Mapping[str, Example] = {
    "GitHub": Example(
        GithubPing(), sent({"zen": "Design for failure.", "hook_id": 1}, {"x-github-event": "ping"})
    ),
    "Slack": Example(
        SlackChallenge(),
        sent({"token": "Jhj5", "challenge": SLACK_CHALLENGE, "type": "url_verification"}),
        Reply(body=SLACK_CHALLENGE, headers=NOSNIFF),
    ),
    "Discord's interactions": Example(
        DiscordPing(),
        sent({"id": "1", "application_id": "2", "type": 1, "token": "t", "version": 1}),
        Reply(body='{"type": 1}', content_type="application/json"),
    ),
    "Discord's events": Example(
        DiscordPing(),
        sent({"version": 1, "application_id": "1234560123453231555", "type": 0}),
        Reply(status=204, body=""),
    ),
    "Zoom": Example(
        ZoomValidation(),
        by_zoom(zooms_question()),
        Reply(
            body=json.dumps(
                {
                    "plainToken": PLAIN_TOKEN,
                    "encryptedToken": hmac.new(
                        SECRET.reveal().encode(), PLAIN_TOKEN.encode(), hashlib.sha256
                    ).hexdigest(),
                }
            ),
            content_type="application/json",
        ),
    ),
    "SNS": Example(SnsConfirmation(), aws_message(), Reply(fetches=SUBSCRIBE_URL)),
    "SNS's parting": Example(SnsConfirmation(), aws_message(kind="UnsubscribeConfirmation")),
}

# Sent by whoever wants to.
UNSIGNED: Mapping[str, Example] = {
    "Meta": Example(
        MetaVerification(),
        sent(query=metas_query(), method="GET"),
        Reply(body="1158201444", headers=NOSNIFF),
    ),
    "Microsoft Graph": Example(
        GraphValidation(),
        sent(query={"validationToken": GRAPH_TOKEN}),
        Reply(body=GRAPH_TOKEN, headers=NOSNIFF),
    ),
    "Dropbox": Example(
        DropboxChallenge(),
        sent(query={"challenge": "abc123"}, method="GET"),
        Reply(body="abc123", headers=NOSNIFF),
    ),
    "Asana": Example(
        AsanaHandshake(),
        sent({}, {"x-hook-secret": ASANA_SECRET}),
        Reply(
            body="",
            headers={"X-Hook-Secret": ASANA_SECRET},
            learns=Secret(ASANA_SECRET, "from the example"),
        ),
    ),
    "Notion": Example(
        NotionToken(),
        sent({"verification_token": NOTION_TOKEN}),
        Reply(body="", learns=Secret(NOTION_TOKEN, "from the example")),
    ),
    "CloudEvents": Example(
        CloudEventsValidation(),
        sent(
            headers={
                "webhook-request-origin": "eventemitter.example.com",
                "webhook-request-rate": "120",
            },
            method="OPTIONS",
        ),
        Reply(
            body="",
            headers={
                "Allow": "POST",
                "WebHook-Allowed-Origin": "eventemitter.example.com",
                "WebHook-Allowed-Rate": "*",
            },
        ),
    ),
}
EXAMPLES = {**SIGNED, **UNSIGNED}

# What else these senders send, by the vendor whose handshake is asked about it.
DELIVERIES: Mapping[str, Request] = {
    "GitHub": sent({"ref": "refs/heads/main"}, {"x-github-event": "push"}),
    "Slack": sent({"type": "event_callback", "challenge": "x", "event": {"type": "message"}}),
    "Discord's interactions": sent({"type": 2, "data": {"name": "deploy"}, "version": 1}),
    "Discord's events": sent({"version": 1, "type": 1, "event": {"type": "ENTITLEMENT_CREATE"}}),
    "Zoom": by_zoom({"event": "meeting.started", "payload": {"plainToken": PLAIN_TOKEN}}),
    "SNS": aws_message(kind="Notification"),
    "SNS's parting": sent("just text"),
    "Meta": sent({"object": "page", "entry": []}, query=metas_query()),
    "Microsoft Graph": sent({"value": [{"clientState": "secretClientValue"}]}),
    "Dropbox": sent({"list_folder": {"accounts": ["dbid:AAH4"]}}, query={"challenge": "abc123"}),
    "Asana": sent({"events": []}, {"x-hook-signature": "ab" * 32, "x-hook-secret": ASANA_SECRET}),
    "Notion": sent({"id": "367c", "verification_token": NOTION_TOKEN, "type": "page.created"}),
    "CloudEvents": sent({"specversion": "1.0"}, {"webhook-request-origin": "eventgrid.azure.net"}),
}


def parsed(request: Request) -> object:
    """The body as the receiver parses it: SNS says that its JSON is text."""
    if request.headers.get("content-type", "").startswith("text/"):
        return request.body.decode()
    return json.loads(request.body) if request.body else None


def answer(handshake: Handshake, request: Request, *secrets: Secret) -> Reply | Mismatch | None:
    """What the handshake says of the request, before its proof or after it."""
    opening = handshake.opening(request, [TOKEN])
    if opening is not None:
        return opening
    return handshake.proven(request, parsed(request), secrets or [SECRET])


def refusal(handshake: Handshake, request: Request, *secrets: Secret) -> str:
    found = answer(handshake, request, *secrets)
    assert isinstance(found, Mismatch), found
    return str(found)


@pytest.mark.parametrize("vendor", EXAMPLES)
def test_what_a_vendor_asks_is_answered_as_its_documentation_says(vendor: str) -> None:
    example = EXAMPLES[vendor]

    assert answer(example.handshake, example.request) == example.reply


@pytest.mark.parametrize("vendor", EXAMPLES)
def test_a_vendor_asks_by_a_method_that_its_handshake_names(vendor: str) -> None:
    """The route serves the methods that the handshake names, and no others."""
    example = EXAMPLES[vendor]

    assert example.request.method in example.handshake.methods
    for method in {"GET", "POST", "OPTIONS"} - example.handshake.methods:
        asked = replace(example.request, method=method)
        assert example.handshake.opening(asked, [TOKEN]) is None


@pytest.mark.parametrize("vendor", EXAMPLES)
def test_a_delivery_is_no_handshake(vendor: str) -> None:
    assert answer(EXAMPLES[vendor].handshake, DELIVERIES[vendor]) is None


@pytest.mark.parametrize("vendor", SIGNED)
def test_what_is_signed_is_not_answered_before_the_proof(vendor: str) -> None:
    example = SIGNED[vendor]

    assert example.handshake.opening(example.request, [TOKEN]) is None


@pytest.mark.parametrize("vendor", UNSIGNED)
def test_what_is_not_signed_is_answered_before_the_proof_only(vendor: str) -> None:
    example = UNSIGNED[vendor]

    assert example.handshake.proven(example.request, parsed(example.request), [SECRET]) is None


def test_equal_handshakes_are_one_value() -> None:
    """A scheme holds one, and schemes are told apart by their values."""
    kinds = {type(example.handshake) for example in EXAMPLES.values()}

    handshakes = {kind() for kind in kinds for _ in range(2)}

    assert len(handshakes) == len(kinds)


@pytest.mark.parametrize("vendor", EXAMPLES)
def test_a_reply_shows_no_secret(vendor: str) -> None:
    """Replies may end in a log or a traceback."""
    shown = repr(answer(EXAMPLES[vendor].handshake, EXAMPLES[vendor].request))

    for secret in (ASANA_SECRET, NOTION_TOKEN, SECRET.reveal(), "2336412f37"):
        assert secret not in shown


@pytest.mark.parametrize(
    "challenge", [None, 7, "", "x" * 1025, "a\r\nb", "a\0b", "<script>", "é", ["a"]]
)
def test_slack_gets_no_challenge_back_that_is_unsafe(challenge: object) -> None:
    asked = sent({"type": "url_verification", "challenge": challenge})

    assert "no challenge that could be repeated" in refusal(SlackChallenge(), asked)


@pytest.mark.parametrize("plain", [None, 7, "", "x" * 129, "a\nb", "a b", "a.b", {"a": "b"}])
def test_zoom_has_nothing_signed_that_is_no_token(plain: object) -> None:
    asked = by_zoom(zooms_question(plain))

    assert "no plainToken that may be signed" in refusal(ZoomValidation(), asked)


def test_zoom_has_no_delivery_signed() -> None:
    """Whoever gets the HMAC of this text could send it as Zoom's."""
    delivery = b'{"event":"meeting.started"}'
    text = b"v0:1772366400:" + delivery
    scheme = parse(
        {
            "scheme": "hmac",
            "header": "x-zm-signature",
            "prefix": "v0=",
            "signed": "v0:{timestamp}:{body}",
            "timestamp_header": "x-zm-request-timestamp",
            "tolerance": timedelta(minutes=5),
        }
    )
    signature = hmac.new(SECRET.reveal().encode(), text, hashlib.sha256).hexdigest()
    headers = {"x-zm-signature": f"v0={signature}", "x-zm-request-timestamp": "1772366400"}
    forged = Request("POST", "/hooks/team", headers, {}, delivery)
    now = datetime.fromtimestamp(1772366400, UTC)
    assert scheme.verify(forged, [SECRET], now) is None  # such an answer would be worth having

    asked = by_zoom(zooms_question(text.decode()))

    assert "no plainToken that may be signed" in refusal(ZoomValidation(), asked)


@pytest.mark.parametrize("header", ["x-zm-signature", "x-zm-request-timestamp"])
def test_zoom_is_answered_only_if_the_very_request_is_signed(header: str) -> None:
    """Wherever the handshake is called from, it signs nothing for a stranger."""
    asked = by_zoom(zooms_question())
    changed = replace(asked, headers={**asked.headers, header: "v0=" + "0" * 64})
    other_token = replace(by_zoom(zooms_question("another")), headers=asked.headers)

    for request in (changed, other_token, replace(asked, headers={})):
        assert "is not signed as Zoom signs" in refusal(ZoomValidation(), request)


@pytest.mark.parametrize("secrets", [[SECRET, OTHER], [OTHER, SECRET]])
@pytest.mark.parametrize("signer", [SECRET, OTHER])
def test_of_several_secrets_zoom_is_answered_with_the_one_that_signed(
    secrets: list[Secret], signer: Secret
) -> None:
    reply = answer(ZoomValidation(), by_zoom(zooms_question(), signer), *secrets)

    assert isinstance(reply, Reply)
    expected = hmac.new(signer.reveal().encode(), PLAIN_TOKEN.encode(), hashlib.sha256)
    assert json.loads(reply.body or "")["encryptedToken"] == expected.hexdigest()


def test_an_empty_secret_signs_nothing_for_zoom() -> None:
    empty = Secret("", "env:EMPTY")

    assert "not signed" in refusal(ZoomValidation(), by_zoom(zooms_question(), empty), empty)


@pytest.mark.parametrize("kind", ["1", True, 1.0, None, 2, -1])
def test_discord_is_pinged_by_numbers_only(kind: object) -> None:
    assert answer(DiscordPing(), sent({"type": kind})) is None


@pytest.mark.parametrize(
    "received", ["", "meatyhamhoc", "Meatyhamhock", "meatyhamhock ", "é\udcff"]
)
def test_meta_is_not_answered_without_the_verify_token(received: str) -> None:
    asked = sent(query=metas_query(verify_token=received), method="GET")

    shown = refusal(MetaVerification(), asked)

    assert "hub.verify_token does not match" in shown
    assert TOKEN.reveal() not in shown


@pytest.mark.parametrize("tokens", [[], [Secret("", "env:EMPTY")], [Secret(" \n", "env:BLANK")]])
def test_meta_is_told_to_nobody_while_no_verify_token_is_set(tokens: list[Secret]) -> None:
    """An empty token would be everybody's."""
    for received in ("", " \n", "meatyhamhock"):
        asked = sent(query=metas_query(verify_token=received), method="GET")
        found = MetaVerification().opening(asked, tokens)
        assert isinstance(found, Mismatch)
        assert "set `verify_token`" in found.hint


def test_any_of_several_verify_tokens_will_do_for_meta() -> None:
    asked = sent(query=metas_query(), method="GET")

    assert isinstance(MetaVerification().opening(asked, [OTHER, TOKEN]), Reply)


def test_meta_is_answered_only_when_it_subscribes() -> None:
    asked = sent(query=metas_query(mode="unsubscribe"), method="GET")

    assert answer(MetaVerification(), asked) is None


@pytest.mark.parametrize("challenge", ["", "<b>1</b>", "1 2", "1\r\n2", "9" * 513, "٣"])
def test_meta_gets_no_challenge_back_that_is_unsafe(challenge: str) -> None:
    asked = sent(query=metas_query(challenge=challenge), method="GET")

    assert "hub.challenge" in refusal(MetaVerification(), asked)


@pytest.mark.parametrize("token", ["", "<script>alert(1)</script>", "a\nb", "é", "x" * 1025])
def test_graph_gets_no_token_back_that_is_unsafe(token: str) -> None:
    asked = sent(query={"validationToken": token})

    assert "validationToken" in refusal(GraphValidation(), asked)


@pytest.mark.parametrize("challenge", ["", "<b>", "a b", "a\nb", "é", "x" * 513])
def test_dropbox_gets_no_challenge_back_that_is_unsafe(challenge: str) -> None:
    asked = sent(query={"challenge": challenge}, method="GET")

    assert "challenge" in refusal(DropboxChallenge(), asked)


@pytest.mark.parametrize(
    "secret",
    ["", "short", "x" * 257, f"{ASANA_SECRET}, {ASANA_SECRET}", f"{ASANA_SECRET}\r\nset-cookie: a"],
)
def test_what_cannot_be_a_secret_is_not_learned_from_asana(secret: str) -> None:
    """Neither is a header that came twice, nor anything that would end the answer's header."""
    asked = sent({}, {"x-hook-secret": secret})

    shown = refusal(AsanaHandshake(), asked)

    assert not secret or secret not in shown


@pytest.mark.parametrize("token", [None, 7, "", "short", "x" * 257, "secret with a space in it"])
def test_what_cannot_be_a_secret_is_not_learned_from_notion(token: object) -> None:
    asked = sent({"verification_token": token})

    assert "verification_token" in refusal(NotionToken(), asked)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"verification_token"',
        b"{" * 600,
        b"\xff",
        b'{"verification_token": "%s"}' % (b" " * 1024 + NOTION_TOKEN.encode()),
        json.dumps([{"verification_token": NOTION_TOKEN}]).encode(),
    ],
)
def test_no_other_body_is_notions_token(body: bytes) -> None:
    assert NotionToken().opening(replace(sent(), body=body), []) is None


def test_a_token_beside_a_signature_is_not_learned_from_notion() -> None:
    asked = sent({"verification_token": NOTION_TOKEN}, {"x-notion-signature": "sha256=00"})

    assert answer(NotionToken(), asked) is None


@pytest.mark.parametrize(
    "host",
    [
        "sns.us-east-1.amazonaws.com",
        "sns.ap-southeast-7.amazonaws.com",
        "sns.us-gov-west-1.amazonaws.com",
        "sns.cn-north-1.amazonaws.com.cn",
    ],
)
def test_every_region_of_sns_can_be_confirmed(host: str) -> None:
    url = SUBSCRIBE_URL.replace("sns.us-west-2.amazonaws.com", host)

    assert answer(SnsConfirmation(), aws_message(url)) == Reply(fetches=url)


def test_a_topic_may_be_written_with_escapes() -> None:
    url = SUBSCRIBE_URL.replace(TOPIC, quote(TOPIC, safe=""))

    assert answer(SnsConfirmation(), aws_message(url)) == Reply(fetches=url)


@pytest.mark.parametrize(
    ("from_", "to"),
    [
        ("https:", "http:"),
        ("https://", "https://user@"),
        ("https://", "https://evil.example/?"),
        ("https://", "https://evil.example\\@"),
        ("amazonaws.com/", "amazonaws.com:8443/"),
        ("amazonaws.com/", "amazonaws.com.evil.example/"),
        ("amazonaws.com/", "amazonaws.com@evil.example/"),
        ("amazonaws.com/", "amazonaws.com#.evil.example/"),
        ("amazonaws.com/", "amazonaws.com/latest/meta-data/"),
        ("amazonaws.com/", "amazonaws.com\r\nx: y/"),
        ("sns.us-west-2", "s3.us-west-2"),
        ("sns.us-west-2", "sns.us-west-2.evil"),
        ("sns.us-west-2", "sns.169.254.169.254"),
        ("sns.us-west-2", "sns.US-WEST-2"),
        ("sns.us-west-2", "sns.s3-us-west-2"),  # a bucket named sns
        ("https://sns.us-west-2.amazonaws.com", "https://169.254.169.254"),
        ("https://sns.us-west-2.amazonaws.com", "file:///etc/passwd"),
        ("?", "?" + "a" * 2048),
        ("2336412f37", "2336412f37#"),
    ],
)
def test_what_is_no_address_of_sns_is_not_fetched(from_: str, to: str) -> None:
    url = SUBSCRIBE_URL.replace(from_, to)
    assert url != SUBSCRIBE_URL

    assert "no address of sns" in refusal(SnsConfirmation(), aws_message(url))


@pytest.mark.parametrize("url", [None, 7, "", ["https://sns.us-west-2.amazonaws.com/"]])
def test_a_confirmation_without_an_address_is_not_fetched(url: object) -> None:
    assert "no address of sns" in refusal(SnsConfirmation(), aws_message(url))


@pytest.mark.parametrize(
    ("from_", "to"),
    [
        ("Action=ConfirmSubscription", "Action=Unsubscribe"),
        ("Action=ConfirmSubscription", "Action=Publish&Message=a"),
        ("Action=ConfirmSubscription&", ""),
        ("MyTopic", "AnotherTopic"),
        (f"&TopicArn={TOPIC}", ""),
        ("&Token=", "&Other="),
        ("?", f"?TopicArn={TOPIC}&"),
        ("?", "?Action=Publish&"),
        ("?", "?Endpoint=a&"),
    ],
)
def test_an_address_of_sns_is_fetched_only_to_confirm_the_topic(from_: str, to: str) -> None:
    url = SUBSCRIBE_URL.replace(from_, to)

    assert "does not ask to confirm the message's topic" in refusal(
        SnsConfirmation(), aws_message(url)
    )


def test_a_confirmation_of_no_topic_is_not_fetched() -> None:
    url = SUBSCRIBE_URL.replace(f"&TopicArn={TOPIC}", "")
    asked = sent({"Type": "SubscriptionConfirmation", "SubscribeURL": url})

    assert "does not ask to confirm" in refusal(SnsConfirmation(), asked)


@pytest.mark.parametrize("origin", ["", "a b", "a\r\nset-cookie: b", "a, b", "*", "x" * 254, "é"])
def test_an_origin_that_is_no_host_is_not_repeated(origin: str) -> None:
    asked = sent(headers={"webhook-request-origin": origin}, method="OPTIONS")

    assert "webhook-request-origin" in refusal(CloudEventsValidation(), asked)


ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "handshakes.md").read_text(encoding="utf-8")
GIVEN: Mapping[str, Mapping[str, str]] = {
    "basic": {"username": "ann"},
    "hmac": {"header": "x-signature"},
    "sns": {"topic_arn": TOPIC},
    "token": {"header": "x-token"},
}


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE)


def test_the_page_lists_every_scheme_that_has_a_handshake() -> None:
    table, _, _ = PAGE.partition("\n## ")
    having = {name for name in SCHEMES if parse({"scheme": name, **GIVEN.get(name, {})}).handshake}

    listed = {name for cell in first_cells(table) for name in re.findall(r"`(\w+)`", cell)}

    assert listed == having


def test_the_page_explains_what_the_code_says() -> None:
    _, _, table = PAGE.partition("\n## When it is not answered\n")
    files = [*(ROOT / "daemon" / "signatures").rglob("*.py"), ROOT / "daemon" / "greeting.py"]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    said = [node.value for node in nodes if isinstance(node, ast.Constant)]
    messages = [
        text for cell in first_cells(table) for text in re.findall(r"`… ?(.+?)`|`(.+?)`", cell)
    ]

    explained = {first or second for first, second in messages}

    assert len(explained) > 5
    for message in explained:
        assert any(message in text for text in said if isinstance(text, str)), message


# For what must hold whatever is asked: the words that the handshakes look for, with anything at all
# in their place.
_TEXTS = f"""
{SLACK_CHALLENGE} {ASANA_SECRET} {NOTION_TOKEN} {PLAIN_TOKEN} {SUBSCRIBE_URL} {TOPIC} meatyhamhock
subscribe ping url_verification endpoint.url_validation SubscriptionConfirmation eventgrid.azure.net
""".split()
_FIELDS = [
    "type",
    "challenge",
    "event",
    "payload",
    "plainToken",
    "version",
    "verification_token",
    "Type",
    "TopicArn",
    "SubscribeURL",
    "Token",
]
_HEADERS = [
    "x-github-event",
    "x-hook-secret",
    "x-hook-signature",
    "x-zm-signature",
    "x-zm-request-timestamp",
    "x-notion-signature",
    "webhook-request-origin",
    "content-type",
]
_QUERY = ["hub.mode", "hub.challenge", "hub.verify_token", "challenge", "validationToken"]

_anything = (
    st.sampled_from(_TEXTS)
    | st.text(st.characters(exclude_categories=()), max_size=40)
    | st.builds("{}\r\nset-cookie: {}".format, st.sampled_from(_TEXTS), st.text(max_size=5))
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_anything, inner, max_size=3),
    max_leaves=8,
)
_fields = st.dictionaries(
    st.sampled_from(_FIELDS),
    st.sampled_from([0, 1]) | _json | st.fixed_dictionaries({"plainToken": _json}),
)
_headers = st.dictionaries(st.sampled_from(_HEADERS), _anything)
_query = st.dictionaries(st.sampled_from(_QUERY), _anything)
_SAFE = re.compile(r"[ -~]*")


@given(
    method=st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "PUT"]),
    headers=_headers,
    query=_query,
    body=_json | _fields,
    octets=st.none() | st.binary(max_size=200),
)
def test_whatever_is_asked_the_answer_is_safe(
    method: str,
    headers: dict[str, str],
    query: dict[str, str],
    body: object,
    octets: bytes | None,
) -> None:
    """Nothing raises; what is repeated is a bounded line of ASCII; what is learned is a token; what
    is fetched is on a host of SNS."""
    raw = json.dumps(body).encode() if octets is None else octets
    request = Request(method, "/hooks/team", headers, query, raw)
    for handshake in {example.handshake for example in EXAMPLES.values()}:
        for found in (
            handshake.opening(request, [TOKEN]),
            handshake.proven(request, body, [SECRET]),
        ):
            if not isinstance(found, Reply):
                assert found is None or isinstance(found, Mismatch)
                continue
            lines = [found.body or "", *found.headers, *found.headers.values()]
            assert all(len(line) <= 1024 and _SAFE.fullmatch(line) for line in lines)
            assert found.content_type in ("text/plain; charset=utf-8", "application/json")
            if found.learns is not None:
                assert 16 <= len(found.learns.reveal()) <= 256
            if found.fetches:
                url = urlsplit(found.fetches)
                assert url.hostname == url.netloc
                assert url.netloc.endswith((".amazonaws.com", ".amazonaws.com.cn"))
                assert parse_qs(url.query)["Action"] == ["ConfirmSubscription"]
