"""Genuine requests of every vendor that is a preset, made by the vendor's own SDK where there is
one in Python, else from the words of its documentation: nothing here is from the daemon."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from slack_sdk.signature import SignatureVerifier
from standardwebhooks import Webhook as StandardWebhook
from stripe import WebhookSignature
from svix.webhooks import Webhook as SvixWebhook

from daemon.secret import Secret
from daemon.signatures import Request

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
MILLISECONDS = f"{STAMP}250"
BODY = f'{{"id":"evt_1","event":{{"id":"01C"}},"update_id":7,"webhookTimestamp":{MILLISECONDS}}}'
TEXT = "It's a Secret to Everybody"
OTHER_TEXT = "another one of that kind"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_WHSEC = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Vendor:
    """``headers`` are those of a delivery of BODY, given the secret's text and the time; or
    ``query``. ``id`` is by what the delivery is told, ``proof`` the header (or parameter) that
    proves it. ``more`` goes into ``auth``. A vendor that ``signs`` vouches for the body, the
    others for nothing but that they know the secret."""

    headers: Callable[[str, str, str], Headers]
    proof: str
    id: str | None
    secret: str = TEXT
    other: str = OTHER_TEXT
    query: Callable[[str], Mapping[str, str]] = lambda secret: {}
    more: Mapping[str, Any] = field(default_factory=dict)
    signs: bool = True
    also_signed: tuple[str, ...] = ()

    def request(self, secret: str = "", stamp: str = STAMP, body: str = BODY) -> Request:
        secret = secret or self.secret
        headers = {"user-agent": "vendor", **self.headers(secret, stamp, body)}
        return Request("POST", "/hooks", headers, self.query(secret), body.encode())


def sha256(key: str | bytes, text: str) -> bytes:
    return hmac.digest(key.encode() if isinstance(key, str) else key, text.encode(), "sha256")


def plain(header: str, prefix: str = "", **more: str) -> Callable[[str, str, str], Headers]:
    """The hex of HMAC-SHA256 over the body, which most of them send, beside more headers."""
    return lambda secret, stamp, body: {header: prefix + sha256(secret, body).hex(), **more}


def in_base64(header: str, prefix: str = "", **more: str) -> Callable[[str, str, str], Headers]:
    def headers(secret: str, stamp: str, body: str) -> Headers:
        return {header: prefix + base64.b64encode(sha256(secret, body)).decode(), **more}

    return headers


def stripe(secret: str, stamp: str, body: str) -> Headers:
    header = WebhookSignature.generate_signature_header(body, secret, int(stamp))
    return {"stripe-signature": header}


def slack(secret: str, stamp: str, body: str) -> Headers:
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    assert signature is not None
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}


def standard(secret: str, stamp: str, body: str) -> Headers:
    moment = datetime.fromtimestamp(int(stamp), UTC)
    signature = StandardWebhook(secret).sign("msg_1", moment, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}


def svix(secret: str, stamp: str, body: str) -> Headers:
    moment = datetime.fromtimestamp(int(stamp), UTC)
    signature = SvixWebhook(secret).sign("msg_1", moment, body)
    return {"svix-id": "msg_1", "svix-timestamp": stamp, "svix-signature": signature}


def zoom(secret: str, stamp: str, body: str) -> Headers:
    signature = sha256(secret, f"v0:{stamp}:{body}").hex()
    return {"x-zm-request-timestamp": stamp, "x-zm-signature": f"v0={signature}"}


def calendly(secret: str, stamp: str, body: str) -> Headers:
    signature = sha256(secret, f"{stamp}.{body}").hex()
    return {"calendly-webhook-signature": f"t={stamp},v1={signature}"}


def grafana_timed(secret: str, stamp: str, body: str) -> Headers:
    signature = sha256(secret, f"{stamp}:{body}").hex()
    return {"x-time": stamp, "x-grafana-alerting-signature": signature}


def vercel(secret: str, stamp: str, body: str) -> Headers:
    mac = hmac.digest(secret.encode(), body.encode(), "sha1")
    return {"x-vercel-signature": mac.hex()}


def airtable(secret: str, stamp: str, body: str) -> Headers:
    mac = sha256(base64.b64decode(secret), body)
    return {"x-airtable-content-mac": f"hmac-sha256={mac.hex()}"}


def credentials(scheme: str, before: str = "") -> Callable[[str, str, str], Headers]:
    def headers(secret: str, stamp: str, body: str) -> Headers:
        sent = base64.b64encode(f"{before}{secret}".encode()).decode() if before else secret
        return {"authorization": f"{scheme} {sent}"}

    return headers


def token(header: str, **more: str) -> Callable[[str, str, str], Headers]:
    return lambda secret, stamp, body: {header: secret, **more}


HUB, HUB_256 = "x-hub-signature", "x-hub-signature-256"

VENDORS: Mapping[str, Vendor] = {
    "github": Vendor(plain(HUB_256, "sha256=", **{"x-github-delivery": "d1"}), HUB_256, "d1"),
    "gitlab": Vendor(
        token("x-gitlab-token", **{"idempotency-key": "d1"}), "x-gitlab-token", "d1", signs=False
    ),
    "gitlab_signed": Vendor(
        standard, "webhook-signature", "msg_1", WHSEC, OTHER_WHSEC,
        also_signed=("webhook-id", "webhook-timestamp"),
    ),
    "bitbucket": Vendor(plain(HUB, "sha256=", **{"x-request-uuid": "d1"}), HUB, "d1"),
    "bitbucket_server": Vendor(plain(HUB, "sha256=", **{"x-request-id": "d1"}), HUB, "d1"),
    "gitea": Vendor(
        plain("x-gitea-signature", **{"x-gitea-delivery": "d1"}), "x-gitea-signature", "d1"
    ),
    "forgejo": Vendor(
        plain("x-forgejo-signature", **{"x-forgejo-delivery": "d1"}), "x-forgejo-signature", "d1"
    ),
    "gogs": Vendor(
        plain("x-gogs-signature", **{"x-gogs-delivery": "d1"}), "x-gogs-signature", "d1"
    ),
    "circleci": Vendor(plain("circleci-signature", "v1="), "circleci-signature", "evt_1"),
    "vercel": Vendor(vercel, "x-vercel-signature", "evt_1"),
    "linear": Vendor(
        plain("linear-signature", **{"linear-delivery": "d1"}), "linear-signature", "d1"
    ),
    "jira": Vendor(
        plain(HUB, "sha256=", **{"x-atlassian-webhook-identifier": "d1"}), HUB, "d1"
    ),
    "sentry": Vendor(
        plain("sentry-hook-signature", **{"request-id": "d1"}), "sentry-hook-signature", "d1"
    ),
    "pagerduty": Vendor(plain("x-pagerduty-signature", "v1="), "x-pagerduty-signature", "01C"),
    "grafana": Vendor(plain("x-grafana-alerting-signature"), "x-grafana-alerting-signature", None),
    "grafana with a time": Vendor(
        grafana_timed, "x-grafana-alerting-signature", None,
        more={"scheme": "grafana", "timestamp_header": "X-Time"}, also_signed=("x-time",),
    ),
    "standard_webhooks": Vendor(
        standard, "webhook-signature", "msg_1", WHSEC, OTHER_WHSEC,
        also_signed=("webhook-id", "webhook-timestamp"),
    ),
    "svix": Vendor(
        svix, "svix-signature", "msg_1", WHSEC, OTHER_WHSEC,
        also_signed=("svix-id", "svix-timestamp"),
    ),
    "stripe": Vendor(stripe, "stripe-signature", "evt_1", WHSEC, OTHER_WHSEC),
    "slack": Vendor(
        slack, "x-slack-signature", None, also_signed=("x-slack-request-timestamp",)
    ),
    "shopify": Vendor(
        in_base64("x-shopify-hmac-sha256", **{"x-shopify-webhook-id": "d1"}),
        "x-shopify-hmac-sha256", "d1",
    ),
    "zoom": Vendor(zoom, "x-zm-signature", None, also_signed=("x-zm-request-timestamp",)),
    "meta": Vendor(plain(HUB_256, "sha256="), HUB_256, None),
    "whatsapp": Vendor(plain(HUB_256, "sha256="), HUB_256, None),
    "notion": Vendor(plain("x-notion-signature", "sha256="), "x-notion-signature", "evt_1"),
    "airtable": Vendor(
        airtable, "x-airtable-content-mac", None, WHSEC[6:], OTHER_WHSEC[6:]
    ),
    "calendly": Vendor(calendly, "calendly-webhook-signature", None),
    "typeform": Vendor(in_base64("typeform-signature", "sha256="), "typeform-signature", None),
    "asana": Vendor(plain("x-hook-signature"), "x-hook-signature", None),
    "dropbox": Vendor(plain("x-dropbox-signature"), "x-dropbox-signature", None),
    "telegram": Vendor(
        token("x-telegram-bot-api-secret-token"), "x-telegram-bot-api-secret-token", "7",
        signs=False,
    ),
    "docker_hub": Vendor(
        lambda secret, stamp, body: {}, "token", None, query=lambda secret: {"token": secret},
        signs=False,
    ),
    "alertmanager": Vendor(credentials("Bearer"), "authorization", None, signs=False),
    "alertmanager with a username": Vendor(
        credentials("Basic", "am:"), "authorization", None, signs=False,
        more={"scheme": "alertmanager", "username": "am"},
    ),
}  # fmt: skip


def secrets(*texts: str) -> list[Secret]:
    return [Secret(text, "env:SECRET") for text in texts]
