"""Microsoft Graph's change notifications: every one of a batch repeats the secret that was given
when the subscription was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import orjson

from daemon.secret import Secret
from daemon.signatures.batches import batch_id
from daemon.signatures.handshake import Handshake
from daemon.signatures.handshakes import GraphValidation
from daemon.signatures.request import Mismatch, Request
from daemon.signatures.scheme import Scheme, equals_any, is_blank, no_secret, octets

BODY_MAX = 512 * 1024
"""Bytes of a batch that is looked at."""


@dataclass(frozen=True, slots=True)
class MicrosoftGraphScheme(Scheme):
    """``clientState`` of every item in the body's ``value`` is the secret. That is all the proof
    there is: nothing is signed. What is stored has `***` in its place.

    The usual answer, 202, is the one that Graph asks for. From the vendor's documentation, not
    confirmed against an SDK.
    https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks
    """

    name: ClassVar[str] = "microsoft_graph"

    @property
    def handshake(self) -> Handshake:
        return GraphValidation()

    def verify(self, request: Request, secrets: Sequence[Secret], now: datetime) -> Mismatch | None:
        usable = [secret for secret in secrets if not is_blank(secret)]
        if not usable:
            return no_secret(secrets)
        body = _parsed(request.body)
        if body is None:
            return Mismatch("the body is not JSON", "Graph sends change notifications as JSON")
        items = body.get("value") if isinstance(body, dict) else None
        if not isinstance(items, list) or not items:
            return Mismatch("the body has no notifications", "Graph sends them as the list `value`")
        given = {_state(item) for item in items}
        if None in given:
            return Mismatch(
                "a notification has no clientState",
                "give the subscription one, at most 128 characters, when it is made",
            )
        # More values than secrets cannot all be right, and each one takes its time.
        expected = [octets(secret.reveal()) for secret in usable]
        if len(given) > len(usable) or not all(
            equals_any(octets(state or ""), expected) for state in given
        ):
            references = ", ".join(secret.reference for secret in usable)
            return Mismatch(
                "the clientState does not match",
                f"the subscription was made with another one than {references}",
            )
        return None

    def without_secret(self, body: bytes) -> bytes:
        parsed = _parsed(body)
        items = parsed.get("value") if isinstance(parsed, dict) else None
        if not isinstance(items, list) or not any(map(_state, items)):
            return body
        shown = [{**item, "clientState": "***"} if _state(item) else item for item in items]
        return orjson.dumps({**parsed, "value": shown})

    def delivery_id(self, request: Request, body: object) -> str | None:
        """A hash of the ``id`` of all notifications, in their order; None where one has none."""
        return batch_id(body.get("value"), "id") if isinstance(body, dict) else None


def _parsed(body: bytes) -> Any:
    """The body's JSON; None where it is none, or larger than Graph sends it: nothing is proven
    yet."""
    try:
        return orjson.loads(body) if len(body) <= BODY_MAX else None
    except ValueError:
        return None


def _state(item: object) -> str | None:
    given = item.get("clientState") if isinstance(item, dict) else None
    return given if isinstance(given, str) else None
