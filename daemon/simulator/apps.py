"""The stand-in's GitHub Apps: who they are, where they are installed, and the tokens that they are
given, with GitHub's own checks of a claim."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiohttp import web

from daemon.simulator.hooks import OfApp
from daemon.simulator.runs import timestamp
from daemon.simulator.validation import DOCS, Rejection
from daemon.simulator.world import World

APP_DOCS = f"{DOCS}/apps/apps"
CLAIM_MAX = timedelta(minutes=10)
TOKEN_LIFE = timedelta(hours=1)
_PERMISSIONS: Mapping[str, str] = {"contents": "write", "actions": "read", "metadata": "read"}


@dataclass(frozen=True, slots=True)
class AppWebhook:
    """The webhook that belongs to an App, as its page has it."""

    url: str
    secret: str = field(repr=False)
    events: frozenset[str] = frozenset({"push"})


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App. ``public_key`` is PEM; ``installations`` gives the number of each owner's.
    ``permissions`` are those of its tokens."""

    id: int
    public_key: str
    installations: Mapping[str, int]
    slug: str = "dispatchd"
    permissions: Mapping[str, str] = field(default_factory=lambda: dict(_PERMISSIONS))
    webhook: AppWebhook | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token of an installation is good for."""

    owner: str
    permissions: Mapping[str, str]
    expires_at: datetime


class Apps:
    """The routes on which an App shows its claim, and the tokens given out there: ``issued`` of
    them until now, and none while the installations are ``suspended``."""

    def __init__(
        self, apps: Mapping[int, App], world: World, clock: Callable[[], datetime]
    ) -> None:
        self._apps = apps
        self._world = world
        self._clock = clock
        self._grants: dict[str, Grant] = {}
        self.issued = 0
        self.suspended = False

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/app", self._app),
            web.get("/repos/{owner}/{name}/installation", self._installation),
            web.get("/orgs/{owner}/installation", self._installation),
            web.post(r"/app/installations/{id:\d{1,18}}/access_tokens", self._access_tokens),
        ]

    def takes(self, request: web.Request) -> bool:
        """Whether this is a request under a claim, which is checked by its route."""
        if request.path.startswith("/app/hook/"):
            return True
        return request.path.partition("/installations/")[0] == "/app" or (
            request.path.startswith(("/repos/", "/orgs/"))
            and request.path.endswith("/installation")
        )

    def grant(self, token: str) -> Grant | None:
        """What an installation's token is good for. Raises Rejection for one that is over."""
        found = self._grants.get(token)
        if found is not None and self._clock() >= found.expires_at:
            raise Rejection(401, "Bad credentials")
        return found

    def knows(self, token: str) -> bool:
        """Whether it was given to one of the Apps, be it over or not."""
        return token in self._grants

    def revoke(self) -> None:
        """Ends every token that was given out, as GitHub does when an App is reinstalled."""
        self._grants = {
            token: Grant(grant.owner, grant.permissions, self._clock())
            for token, grant in self._grants.items()
        }

    def demand(self, token: str, place: str, permission: str, right: str = "write") -> None:
        """Raises Rejection where the token is an installation's and has not this ``right`` (read,
        write) to what ``permission`` names there: in a repository, or of its owner's."""
        grant = self._grants.get(token)
        if grant is None:
            return
        if place.partition("/")[0].lower() != grant.owner.lower():
            raise Rejection(404, "Not Found", APP_DOCS)
        if grant.permissions.get(permission) not in ("write", right):
            raise Rejection(403, "Resource not accessible by integration", APP_DOCS)

    async def _app(self, request: web.Request) -> web.StreamResponse:
        app = self.claimed(request)
        document = {
            "id": app.id,
            "slug": app.slug,
            "name": app.slug,
            "permissions": dict(app.permissions),
            "events": [],
            "installations_count": len(app.installations),
        }
        return web.json_response(document)

    async def _installation(self, request: web.Request) -> web.StreamResponse:
        app = self.claimed(request)
        owner = request.match_info["owner"]
        number = _number_at(app, owner)
        name = request.match_info.get("name")
        there = (
            self._world.organisation(owner)
            if name is None
            else self._world.repository(f"{owner}/{name}")
        )
        if number is None or there is None:
            raise Rejection(404, "Not Found", APP_DOCS)
        document = {
            "id": number,
            "app_id": app.id,
            "account": {"login": owner},
            "permissions": dict(app.permissions),
            "repository_selection": "all",
        }
        return web.json_response(document)

    async def _access_tokens(self, request: web.Request) -> web.StreamResponse:
        app = self.claimed(request)
        if self.suspended:
            raise Rejection(403, "This installation has been suspended", APP_DOCS)
        number = int(request.match_info["id"])
        owner = next((owner for owner, found in app.installations.items() if found == number), None)
        if owner is None:
            raise Rejection(404, "Not Found", APP_DOCS)
        token = f"ghs_{secrets.token_hex(18)}"
        ends = self._clock() + TOKEN_LIFE
        self._grants[token] = Grant(owner, app.permissions, ends)
        self.issued += 1
        document = {
            "token": token,
            "expires_at": timestamp(ends),
            "permissions": dict(app.permissions),
            "repository_selection": "all",
        }
        return web.json_response(document, status=201)

    def claimed(self, request: web.Request) -> App:
        """The App whose claim the request carries. Raises Rejection, in GitHub's words."""
        import jwt

        scheme, _, claim = request.headers.get("Authorization", "").partition(" ")
        undecoded = Rejection(401, "A JSON web token could not be decoded", APP_DOCS)
        if scheme.lower() != "bearer":
            raise undecoded
        try:
            unproven = jwt.decode(claim, options={"verify_signature": False})
            app = self._apps.get(int(unproven.get("iss", "")))
            if app is None:
                raise Rejection(404, "Integration not found", APP_DOCS)
            # The times are held against the stand-in's clock, below.
            claims = jwt.decode(
                claim,
                app.public_key,
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            raise undecoded from None
        _check_times(claims, self._clock())
        return app


def place_of(app: App) -> OfApp:
    """The App as the place of its webhook."""
    installations = ((owner.lower(), number) for owner, number in app.installations.items())
    return OfApp(app.id, tuple(installations))


def _check_times(claims: Mapping[str, object], now: datetime) -> None:
    at, ends = claims.get("iat"), claims.get("exp")
    if not isinstance(at, int) or at > now.timestamp():
        raise Rejection(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the "
            "assertion was issued",
            APP_DOCS,
        )
    if not isinstance(ends, int) or ends <= now.timestamp():
        raise Rejection(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time "
            "at which the assertion expires",
            APP_DOCS,
        )
    if ends > now.timestamp() + CLAIM_MAX.total_seconds():
        raise Rejection(401, "'Expiration time' claim ('exp') is too far in the future", APP_DOCS)


def _number_at(app: App, owner: str) -> int | None:
    return next(
        (number for name, number in app.installations.items() if name.lower() == owner.lower()),
        None,
    )
