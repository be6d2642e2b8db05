"""What a call of the API asks for: its small JSON body."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from daemon.body import parse_json
from daemon.errors import Refused
from daemon.expressions import JSON
from daemon.reading import read_body
from daemon.web import headers_of

BODY_MAX = 64 * 1024


async def asked_for(request: web.Request, keys: Sequence[str]) -> dict[str, JSON]:
    """The JSON object that the call came with, of which only ``keys`` may be there; no body is an
    empty one. Raises Refused (400)."""
    body = await read_body(request, BODY_MAX)
    asked = parse_json(headers_of(request), body, BODY_MAX) if body else {}
    if not isinstance(asked, dict):
        raise Refused(400, "the body must be a JSON object")
    for key in asked:
        if key not in keys:
            known = ", ".join(f"`{each}`" for each in keys)
            raise Refused(400, f"the key {key!r:.60} means nothing here; there are {known}")
    return asked
