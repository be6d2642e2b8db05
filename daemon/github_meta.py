"""GitHub's ``GET /meta`` as pure rules: the request, and what its answer says of the networks that
webhooks come from. https://docs.github.com/en/rest/meta/meta#get-github-meta-information"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from daemon.addresses import NetworkError, Networks
from daemon.errors import FetchError
from daemon.github import API_VERSION, Request, one_line, request_headers

META_MAX = 4 * 1024 * 1024
"""Bytes of an answer that are read. GitHub's has a few hundred thousand: those of its hosted
runners are in it, thousands of networks."""

RANGES_MAX = 1000
"""Networks that are taken; GitHub has under ten. Each is looked at for each delivery."""


@dataclass(frozen=True, slots=True)
class HookRanges:
    """The networks (CIDR) of GitHub's webhooks as the API at ``source`` told them. ``told_at`` is
    when it last said so, ``etag`` by what it knows them again, or empty."""

    source: str
    cidrs: tuple[str, ...]
    etag: str
    told_at: datetime


def meta_request(api_url: str, known: HookRanges | None, api_version: str = API_VERSION) -> Request:
    """The request, which asks for no answer's body where what is ``known`` still holds."""
    headers = request_headers(api_version)
    if known is not None and known.source == api_url and known.etag:
        headers["If-None-Match"] = known.etag
    return Request("GET", f"{api_url}/meta", headers, b"")


def ranges_told(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    known: HookRanges | None,
    source: str,
    now: datetime,
) -> HookRanges:
    """What the answer says. ``headers`` have lower-case names, ``body`` is whole.

    Raises FetchError for an answer that names no networks. All are refused where one cannot be
    read: a list that is cut short would turn away deliveries without a word.
    """
    if status == 304 and known is not None and known.source == source:
        return replace(known, told_at=now)
    if status != 200:
        raise FetchError(f"GitHub answered {status} to GET {source}/meta{_explanation(status)}")
    etag = headers.get("etag", "")
    return HookRanges(
        source, _hooks(body), etag if re.fullmatch(r"[!-~]{1,200}", etag) else "", now
    )


def _hooks(body: bytes) -> tuple[str, ...]:
    try:
        document = orjson.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise FetchError(
            "what answers at /meta is not GitHub: check GH_API_URL, and the proxy or portal between"
        )
    hooks = document.get("hooks")
    if not isinstance(hooks, list) or not hooks:
        raise FetchError(
            "GitHub's /meta names no `hooks`, as that of a GitHub Enterprise Server: write that "
            "server's own network into allow_from"
        )
    if len(hooks) > RANGES_MAX:
        raise FetchError(
            f"GitHub's /meta names {len(hooks):,} networks, more than {RANGES_MAX:,} are not taken"
        )
    texts = [hook if isinstance(hook, str) else repr(hook) for hook in hooks]
    try:
        Networks.parse(texts)
    except NetworkError as error:
        raise FetchError(f"GitHub's /meta: {one_line(str(error))}") from None
    return tuple(texts)


def _explanation(status: int) -> str:
    if status == 401:
        return ": the token is wrong, expired or revoked; make a new one and set GH_TOKEN"
    if status in (403, 429):
        return ": it is a rate limit, or the token is not permitted there"
    if status == 404 or 300 <= status < 400:
        return ": check GH_API_URL"
    return ""
