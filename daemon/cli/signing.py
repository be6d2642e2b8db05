"""Signs a request as a sender would that knows the secret."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from msgspec.structs import replace

from daemon.addresses import called_url
from daemon.secret import Secret
from daemon.signatures import Request, Scheme, SchemeError

_SAMPLE = Secret("0123456789abcdef0123456789abcdef", "a sample")
"""A key in every encoding that there is."""

_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def can_sign(scheme: Scheme) -> bool:
    """Whether the headers prove a request, and whoever knows the secret can make them."""
    try:
        return bool(scheme.sign(b"", _SAMPLE, _ANY_TIME))
    except SchemeError:
        return False


def usual_type(scheme: Scheme, request: Request) -> str:
    """The content type of what the sender usually sends. Twilio sends forms, but for JSON whose
    hash it puts into the query."""
    form = scheme.name == "twilio" and "bodySHA256" not in request.query
    return "application/x-www-form-urlencoded" if form else "application/json"


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
