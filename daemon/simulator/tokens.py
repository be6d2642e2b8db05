"""The stand-in's tokens: whose requests it answers, and what each of them may do, as GitHub tells
classic tokens, fine-grained ones and those of Apps apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web

from daemon.simulator.apps import Apps
from daemon.simulator.lookups import META
from daemon.simulator.validation import DOCS, Rejection

_PLACE = re.compile(r"/(?:repos/[^/]+/[^/]+|repositories/\d+)(?P<place>/.*|)")
_NEEDED = (
    # method, place in a repository, permission, level; the first that fits
    ("POST", r"/dispatches", "contents", "write"),
    ("GET", r"/actions/permissions", "administration", "read"),
    ("GET", r"/actions(/.*)?", "actions", "read"),
    ("", r"/actions(/.*)?", "actions", "write"),
    ("GET", r"/hooks(/.*)?", "repository_hooks", "read"),
    ("", r"/hooks(/.*)?", "repository_hooks", "write"),
    ("GET", r"/(contents|branches|git)(/.*)?", "contents", "read"),
)
_LEVELS = ("", "read", "write", "admin")


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a person's. A classic one has ``scopes``; a fine-grained one ``permissions``, each
    with its level (``{"contents": "write"}``), where ``scopes`` is None."""

    value: str = field(repr=False)
    scopes: frozenset[str] | None = frozenset({"repo"})
    permissions: Mapping[str, str] = field(default_factory=dict)
    expires_at: datetime | None = None


class Tokens:
    """Those that are good: ``known``, a plain text being a classic token with the scope ``repo``
    (None: every text is one), and those that ``apps`` are given."""

    def __init__(
        self, known: Collection[str | Token] | None, apps: Apps, clock: Callable[[], datetime]
    ) -> None:
        self._apps = apps
        self._clock = clock
        self._known: dict[str, Token] | None = None
        if known is not None:
            self.allow(known)

    def allow(self, known: Collection[str | Token]) -> None:
        """From now on these are good, and no others but those of the Apps."""
        tokens = (each if isinstance(each, Token) else Token(each) for each in known)
        self._known = {each.value: each for each in tokens}

    def admit(self, request: web.Request) -> None:
        """Raises Rejection for a request under no token, under one that is not good, and under one
        that may not do this."""
        credential = request.headers.get("Authorization", "")
        scheme, _, value = credential.partition(" ")
        if request.path == META and not credential:
            return  # it is open to everybody, but not to a wrong token
        if scheme.lower() not in ("bearer", "token") or not value.strip():
            raise Rejection(401, "Requires authentication")
        if self._apps.takes(request):
            return  # a claim is checked where it is shown
        grant = self._apps.grant(value.strip())
        if grant is not None:
            if request.method == "GET":  # what writes looks at it itself
                _demand(request, grant.permissions, "integration")
            return
        token = self._of(request)
        if token is None or (token.expires_at and token.expires_at <= self._clock()):
            raise Rejection(401, "Bad credentials")
        if token.scopes is None:
            _demand(request, token.permissions, "personal access token")
        elif "repo" not in token.scopes and _PLACE.fullmatch(request.path):
            raise Rejection(404, "Not Found")  # every repository here is private

    def headers(self, request: web.Request) -> Mapping[str, str]:
        """What an answer tells of the token that it was asked under."""
        token = self._of(request)
        told: dict[str, str] = {}
        if token is not None and token.scopes is not None:
            told["X-OAuth-Scopes"] = ", ".join(sorted(token.scopes))
        if token is not None and token.expires_at is not None:
            at = token.expires_at.astimezone(UTC)
            told["GitHub-Authentication-Token-Expiration"] = f"{at:%Y-%m-%d %H:%M:%S} UTC"
        needed = _needed(request)
        if needed is not None and (token is None or token.scopes is None):
            told["X-Accepted-GitHub-Permissions"] = "=".join(needed)
        return told

    def _of(self, request: web.Request) -> Token | None:
        """The person's token, if it is one that is known."""
        value = request.headers.get("Authorization", "").partition(" ")[2].strip()
        if self._known is not None:
            return self._known.get(value)
        return Token(value) if value and not self._apps.knows(value) else None


def _demand(request: web.Request, permissions: Mapping[str, str], kind: str) -> None:
    needed = _needed(request)
    if needed is None:
        return
    name, level = needed
    if _LEVELS.index(permissions.get(name, "")) < _LEVELS.index(level):
        raise Rejection(403, f"Resource not accessible by {kind}", DOCS)


def _needed(request: web.Request) -> tuple[str, str] | None:
    """The permission that the request takes, and its level; None where everybody has it."""
    found = _PLACE.fullmatch(request.path)
    place = found["place"] if found else ""
    for method, pattern, permission, level in _NEEDED:
        if method in ("", request.method) and re.fullmatch(pattern, place):
            return permission, level
    return None
