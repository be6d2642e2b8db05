"""GitHub Apps as pure rules: the claim by which an App proves itself, the requests for its
installation and that one's token, and what the answers say.
https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from daemon.github import (
    API_VERSION,
    Answer,
    Failed,
    Request,
    Throttled,
    Unauthorized,
    Unreachable,
    clock_there,
    interpret,
    request_headers,
    token_fault,
)
from daemon.instants import instant
from daemon.secret import Secret

CLAIM_LIFE = timedelta(minutes=9)
"""GitHub takes a claim that holds for 10 minutes at most, by its own clock."""
CLAIM_BACKDATED = timedelta(seconds=60)
"""By how much GitHub's clock may be behind ours."""
AHEAD = timedelta(minutes=5)
"""So long before its end a token is replaced: a request under it has long been answered then."""
SKEW_MIN = timedelta(seconds=30)
"""A clock that is off by less cannot be why a claim is refused."""


@dataclass(frozen=True, slots=True)
class AppKey:
    """A GitHub App as the config names it. ``app_id`` is its number or its client id;
    ``installation_id`` is None where it is to be looked up."""

    app_id: str
    private_key: Secret
    installation_id: int | None = None


@dataclass(frozen=True, slots=True)
class InstallationToken:
    """A token and its end, by our clock. ``permissions`` are what it is good for, as GitHub told
    with it: ``{"contents": "write", …}``."""

    value: str = field(repr=False)
    expires_at: datetime
    permissions: Mapping[str, str] = field(default_factory=dict, compare=False)

    def fresh(self, now: datetime) -> bool:
        return now < self.expires_at - AHEAD


def private_key_fault(text: str) -> str:
    """Why no App can sign with this key, or nothing where one can."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):  # cryptography raises TypeError for a key under a password
        return "is no private key in PEM form without a password"
    except Exception as error:  # noqa: BLE001 - of a kind of key that OpenSSL has switched off
        return f"cannot be used as a private key ({type(error).__name__})"
    return "" if isinstance(key, RSAPrivateKey) else "is no RSA key, and GitHub's are"


def claim(app_id: str, private_key: Secret, now: datetime) -> str:
    """The JWT by which the App proves itself; ``now`` is by GitHub's clock."""
    import jwt

    said = {"iss": app_id, "iat": now - CLAIM_BACKDATED, "exp": now + CLAIM_LIFE}
    return jwt.encode(said, private_key.reveal(), algorithm="RS256")


def installation_request(api_url: str, place: str, api_version: str = API_VERSION) -> Request:
    """Asks which installation of the App has the repository (``owner/name``), or organisation."""
    kind = "repos" if "/" in place else "orgs"
    url = f"{api_url}/{kind}/{quote(place, safe='/')}/installation"
    return Request("GET", url, request_headers(api_version), b"")


def token_request(api_url: str, installation: int, api_version: str = API_VERSION) -> Request:
    """Asks for a token of the installation, with all that it is permitted."""
    url = f"{api_url}/app/installations/{installation}/access_tokens"
    return Request("POST", url, request_headers(api_version), b"")


def installation_told(
    status: int, headers: Mapping[str, str], body: bytes, *, repository: str, now: datetime
) -> int | Answer:
    """The installation's number, or what the answer means for the dispatch that needs it."""
    if status != 200:
        missing = (
            f"the GitHub App is not installed on {repository}, or there is no such repository: "
            "install it there, or mend the repository's name"
        )
        return _refused(status, headers, body, now, missing)
    number = _document(body).get("id")
    if not isinstance(number, int) or isinstance(number, bool):
        return _no_answer_of_githubs("installation")
    return number


def token_told(
    status: int, headers: Mapping[str, str], body: bytes, *, now: datetime
) -> InstallationToken | Answer:
    """The token, or what the answer means for the dispatch that needs it."""
    if status != 201:
        missing = (
            "the GitHub App has no such installation (any more): install it again, or mend "
            "`installation_id`"
        )
        return _refused(status, headers, body, now, missing)
    document = _document(body)
    value, ends = document.get("token"), document.get("expires_at")
    if not isinstance(value, str) or token_fault(value) or not isinstance(ends, str):
        return _no_answer_of_githubs("token")
    try:
        life = instant(ends) - clock_there(headers, now)
    except ValueError:
        return _no_answer_of_githubs("token")
    permissions = document.get("permissions")
    granted = permissions if isinstance(permissions, dict) else {}
    return InstallationToken(value, now + life, {str(k): str(v) for k, v in granted.items()})


def skew(headers: Mapping[str, str], now: datetime) -> timedelta:
    """By how much GitHub's clock is before ours, where that may be why a claim is refused."""
    off = clock_there(headers, now) - now
    return off if abs(off) >= SKEW_MIN else timedelta()


def _refused(
    status: int, headers: Mapping[str, str], body: bytes, now: datetime, missing: str
) -> Answer:
    answer = interpret(status, headers, body, url="", now=now)
    match answer:
        case Throttled():
            return answer
        case Unauthorized():
            return Unauthorized(
                f"GitHub answered {status} to the GitHub App's claim: `app_id` and `private_key` "
                "do not belong together, the key was deleted on GitHub, or this machine's clock "
                "is wrong"
            )
        case Failed() if status == 404:
            return Failed(f"GitHub answered 404: {missing}")
        case Failed(reason=reason) if status == 403:
            return Unauthorized(f"{reason} (asked for a token of the GitHub App)")
        case Failed():
            return answer
    # Nothing of the dispatch has been sent, so whatever else it is, to try again doubles nothing.
    return Unreachable(f"GitHub answered {status} when it was asked for a token of the GitHub App")


def _document(body: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _no_answer_of_githubs(what: str) -> Unreachable:
    return Unreachable(
        f"what was answered for the GitHub App's {what} is not GitHub's: check GH_API_URL, and the "
        "proxy or portal between"
    )
