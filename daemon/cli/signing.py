"""Signs a request as a sender would that knows the secret."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from urllib.parse import urlencode

from daemon.addresses import called_url
from daemon.secret import Secret
from daemon.signatures import Request, Scheme


def signed(scheme: Scheme, request: Request, secret: Secret, now: datetime) -> Request:
    """The request with the headers that prove it, if the proof is in headers. Raises SchemeError
    for an unusable secret, and where only the sender itself can sign."""
    # Most that sign where they call sign the path, and some the whole URL.
    tries = [
        _with_proof(scheme, request, secret, now, where)
        for where in dict.fromkeys((request.path, request.url or request.path))
    ]
    return next((one for one in tries if scheme.verify(one, [secret], now) is None), tries[0])


def url_called(public_url: str, request: Request) -> str:
    """The whole URL; empty where ``public_url`` is."""
    query = f"?{urlencode(request.query)}" if request.query else ""
    return called_url(public_url, "", "", {}, f"{request.path}{query}", proxied=False)


def _with_proof(
    scheme: Scheme, request: Request, secret: Secret, now: datetime, where: str
) -> Request:
    proof = scheme.sign(request.body, secret, now, method=request.method, path=where)
    headers = {name.lower(): value for name, value in proof.items()}
    return replace(request, headers={**request.headers, **headers})
