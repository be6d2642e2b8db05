"""What a JSON body says under a dotted path, ``event.id``: where a vendor puts the delivery's id or
its time there."""

from __future__ import annotations

import re

import orjson

PATH = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,7}")
"""How a path is written. Each step is an object's key; arrays have no steps."""


def text_at(body: object, path: str) -> str | None:
    """The text or whole number at ``path`` of a parsed body, as text; None where there is none."""
    value = body
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def text_in(body: bytes, path: str) -> str | None:
    """Likewise of a body's bytes, whatever its content type says."""
    try:
        return text_at(orjson.loads(body), path)
    except ValueError:
        return None
