"""Conditional requests: every answer to a GET has an ETag, and a client that names it is told that
nothing has changed."""

from __future__ import annotations

import hashlib

from aiohttp import web


def conditional(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """``response`` with its ETag, or 304 in its place where the client has it already."""
    if request.method != "GET" or response.status != 200 or not isinstance(response, web.Response):
        return response
    body = response.body if isinstance(response.body, bytes) else b""
    etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
    known = {tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")}
    if etag in known or "*" in known:
        links = {"Link": response.headers["Link"]} if "Link" in response.headers else {}
        return web.Response(status=304, headers={"ETag": etag, **links})
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, max-age=60, s-maxage=60"
    return response
