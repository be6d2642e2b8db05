"""The checks that come unsigned: anybody may ask them. What they tell is what was asked, and what
they teach is kept only by a trigger that waits for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.secret import Secret
from daemon.signatures.handshake import Handshake, Reply
from daemon.signatures.handshakes.answers import PRINTABLE, WORD, read_fields, repeated
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import equals_any, is_blank, octets

_HANDED_OVER = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}")
"""A secret that a sender hands over. No comma: a header that came twice holds no secret."""

_NOTION_BODY_MAX = 1024
"""Bytes. The body that holds a token is about 80 long, and its sender proved nothing."""

_ORIGIN = re.compile(r"[A-Za-z0-9._-]{1,253}")
"""A DNS name."""


@dataclass(frozen=True, slots=True)
class MetaVerification(Handshake):
    """Meta's ``GET`` with ``hub.mode=subscribe``: who knows the ``verify_token`` gets the
    ``hub.challenge`` repeated.

    https://developers.facebook.com/docs/graph-api/webhooks/getting-started#verification-requests
    """

    methods = frozenset({"GET"})
    takes_token = True
    credential_query = frozenset({"hub.verify_token"})

    def opening(self, request: Request, tokens: Sequence[Secret]) -> Reply | Mismatch | None:
        if request.method != "GET" or request.query.get("hub.mode") != "subscribe":
            return None
        usable = [token for token in tokens if not is_blank(token)]
        if not usable:
            return Mismatch(
                "Meta asks to verify the address, and there is no token to know it by",
                "set `verify_token` in the entry's `auth` to a reference like env:META_VERIFY_TOKEN"
                ", and its value in Meta's dashboard as the verify token",
            )
        received = octets(request.query.get("hub.verify_token", ""))
        if not equals_any(received, [octets(token.reveal()) for token in usable]):
            return Mismatch(
                "hub.verify_token does not match",
                "what is entered in Meta's dashboard must be what `verify_token` resolves to",
            )
        challenge = request.query.get("hub.challenge", "")
        if not WORD.fullmatch(challenge):
            return Mismatch("hub.challenge is missing, or nothing that could be repeated")
        return repeated(challenge)


@dataclass(frozen=True, slots=True)
class GraphValidation(Handshake):
    """Microsoft Graph's ``POST`` with a ``validationToken``, which is repeated, decoded. It is not
    signed, so anyone can ask; they learn what they said.

    https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks#notificationurl-validation
    """

    def opening(self, request: Request, tokens: Sequence[Secret]) -> Reply | Mismatch | None:
        token = request.query.get("validationToken")
        if token is None or request.method != "POST":
            return None
        if not PRINTABLE.fullmatch(token):
            return Mismatch("validationToken is nothing that could be repeated")
        return repeated(token)


@dataclass(frozen=True, slots=True)
class DropboxChallenge(Handshake):
    """Dropbox's ``GET`` with a ``challenge``, which is repeated. It is not signed, so anyone can
    ask; they learn what they said.

    https://www.dropbox.com/developers/reference/webhooks#documentation
    """

    methods = frozenset({"GET"})

    def opening(self, request: Request, tokens: Sequence[Secret]) -> Reply | Mismatch | None:
        challenge = request.query.get("challenge")
        if challenge is None or request.method != "GET":
            return None
        if not WORD.fullmatch(challenge):
            return Mismatch("the challenge is nothing that could be repeated")
        return repeated(challenge)


@dataclass(frozen=True, slots=True)
class AsanaHandshake(Handshake):
    """Asana's first ``POST``, with the secret of all later ones in ``X-Hook-Secret``: it is
    repeated in the answer's header, and learned. Nothing proves who sends it.

    https://developers.asana.com/docs/webhooks-guide#the-webhook-handshake
    """

    credential_headers = frozenset({"x-hook-secret"})

    def opening(self, request: Request, tokens: Sequence[Secret]) -> Reply | Mismatch | None:
        secret = request.headers.get("x-hook-secret")
        if secret is None or request.method != "POST" or "x-hook-signature" in request.headers:
            return None
        if not _HANDED_OVER.fullmatch(secret):
            return Mismatch("the header x-hook-secret holds nothing that could be a secret")
        return Reply(
            body="",
            headers={"X-Hook-Secret": secret},
            learns=Secret(secret, "from Asana's handshake"),
        )


@dataclass(frozen=True, slots=True)
class NotionToken(Handshake):
    """Notion's first ``POST``, an object of ``verification_token`` alone and not signed: the
    token is the secret of all later ones, and learned. Nothing proves who sends it.

    https://developers.notion.com/reference/webhooks#step-2-verifying-the-subscription
    """

    def opening(self, request: Request, tokens: Sequence[Secret]) -> Reply | Mismatch | None:
        if request.method != "POST" or "x-notion-signature" in request.headers:
            return None
        if len(request.body) > _NOTION_BODY_MAX:
            return None
        fields = read_fields(request.body)
        if fields.keys() != {"verification_token"}:
            return None
        token = fields["verification_token"]
        if not isinstance(token, str) or not _HANDED_OVER.fullmatch(token):
            return Mismatch("verification_token is nothing that could be a secret")
        return Reply(body="", learns=Secret(token, "from Notion's handshake"))


@dataclass(frozen=True, slots=True)
class CloudEventsValidation(Handshake):
    """The ``OPTIONS`` by which a sender of CloudEvents (Azure Event Grid among them) asks whether
    it may send, and how much. It may: who is believed is the delivery's own proof.

    https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection
    """

    methods = frozenset({"OPTIONS"})

    def opening(self, request: Request, tokens: Sequence[Secret]) -> Reply | Mismatch | None:
        origin = request.headers.get("webhook-request-origin")
        if origin is None or request.method != "OPTIONS":
            return None
        if not _ORIGIN.fullmatch(origin):
            return Mismatch("the header webhook-request-origin is not the name of a host")
        return Reply(
            body="",
            headers={
                "Allow": "POST",
                "WebHook-Allowed-Origin": origin,
                "WebHook-Allowed-Rate": "*",
            },
        )
