"""Amazon SNS: whose message it is, and whose certificate."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import structs

from daemon.signatures.handshakes import SnsConfirmation
from daemon.signatures.request import Mismatch
from daemon.signatures.scheme import SchemeError
from daemon.signatures.sns import SnsScheme
from tests.odd_senders import (
    CERTIFICATE_URL,
    NOW,
    TOPIC,
    certificate,
    confirmation,
    notification,
    sns,
    sns_key,
)


def refusal(answer: object) -> Mismatch:
    assert isinstance(answer, Mismatch)
    assert answer.hint
    return answer


MESSAGES = {
    "notification": notification(),
    "without a subject": notification(Subject=None),
    "by SHA-256": notification(SignatureVersion="2"),
    "to confirm": confirmation("SubscriptionConfirmation"),
    "to part": confirmation("UnsubscribeConfirmation", SignatureVersion="2"),
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_each_kind_of_message_is_believed_and_every_signed_field_of_it_counts(kind: str) -> None:
    sent = sns(MESSAGES[kind])
    assert sent.verify() is None
    body = json.loads(sent.request.body)
    signed = {"Message", "MessageId", "Timestamp", "TopicArn", "Type", "Signature"}
    signed |= {"SignatureVersion", "SigningCertURL"}
    signed |= {"Subject"} & body.keys() or {"SubscribeURL", "Token"} & body.keys()
    for name in signed:
        wrong: list[object] = [f"{body[name]}x", None, 1, {}]
        for value in wrong:
            changed = json.dumps({**body, name: value}).encode()
            assert refusal(sent.verify(body=changed)).reason, name
        missing = {key: text for key, text in body.items() if key != name}
        assert refusal(sent.verify(body=json.dumps(missing).encode())).reason, name


def test_a_subject_cannot_be_added() -> None:
    sent = sns(notification(Subject=None))
    body = {**json.loads(sent.request.body), "Subject": "Urgent"}
    assert refusal(sent.verify(body=json.dumps(body).encode())).reason


def test_a_time_that_is_signed_wrongly_is_refused() -> None:
    """Though its sender signed it."""
    for time in ("2026-03-01T12:00:00", "2026-03-01", "2026-13-01T12:00:00Z", "1772366400", ""):
        assert "Timestamp" in refusal(sns(notification(Timestamp=time)).verify()).reason


def test_a_try_of_an_hour_later_is_believed() -> None:
    """SNS tries for that long, with the time of the first try."""
    sent = sns()
    late = NOW + timedelta(hours=1, minutes=2)
    assert sent.scheme.verify(sent.request, [], late) is None


def test_a_message_of_another_topic_is_refused_though_amazon_signed_it() -> None:
    """Every customer's topics are signed with one certificate."""
    sent = sns(notification(TopicArn=TOPIC.replace("123456789012", "999999999999")))
    assert "topic" in refusal(sent.verify()).reason
    assert sent.scheme.needs(sent.request) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
        "https://sns.eu-west-1.amazonaws.com:443/a.pem",
        "https://me@sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/a.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
        "https://sns.s3-us-west-2.amazonaws.com/a.pem",
        "https://sns.s3.amazonaws.com/a.pem",
        "https://sns.media.amazonaws.com/a.pem",
        "https://evil.sns.eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com.cn.evil.example/a.pem",
        "https://sns.evil.example/eu-west-1.amazonaws.com/a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.pem?x=1",
        "https://sns.eu-west-1.amazonaws.com/a.pem#x",
        "https://sns.eu-west-1.amazonaws.com/?a.pem",
        "https://sns.eu-west-1.amazonaws.com/../a.pem",
        "https://sns.eu-west-1.amazonaws.com/a.crt",
        "https://sns.eu-west-1.amazonaws.com/a.pem\n",
        " https://sns.eu-west-1.amazonaws.com/a.pem",
        "https://SNS.eu-west-1.amazonaws.com\\@evil.example/a.pem",
        "https://169.254.169.254/a.pem",
        "file:///etc/a.pem",
        "",
    ],
)
def test_a_certificate_from_elsewhere_is_not_asked_for(url: str) -> None:
    """And its message is refused, even with the certificate at hand."""
    sent = sns(notification(SigningCertURL=url))
    assert sent.scheme.needs(sent.request) is None
    assert "SigningCertURL" in refusal(sent.verify(fetched={url: certificate()})).reason


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE_URL,
        "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
        "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0a.pem",
        "https://sns.ap-southeast-3.amazonaws.com/SimpleNotificationService-0a.pem",
    ],
)
def test_the_certificate_is_asked_for_where_amazon_has_it(url: str) -> None:
    topic = TOPIC.replace("eu-west-1", url.split(".")[1])
    message = sns(notification(SigningCertURL=url, TopicArn=topic))
    sent = replace(message, scheme=SnsScheme(topic))
    assert sent.scheme.needs(sent.request) == url
    assert sent.verify(fetched={url: certificate()}) is None
    assert "fetched" in refusal(sent.verify(fetched={})).reason


