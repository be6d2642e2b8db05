"""Genuine requests of the senders whose schemes have code of their own, signed by the vendors' SDKs
where there are any."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace
from nacl.signing import SigningKey
from standardwebhooks import Webhook
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from daemon.secret import Secret
from daemon.signatures.ed25519 import DiscordScheme, StandardWebhooksScheme
from daemon.signatures.hmac_scheme import HmacScheme
from daemon.signatures.hubspot import HubspotScheme
from daemon.signatures.keys import Encoding as Written
from daemon.signatures.keys import KeyEncoding
from daemon.signatures.microsoft_graph import MicrosoftGraphScheme
from daemon.signatures.netlify import NetlifyScheme
from daemon.signatures.request import Request
from daemon.signatures.scheme import Scheme
from daemon.signatures.sendgrid import SendgridScheme
from daemon.signatures.sns import SnsScheme
from daemon.signatures.twilio import TwilioScheme

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECONDS = str(int(NOW.timestamp()))
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

AUTH_TOKEN = Secret("3f2a9d5b7c1e", "env:TWILIO_AUTH_TOKEN")
CLIENT_SECRET = Secret("yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy", "env:HUBSPOT_CLIENT_SECRET")
JWS_SECRET = Secret(
    "a secret of sixty-four bytes, as long as an HMAC by SHA-512 would have it",
    "env:NETLIFY_JWS_SECRET",
)
CLIENT_STATE = Secret("c0ffee-client-state", "env:GRAPH_CLIENT_STATE")
SHARED_KEY = Secret("whsec_" + base64.b64encode(bytes(range(24))).decode(), "env:WHSEC")

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem"

STANDARD = StandardWebhooksScheme(
    "standard_webhooks",
    HmacScheme(
        header="webhook-signature",
        name="standard_webhooks",
        prefix="v1,",
        encoding=Written.BASE64,
        signed="{id}.{timestamp}.{body}",
        timestamp_header="webhook-timestamp",
        key_encoding=KeyEncoding.BASE64,
        key_prefix="whsec_",
        delivery_header="webhook-id",
    ),
)


@dataclass(frozen=True)
class Sent:
    """A genuine request; ``proof`` is the header with the signature, empty where that is in the
    body, and ``tolerance`` how old it may be, None where it tells no time."""

    scheme: Scheme
    secrets: Sequence[Secret]
    request: Request
    proof: str = ""
    tolerance: timedelta | None = None

    def verify(self, **changes: Any) -> object:
        """What the scheme says of the request with these changes."""
        return self.scheme.verify(replace(self.request, **changes), self.secrets, NOW)

    def with_header(self, name: str, value: str) -> Mapping[str, str]:
        return {**self.request.headers, name: value}


def post(
    body: bytes,
    headers: Mapping[str, str],
    url: str = "",
    fetched: Mapping[str, bytes] | None = None,
) -> Request:
    return Request("POST", "/hook", headers, {}, body, url, fetched or {})


def twilio_form(
    body: bytes = b"MessageSid=SM1&From=%2B15550100&Body=h%C3%A9llo+you&Media=",
    fields: Mapping[str, str] | None = None,
    url: str = "https://hooks.example.com/sms?team=a",
) -> Sent:
    fields = fields or {
        "MessageSid": "SM1",
        "From": "+15550100",
        "Body": "héllo you",
        "Media": "",
    }
    signature = RequestValidator(AUTH_TOKEN.reveal()).compute_signature(url, fields)
    headers = {"content-type": FORM, "x-twilio-signature": signature}
    return Sent(TwilioScheme(), [AUTH_TOKEN], post(body, headers, url), "x-twilio-signature")


def twilio_json(body: bytes = b'{"status": "ok"}') -> Sent:
    validator = RequestValidator(AUTH_TOKEN.reveal())
    url = f"https://hooks.example.com/events?bodySHA256={validator.compute_hash(body.decode())}"
    headers = {
        "content-type": JSON,
        "x-twilio-signature": validator.compute_signature(url, {}),
    }
    return Sent(TwilioScheme(), [AUTH_TOKEN], post(body, headers, url), "x-twilio-signature")


def hubspot(
    body: bytes = '[{"eventId":1,"objectId":"é"}]'.encode(),
    url: str = "https://hooks.example.com/crm?portal=7&to=a@b",
    signed_url: str = "",
    time: str = SECONDS + "000",
) -> Sent:
    signed = b"POST" + (signed_url or url).encode() + body + time.encode()
    mac = hmac.digest(CLIENT_SECRET.reveal().encode(), signed, hashlib.sha256)
    headers = {
        "content-type": JSON,
        "x-hubspot-signature-v3": base64.b64encode(mac).decode(),
        "x-hubspot-request-timestamp": time,
    }
    scheme = HubspotScheme()
    request = post(body, headers, url)
    return Sent(scheme, [CLIENT_SECRET], request, "x-hubspot-signature-v3", scheme.tolerance)


def netlify(
    body: bytes = b'{"id": "5e1", "state": "ready"}',
    algorithm: str = "HS256",
    header: Mapping[str, Any] | None = None,
    **claims: Any,
) -> Sent:
    claims = {"iss": "netlify", "sha256": hashlib.sha256(body).hexdigest(), **claims}
    key = JWS_SECRET.reveal() if algorithm != "none" else None
    token = jwt.encode(claims, key, algorithm, headers=dict(header or {}))  # type: ignore[arg-type]
    headers = {"content-type": JSON, "x-webhook-signature": token}
    return Sent(NetlifyScheme(), [JWS_SECRET], post(body, headers), "x-webhook-signature")


DISCORD_KEY = SigningKey(bytes(range(32)))
DISCORD_PUBLIC_KEY = Secret(DISCORD_KEY.verify_key.encode().hex(), "env:DISCORD_PUBLIC_KEY")


def discord(body: bytes = b'{"id": "1290", "type": 2}', time: str = SECONDS) -> Sent:
    headers = {
        "content-type": JSON,
        "x-signature-ed25519": DISCORD_KEY.sign(time.encode() + body).signature.hex(),
        "x-signature-timestamp": time,
    }
    scheme = DiscordScheme()
    request = post(body, headers)
    return Sent(scheme, [DISCORD_PUBLIC_KEY], request, "x-signature-ed25519", scheme.tolerance)


STANDARD_KEY = SigningKey(bytes(range(1, 33)))
STANDARD_PUBLIC_KEY = Secret(
    "whpk_" + base64.b64encode(STANDARD_KEY.verify_key.encode()).decode(), "env:WHPK"
)


def by_public_key(id_: str, body: bytes, time: str = SECONDS) -> str:
    signature = STANDARD_KEY.sign(f"{id_}.{time}.".encode() + body).signature
    return "v1a," + base64.b64encode(signature).decode()


def standard(
    signature: str = "", secrets: Sequence[Secret] = (STANDARD_PUBLIC_KEY,), id_: str = "msg_2KW"
) -> Sent:
    body = b'{"type": "user.created"}'
    headers = {
        "content-type": JSON,
        "webhook-id": id_,
        "webhook-timestamp": SECONDS,
        "webhook-signature": signature or by_public_key(id_, body),
    }
    request = post(body, headers)
    return Sent(STANDARD, secrets, request, "webhook-signature", STANDARD.hmac.tolerance)


def standard_hmac() -> Sent:
    signer = Webhook(SHARED_KEY.reveal())
    signature = signer.sign("msg_2KW", NOW, standard().request.body.decode())
    return standard(signature, [SHARED_KEY])


def as_verification_key(key: Any) -> Secret:
    """A public key as SendGrid shows it."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Secret(base64.b64encode(der).decode(), "env:SENDGRID_VERIFICATION_KEY")


