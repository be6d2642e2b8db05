"""What keeps a delivery from being dispatched once too often: the keys by which it is known again,
its rate limit, and the burst that it belongs to. The store, which knows what came before, applies
them."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import orjson

from daemon.body import is_json, media_type_of
from daemon.errors import ExpressionError
from daemon.event import Burst, DedupeKey, Event, RateLimit
from daemon.expressions import JSON, Bindings, Expression, compact_in_order
from daemon.signatures import Request, Scheme
from daemon.spec import TriggerSpec

KEY_MAX = 256
"""Characters of a key that are stored: one can be as long as a body."""


class First:
    """A delivery that came in by itself, and was not replayed by hand: what tells it from others
    is looked at once for each scheme and window, however many triggers ask."""

    __slots__ = ("_at", "_base", "_body", "_keys", "_request")

    def __init__(self, at: datetime, request: Request, body: JSON, base: Bindings) -> None:
        self._at = at
        self._request = request
        self._body = body
        self._base = base
        self._keys: dict[tuple[int, timedelta], DedupeKey | None] = {}

    def key(self, scheme: Scheme, window: timedelta) -> DedupeKey | None:
        """By the sender's id, and by what was signed where nothing vouches for that id: who holds a
        genuine request could send it under another one. None where there is neither."""
        asked = id(scheme), window  # it takes longer to see that two schemes are equal
        if asked not in self._keys:
            self._keys[asked] = self._key(scheme, self._at + window)
        return self._keys[asked]

    def _key(self, scheme: Scheme, expires_at: datetime) -> DedupeKey | None:
        id_ = _text(scheme.delivery_id(self._request, self._json)) or _cloud_event_id(self._base)
        digest = ""
        if (scheme.replayable or (scheme.timed and not id_)) and (
            signed := scheme.signed_part(self._request)
        ):
            digest = _digest(signed)
        if not id_:
            return DedupeKey(digest, expires_at) if digest else None
        return DedupeKey(id_, expires_at, also=digest)

    @property
    def _json(self) -> JSON:
        """The body as JSON, if it is that, whatever its content type says: nobody signs that one,
        and under another one the body's id would be another, or none."""
        if is_json(media_type_of(self._request.headers.get("content-type", ""))):
            return self._body
        try:
            value: JSON = orjson.loads(self._request.body)
        except ValueError:
            return self._body
        return value


def dedupe_key(
    event: Event, first: First, trigger: TriggerSpec, base: Bindings
) -> DedupeKey | None:
    """The keys of the delivery to this trigger; None where nothing tells it from others. Raises
    ExpressionError."""
    rule = trigger.dedupe
    if rule is None:
        return None
    if rule.key is None:
        return first.key(trigger.auth.scheme, rule.window)
    text = _key(rule.key, base, "dedupe.key")
    return DedupeKey(text, event.at + rule.window) if text else None


def _cloud_event_id(base: Bindings) -> str:
    """What tells CloudEvents apart: the id is the source's own (CloudEvents 1.0.2, `id`)."""
    found = base.values.get("event.cloudevent")
    return f"{found['source']} {found['id']}" if found else ""


def rate_limit(trigger: TriggerSpec, bindings: Bindings) -> RateLimit | None:
    """What the delivery counts towards. Raises ExpressionError."""
    rule = trigger.rate_limit
    if rule is None:
        return None
    return RateLimit(_key(rule.key, bindings, "rate_limit.key"), rule.max, rule.per)


def burst(trigger: TriggerSpec, bindings: Bindings) -> Burst | None:
    """What the delivery is coalesced with. Raises ExpressionError."""
    rule = trigger.coalesce
    if rule is None:
        return None
    return Burst(_key(rule.key, bindings, "coalesce.key"), rule.window, rule.max_wait)


def _key(expression: Expression | None, bindings: Bindings, where: str) -> str:
    """What the expression comes to, as text; empty where there is none, or nothing."""
    if expression is None:
        return ""
    try:
        return _text(expression.evaluate(bindings))
    except ExpressionError as error:
        raise error.at(where) from None


def _text(key: JSON) -> str:
    # A header's bytes need not be UTF-8, and other ones must stay another key.
    # The engine has an order of its own for the keys of a map, another one after each restart.
    text = "" if key is None else key if isinstance(key, str) else compact_in_order(key)
    if not text.isascii():
        text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= KEY_MAX else _digest(text.encode())


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
