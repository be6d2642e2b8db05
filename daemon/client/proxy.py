"""The proxy between us and GitHub, as the environment names it."""

from __future__ import annotations

import base64
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from daemon.errors import UsageError


class Proxy(NamedTuple):
    """``url`` is without credentials: these are in ``headers``. None each where there are none."""

    url: str | None
    headers: dict[str, str] | None


def proxy_for(api_url: str) -> Proxy:
    """What ``HTTPS_PROXY`` and ``NO_PROXY`` say of ``api_url``; loopback addresses have none.
    Raises UsageError for a proxy of a kind that is not supported."""
    parts = urlsplit(api_url)
    host = parts.hostname or ""
    proxy = getproxies().get(parts.scheme)
    if not proxy or host in ("localhost", "127.0.0.1", "::1") or proxy_bypass(host):
        return Proxy(None, None)
    split = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if split.scheme not in ("http", "https") or not split.hostname:
        name = f"{parts.scheme}_proxy"
        raise UsageError(f"{name} names a proxy that is not an http:// one; no other is supported")
    address = split._replace(netloc=split.netloc.rpartition("@")[2]).geturl()
    if split.username is None:
        return Proxy(address, None)
    credentials = f"{unquote(split.username)}:{unquote(split.password or '')}".encode()
    basic = base64.b64encode(credentials).decode()
    return Proxy(address, {"Proxy-Authorization": f"Basic {basic}"})