@cache
def sendgrid_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def sendgrid() -> Sent:
    body = b'[{"sg_event_id": "ZGVs", "event": "open"}, {"sg_event_id": "Y2xp"}]\r\n'
    signature = sendgrid_key().sign(SECONDS.encode() + body, ec.ECDSA(SHA256()))
    headers = {
        "content-type": JSON,
        "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": SECONDS,
    }
    scheme = SendgridScheme()
    return Sent(
        scheme,
        [as_verification_key(sendgrid_key().public_key())],
        post(body, headers),
        "x-twilio-email-event-webhook-signature",
        scheme.tolerance,
    )


def microsoft_graph(*states: object) -> Sent:
    items = [{"id": f"n{at}", "clientState": state} for at, state in enumerate(states)]
    body = json.dumps({"value": items or [{"id": "n", "clientState": CLIENT_STATE.reveal()}]})
    headers = {"content-type": JSON}
    return Sent(MicrosoftGraphScheme(), [CLIENT_STATE], post(body.encode(), headers))


@cache
def sns_key(size: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, size)


def certificate(
    key: Any = None,
    begins: datetime = NOW - timedelta(days=1),
    ends: datetime = NOW + timedelta(days=1),
) -> bytes:
    key = key or sns_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def notification(**fields: object) -> dict[str, object]:
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": "My First Message",
        "Message": "Hello world!\nÀ bientôt",
        "Timestamp": "2026-03-01T11:59:58.123Z",
        "SignatureVersion": "1",
        "SigningCertURL": CERTIFICATE_URL,
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
        **fields,
    }


def confirmation(kind: str, **fields: object) -> dict[str, object]:
    return notification(
        Type=kind,
        Subject=None,
        Token="2336412f37",
        SubscribeURL="https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
        **fields,
    )


def sns(message: Mapping[str, object] | None = None, key: rsa.RSAPrivateKey | None = None) -> Sent:
    """``message`` signed as AWS documents it: the fields below by name, those that are there.

    https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
    """
    message = message or notification()
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if message["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    given = {name: message.get(name) for name in names}
    signed = "".join(f"{name}\n{value}\n" for name, value in given.items() if value is not None)
    digest = SHA1() if message["SignatureVersion"] == "1" else SHA256()  # noqa: S303 - as AWS does
    key = key or sns_key()
    signature = key.sign(signed.encode(), padding.PKCS1v15(), digest)
    body = {"Signature": base64.b64encode(signature).decode(), **message}
    body = {name: value for name, value in body.items() if value is not None}
    scheme = SnsScheme(TOPIC)
    request = post(
        json.dumps(body).encode(),
        {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": str(body["Type"])},
        fetched={CERTIFICATE_URL: certificate(key)},
    )
    return Sent(scheme, [], request, "", scheme.tolerance - timedelta(seconds=1.877))


@cache
def genuine() -> Mapping[str, Sent]:
    """One of each kind."""
    return {
        "twilio form": twilio_form(),
        "twilio JSON": twilio_json(),
        "hubspot": hubspot(),
        "netlify": netlify(),
        "discord": discord(),
        "standard webhooks v1": standard_hmac(),
        "standard webhooks v1a": standard(),
        "sendgrid": sendgrid(),
        "microsoft graph": microsoft_graph(),
        "sns": sns(),
    }