def test_nothing_is_fetched_outside_of_the_topics_region() -> None:
    url = CERTIFICATE_URL.replace("eu-west-1", "us-east-1")
    sent = sns(notification(SigningCertURL=url))
    assert sent.scheme.needs(sent.request) is None


def test_a_certificate_that_does_not_hold_now_is_refused() -> None:
    sent, day = sns(), timedelta(days=1)
    for pem in (
        certificate(begins=NOW - 2 * day, ends=NOW - timedelta(minutes=1)),
        certificate(begins=NOW + timedelta(minutes=1), ends=NOW + day),
    ):
        assert "expired" in refusal(sent.verify(fetched={CERTIFICATE_URL: pem})).reason


def test_a_certificate_with_another_key_is_refused() -> None:
    short = sns_key(1024)
    der = x509.load_pem_x509_certificate(certificate()).public_bytes(Encoding.DER)
    body = base64.b64encode(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09", 1))
    of_unknown_version = b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % body
    for sent, pem in (
        (sns(), certificate(ec.generate_private_key(ec.SECP256R1()))),
        (sns(key=short), certificate(short)),
        (sns(), certificate(sns_key(3072))),
        (sns(), b""),
        (sns(), b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        (sns(), certificate()[:400]),
        (sns(), of_unknown_version),
    ):
        assert refusal(sent.verify(fetched={CERTIFICATE_URL: pem})).reason


def test_a_raw_message_is_refused_with_what_to_turn_off() -> None:
    sent = sns()
    headers = sent.with_header("x-amz-sns-rawdelivery", "true")
    answer = refusal(sent.verify(headers=headers, body=b"Hello"))
    assert "RawMessageDelivery" in answer.hint
    assert sent.scheme.needs(structs.replace(sent.request, headers=headers)) is None


def test_a_body_that_is_no_message_is_refused() -> None:
    sent = sns()
    deep = b"[" * 100_000
    long = sent.request.body[:-1] + b" " * 2 * 1024 * 1024 + b"}"
    for body in (b"", b"Hello", b"[]", b"null", b"\xff", deep, long):
        assert sent.scheme.needs(structs.replace(sent.request, body=body)) is None
        assert "no message" in refusal(sent.verify(body=body)).reason


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "alarms",
        TOPIC + ":6b0e71bd-7e97-4d97-80ce-4a0994e55286",
        TOPIC.replace("sns", "sqs"),
        TOPIC + "\n",
        TOPIC.replace("alarms", "*"),
    ],
)
def test_what_is_no_topic_is_refused_in_the_config(arn: str) -> None:
    """The ARN of a subscription is the usual slip."""
    with pytest.raises(SchemeError) as caught:
        SnsScheme(arn)
    assert caught.value.key == "topic_arn"


def test_sns_tells_its_messages_by_their_id_and_sends_json_as_text() -> None:
    sent = sns()
    body = json.loads(sent.request.body)
    assert isinstance(sent.scheme, SnsScheme)
    assert sent.scheme.delivery_id(sent.request, body) == body["MessageId"]
    assert sent.scheme.delivery_id(sent.request, "Hello") is None
    assert sent.scheme.body_type == "application/json"
    assert sent.scheme.handshake == SnsConfirmation()
    assert not sent.scheme.replayable
