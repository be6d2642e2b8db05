"""What a call of the API asks for: its small JSON body."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from aiohttp import web

from daemon.body import parse_json
from daemon.errors import Refused
from daemon.expressions import JSON
from daemon.reading import read_body
from daemon.web import headers_of

BODY_MAX = 64 * 1024

HALF = re.compile("[\ud800-\udfff]")
"""What JSON can write, and neither a database nor GitHub can take."""


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
        if any(map(HALF.search, _texts(asked[key]))):
            raise Refused(400, f"`{key}` holds half of a surrogate pair, which is no character")
    return asked


def _texts(value: JSON) -> Iterator[str]:
    """Every text in it, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
