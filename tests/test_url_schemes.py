"""Twilio and HubSpot, who sign the URL that they called."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from daemon.signatures.hubspot import HubspotScheme
from daemon.signatures.request import Mismatch
from daemon.signatures.scheme import SchemeError
from daemon.signatures.twilio import FORM_FIELDS_MAX, FORM_SIZE_MAX, TwilioScheme
from tests.odd_senders import (
    AUTH_TOKEN,
    CLIENT_SECRET,
    NOW,
    SECONDS,
    Sent,
    hubspot,
    post,
    twilio_form,
    twilio_json,
)


def refusal(answer: object) -> Mismatch:
    assert isinstance(answer, Mismatch)
    assert answer.hint
    return answer


class Form(dict[str, list[str]]):
    """The fields as the web frameworks hand them to the SDK."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


@pytest.mark.parametrize("sent", [twilio_form(), twilio_json(), hubspot()])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [("https:", "http:"), (".com/", ".org/"), (".com/", ".com/x/"), ("?", "?x=1&"), ("?", "/?")],
)
def test_another_url_is_refused(sent: Sent, was: str, becomes: str) -> None:
    url = sent.request.url.replace(was, becomes, 1)
    assert url != sent.request.url
    assert "public_url" in refusal(sent.verify(url=url)).hint


@pytest.mark.parametrize("sent", [twilio_form(), hubspot()])
def test_where_the_url_is_not_known_the_refusal_says_where_to_set_it(sent: Sent) -> None:
    answer = refusal(sent.verify(url=""))
    assert "`public_url` in DAEMON.yaml" in answer.hint


@pytest.mark.parametrize(
    ("called", "signed"),
    [
        ("https://h.example/sms", "https://h.example:443/sms"),
        ("https://h.example:443/sms", "https://h.example/sms"),
        ("http://h.example/sms?x=1", "http://h.example:80/sms?x=1"),
        ("https://h.example:8443/sms", "https://h.example/sms"),
        ("https://me:pw@h.example/sms", "https://me:pw@h.example:443/sms"),
        ("https://[::1]/sms", "https://[::1]:443/sms"),
    ],
)
def test_twilio_may_sign_the_url_with_or_without_its_port(called: str, signed: str) -> None:
    sent = twilio_form(url=signed)
    assert sent.verify(url=called) is None
    assert refusal(sent.verify(url=called.replace("sms", "voice"))).reason


def test_the_fields_of_twilio_are_signed_sorted_and_each_different_one_once() -> None:
    """As the SDK has it, for a form that a framework reads."""
    url = "https://hooks.example.com/sms"
    body = b"b=2&a=1&b=1&b=2&a=&%C3%A9=+&B=x"
    fields = Form({"b": ["2", "1", "2"], "a": ["1", ""], "é": [" "], "B": ["x"]})
    validator = RequestValidator(AUTH_TOKEN.reveal())
    signature = validator.compute_signature(url, fields)
    assert validator.validate(url, fields, signature)
    sent = twilio_form(body, url=url)
    assert sent.verify(headers=sent.with_header("x-twilio-signature", signature)) is None


def test_twilio_may_call_by_get_with_all_of_it_in_the_query() -> None:
    url = "https://hooks.example.com/sms?From=%2B15550100"
    signature = RequestValidator(AUTH_TOKEN.reveal()).compute_signature(url, {})
    request = replace(post(b"", {"x-twilio-signature": signature}, url), method="GET")
    assert TwilioScheme().verify(request, [AUTH_TOKEN], NOW) is None


def test_a_request_that_twilio_signed_with_a_signing_key_is_hashed_as_it_says() -> None:
    sent = twilio_form()
    url, fields = sent.request.url, {"MessageSid": "SM1"}
    signature = RequestValidator(AUTH_TOKEN.reveal()).compute_signature(url, fields, "HMAC_SHA256")
    settings = "x-twilio-webhooks-signature-settings"
    headers = {**sent.request.headers, "x-twilio-signature": signature}
    for text, believed in (
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", True),
        (" algorithm = hmac_sha256 ", True),
        ("key=webhooks_sharedkey_1", False),
        ("algorithm=HMAC_SHA1", False),
        ("algorithm=NONE", False),
    ):
        answer = sent.verify(headers={**headers, settings: text}, body=b"MessageSid=SM1")
        assert (answer is None) == believed


