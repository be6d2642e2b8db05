"""The checks that are signed like any delivery: they are answered once the request has proved
itself."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from daemon.secret import Secret
from daemon.signatures.handshake import Handshake, Reply
from daemon.signatures.handshakes.answers import (
    PRINTABLE,
    fields_of,
    in_json,
    read_fields,
    repeated,
)
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import is_blank, octets

_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9_+/=-]{1,128}")
"""Without a colon, for which see ZoomValidation."""

_SUBSCRIBE_URL = re.compile(
    r"https://sns\.[a-z]{2}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?"
    r"/\?([A-Za-z0-9%&=:._~+-]{1,2048})"
)
"""Matched as a whole, so that no port, user, fragment or other host hides in it."""

_BY_HAND = "it is not fetched; if the message is genuine, confirm the subscription by hand"


@dataclass(frozen=True, slots=True)
class GithubPing(Handshake):
    """GitHub's ``ping``, sent once when a webhook is made. Any success will do.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#ping
    """

    def proven(
        self, request: Request, body: object, secrets: Sequence[Secret]
    ) -> Reply | Mismatch | None:
        return Reply() if request.headers.get("x-github-event") == "ping" else None


@dataclass(frozen=True, slots=True)
class SlackChallenge(Handshake):
    """Slack's ``url_verification``, signed like everything that Slack sends: the ``challenge`` is
    repeated.

    https://docs.slack.dev/reference/events/url_verification
    """

    def proven(
        self, request: Request, body: object, secrets: Sequence[Secret]
    ) -> Reply | Mismatch | None:
        fields = fields_of(body)
        if fields.get("type") != "url_verification":
            return None
        challenge = fields.get("challenge")
        if not isinstance(challenge, str) or not PRINTABLE.fullmatch(challenge):
            return Mismatch("Slack's url_verification holds no challenge that could be repeated")
        return repeated(challenge)


@dataclass(frozen=True, slots=True)
class ZoomValidation(Handshake):
    """Zoom's ``endpoint.url_validation``: ``plainToken`` is answered with its HMAC, made with the
    secret that signed the request.

    Whoever may ask for that has texts of their choice signed. So it is asked by the secret's own
    signature, here again, and a ``plainToken`` holds no colon: what Zoom signs begins with
    ``v0:``, so that no answer can serve as the signature of a delivery.

    https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint; that the request
    is signed is confirmed against the vendor's sample, github.com/zoom/webhook-sample.
    """

    def proven(
        self, request: Request, body: object, secrets: Sequence[Secret]
    ) -> Reply | Mismatch | None:
        fields = fields_of(body)
        if fields.get("event") != "endpoint.url_validation":
            return None
        token = fields_of(fields.get("payload")).get("plainToken")
        if not isinstance(token, str) or not _PLAIN_TOKEN.fullmatch(token):
            return Mismatch("Zoom's endpoint.url_validation holds no plainToken that may be signed")
        key = self._signer(request, secrets)
        if key is None:
            return Mismatch(
                "Zoom's endpoint.url_validation is not signed as Zoom signs",
                "leave the parameters of the scheme zoom as they are",
            )
        encrypted = hmac.new(key, token.encode(), hashlib.sha256).hexdigest()
        return in_json({"plainToken": token, "encryptedToken": encrypted})

    def _signer(self, request: Request, secrets: Sequence[Secret]) -> bytes | None:
        """The key that signed the request: of several, only that one is Zoom's as of now."""
        received = octets(request.headers.get("x-zm-signature", ""))
        time = octets(request.headers.get("x-zm-request-timestamp", ""))
        found = None
        for key in (octets(secret.reveal()) for secret in secrets if not is_blank(secret)):
            mac = hmac.new(key, b"v0:" + time + b":" + request.body, hashlib.sha256)
            if hmac.compare_digest(received, b"v0=" + mac.hexdigest().encode()):
                found = key
        return found


@dataclass(frozen=True, slots=True)
class DiscordPing(Handshake):
    """Discord's two pings: of an interactions endpoint (``type`` 1, answered in kind) and of
    webhook events (``type`` 0, answered 204). A webhook event is of type 1 as well: it is told by
    its ``event``.

    https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint and
    https://docs.discord.com/developers/events/webhook-events#webhook-types
    """

    def proven(
        self, request: Request, body: object, secrets: Sequence[Secret]
    ) -> Reply | Mismatch | None:
        fields = fields_of(body)
        kind = fields.get("type")
        if type(kind) is not int or "event" in fields:
            return None
        if kind == 1:
            return in_json({"type": 1})
        return Reply(status=204, body="") if kind == 0 else None


@dataclass(frozen=True, slots=True)
class SnsConfirmation(Handshake):
    """The ``SubscriptionConfirmation`` of AWS SNS, signed like its notifications: the subscription
    stands once its ``SubscribeURL`` was fetched, which must be on a host of SNS and confirm the
    message's own topic. An ``UnsubscribeConfirmation`` holds such a URL as well, which would undo
    the parting, so it is not fetched.

    SNS says ``text/plain`` of its JSON, so the body is read here again.

    https://docs.aws.amazon.com/sns/latest/dg/http-subscription-confirmation-json.html
    """

    def proven(
        self, request: Request, body: object, secrets: Sequence[Secret]
    ) -> Reply | Mismatch | None:
        message = read_fields(request.body)
        match message.get("Type"):
            case "SubscriptionConfirmation":
                return self._confirmation(message)
            case "UnsubscribeConfirmation":
                return Reply()
        return None

    def _confirmation(self, message: Mapping[str, Any]) -> Reply | Mismatch:
        url, topic = message.get("SubscribeURL"), message.get("TopicArn")
        match = _SUBSCRIBE_URL.fullmatch(url) if isinstance(url, str) else None
        if match is None:
            return Mismatch("SubscribeURL is no address of sns.<region>.amazonaws.com", _BY_HAND)
        pairs = parse_qsl(match[1], keep_blank_values=True)
        asked = dict(pairs)
        # Each once: of two, SNS might take the one and we look at the other.
        if (
            sorted(name for name, _ in pairs) != ["Action", "Token", "TopicArn"]
            or asked["Action"] != "ConfirmSubscription"
            or asked["TopicArn"] != topic
        ):
            return Mismatch("SubscribeURL does not ask to confirm the message's topic", _BY_HAND)
        return Reply(fetches=match[0])