def test_a_body_that_twilio_did_not_sign_is_refused() -> None:
    """Though the signature is right for the URL: a captured GET could else carry any body."""
    url = "https://hooks.example.com/sms"
    signature = RequestValidator(AUTH_TOKEN.reveal()).compute_signature(url, {})
    for content_type in ("application/json", "", "text/plain", "multipart/form-data"):
        headers = {"x-twilio-signature": signature, "content-type": content_type}
        bare = post(b"", headers, url)
        assert TwilioScheme().verify(bare, [AUTH_TOKEN], NOW) is None
        answer = TwilioScheme().verify(replace(bare, body=b"{}"), [AUTH_TOKEN], NOW)
        assert "not signed" in refusal(answer).reason


def test_the_hash_in_the_url_counts_for_a_form_too() -> None:
    """Else a captured JSON request could be sent again as an empty form."""
    sent = twilio_json()
    headers = sent.with_header("content-type", "application/x-www-form-urlencoded")
    assert "hash" in refusal(sent.verify(headers=headers, body=b"")).reason


def test_a_form_of_unlikely_size_is_not_read() -> None:
    sent = twilio_form()
    assert "longer" in refusal(sent.verify(body=b"a" * (FORM_SIZE_MAX + 1))).reason
    many = b"&".join(b"a=1" for _ in range(FORM_FIELDS_MAX + 1))
    assert "fields" in refusal(sent.verify(body=many)).reason


def test_twilio_is_not_asked_to_sign_what_it_could_not() -> None:
    with pytest.raises(SchemeError, match="hash"):
        TwilioScheme().sign(b"{}", AUTH_TOKEN, NOW, path="https://h.example/?bodySHA256=00")


def test_twilio_is_told_to_do_nothing_and_names_its_deliveries() -> None:
    """Its id is not signed, so the body counts as well."""
    sent = twilio_form()
    answer = sent.scheme.acknowledgement
    assert (answer.status, answer.content_type) == (200, "text/xml; charset=utf-8")
    assert answer.body == '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
    named = replace(sent.request, headers=sent.with_header("i-twilio-idempotency-token", "t-1"))
    assert sent.scheme.delivery_id(named, {}) == "t-1"
    assert sent.scheme.delivery_id(sent.request, {}) is None
    assert sent.scheme.replayable


def test_hubspots_signature_is_the_one_of_its_sdk() -> None:
    """Made by ``hubspot-api-client`` 12.0.0, ``Signature.get_signature(…, "v3")``."""
    sent = hubspot()
    signature = "vTjJDo2ieJKLKpq98H4/F/PT/wy9QsRbpgpwUE8ZI74="
    assert sent.request.headers["x-hubspot-signature-v3"] == signature
    assert sent.verify() is None


def test_hubspot_takes_back_some_escapes_of_the_url_and_leaves_the_others() -> None:
    sent = hubspot(
        url="https://h.example/a%2fb?q=%3a%2F%3F%40%21%24%27%28%29%2A%2C%3B%20%26%3D%25%7B%C3%A9",
        signed_url="https://h.example/a/b?q=:/?@!$'()*,;%20%26%3D%25%7B%C3%A9",
    )
    assert sent.verify() is None


def test_the_method_is_signed_by_hubspot() -> None:
    assert refusal(hubspot().verify(method="PUT")).reason
    assert hubspot().verify(method="post") is None


def test_a_body_cannot_pass_for_a_part_of_the_url() -> None:
    """They are signed with nothing between them."""
    sent = hubspot(url="https://h.example/crm?portal=7", body=b'[{"eventId":1}]')
    moved = sent.request.url + sent.request.body.decode()
    assert "characters" in refusal(sent.verify(url=moved, body=b"")).reason


def test_a_time_cannot_lend_its_digits_to_the_body() -> None:
    """What is signed is the same text, cut elsewhere."""
    time = "177" + SECONDS
    sent = hubspot(body=b"5", time=time)
    headers = sent.with_header("x-hubspot-request-timestamp", SECONDS)
    answer = refusal(sent.verify(body=b"5177", headers=headers))
    assert "not a Unix time" in answer.reason


@pytest.mark.parametrize("text", ["", "now", "-1772366400000", "١٧٧٢٣٦٦٤٠٠٠٠٠", "1_772366400000"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    sent = hubspot()
    headers = sent.with_header("x-hubspot-request-timestamp", text)
    assert "Unix time" in refusal(sent.verify(headers=headers)).reason
    headers = {k: v for k, v in headers.items() if k != "x-hubspot-request-timestamp"}
    assert "missing" in refusal(sent.verify(headers=headers)).reason


def test_hubspot_signs_a_request_as_a_user_would_try_it() -> None:
    url = "https://h.example/crm"
    proof = HubspotScheme().sign(b"[]", CLIENT_SECRET, NOW, path=url)
    assert HubspotScheme().verify(post(b"[]", proof, url), [CLIENT_SECRET], NOW) is None
