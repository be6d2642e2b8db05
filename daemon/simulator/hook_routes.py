"""GitHub's endpoints for the webhooks of a repository or an organisation: set one up, see what it
delivered, and ask for a delivery once more."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from aiohttp import web

from daemon.simulator import shapes
from daemon.simulator.apps import Apps, place_of
from daemon.simulator.hooks import Hook, HookDelivery, Hooks, OfApp, Place
from daemon.simulator.lookups import here
from daemon.simulator.paging import SIZE, SIZE_MAX, Page, at_least_one
from daemon.simulator.routing import Handler, named, of_repository, writable
from daemon.simulator.runs import timestamp
from daemon.simulator.validation import DOCS, Rejection, read_object
from daemon.simulator.world import World

HOOK_DOCS = f"{DOCS}/repos/webhooks#create-a-repository-webhook"
HOOKS_MAX = 20
"""Hooks of one repository for the same event."""

_ORG = "/orgs/{org}"
_HOOK = r"/hooks/{hook:\d{1,12}}"
_DELIVERY = _HOOK + r"/deliveries/{delivery:\d{1,12}}"


class HookRoutes:
    """Answers from ``hooks`` as of ``clock()``."""

    def __init__(
        self, world: World, hooks: Hooks, apps: Apps, clock: Callable[[], datetime]
    ) -> None:
        self._world = world
        self._hooks = hooks
        self._apps = apps
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/hooks", self._create),
            ("GET", "/hooks", self._list),
            ("GET", _HOOK, self._get),
            ("PATCH", _HOOK, self._update),
            ("DELETE", _HOOK, self._delete),
            ("POST", _HOOK + "/pings", self._ping),
            ("GET", _HOOK + "/deliveries", self._deliveries),
            ("GET", _DELIVERY, self._delivery),
            ("POST", _DELIVERY + "/attempts", self._redeliver),
        ]
        routes = []
        for method, path, handler in table:
            routes += of_repository(method, path, handler)
            routes.append(web.route(method, _ORG + path, handler))
        deliveries = "/app/hook/deliveries"
        one = deliveries + r"/{delivery:\d{1,12}}"
        routes += [
            web.get("/app/hook/config", self._app_config),
            web.get(deliveries, self._deliveries),
            web.get(one, self._delivery),
            web.post(one + "/attempts", self._redeliver),
        ]
        return routes

    async def _create(self, request: web.Request) -> web.StreamResponse:
        place = self._place(request, "write")
        document = read_object(await request.read(), HOOK_DOCS)
        if isinstance(place, str) and not {"name", "config"} <= set(document):
            raise _invalid("name and config are required")
        now = self._clock()
        blank = Hook(
            id=self._hooks.next_id(),
            place=place,
            url="",
            secret="",
            content_type="form",
            insecure_ssl="0",
            events=frozenset({"push"}),
            active=True,
            created_at=now,
            updated_at=now,
        )
        hook = _changed(blank, document)
        there = self._hooks.of(place)
        if any((each.url, each.events) == (hook.url, hook.events) for each in there):
            raise _invalid(
                "Hook already exists on this "
                + ("organization" if isinstance(place, str) else "repository")
            )
        if any(sum(event in each.events for each in there) >= HOOKS_MAX for event in hook.events):
            raise _invalid(f"The hook cannot be added: there are {HOOKS_MAX} for the event")
        self._hooks.add(hook)
        self._send_ping(request, hook)
        return web.json_response(self._shown(request, hook), status=201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        found = self._hooks.of(self._place(request))
        page = Page.asked(request)
        return web.json_response(
            [self._shown(request, hook) for hook in page.of(found)],
            headers=page.links(request, len(found)),
        )

    async def _get(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._shown(request, self._named(request)))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        self._place(request, "write")
        document = read_object(await request.read(), HOOK_DOCS)
        hook = replace(_changed(self._named(request), document), updated_at=self._clock())
        self._hooks.add(hook)
        return web.json_response(self._shown(request, hook))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        self._place(request, "write")
        self._hooks.remove(self._named(request))
        return web.Response(status=204)

    async def _ping(self, request: web.Request) -> web.StreamResponse:
        self._place(request, "write")
        self._send_ping(request, self._named(request))
        return web.Response(status=204)

    async def _deliveries(self, request: web.Request) -> web.StreamResponse:
        found = self._hooks.deliveries(self._named(request))
        wanted = request.query.get("status")
        if wanted in ("success", "failure"):
            found = [each for each in found if each.succeeded == (wanted == "success")]
        size = min(at_least_one(request.query.get("per_page"), SIZE), SIZE_MAX)
        if cursor := request.query.get("cursor"):
            place = re.fullmatch(r"v1_(\d{1,12})", cursor)
            if place is None:
                raise Rejection(422, "Invalid cursor")
            found = [each for each in found if each.id <= int(place[1])]
        headers = {}
        if len(found) > size:
            following = request.url.update_query(cursor=f"v1_{found[size].id}")
            headers["Link"] = f'<{following}>; rel="next"'
        return web.json_response([_item(each) for each in found[:size]], headers=headers)

    async def _delivery(self, request: web.Request) -> web.StreamResponse:
        delivery = self._delivery_named(request, self._named(request))
        details = {
            **_item(delivery),
            "url": delivery.url,
            "request": {
                "headers": dict(delivery.request_headers),
                "payload": dict(delivery.payload),
            },
            "response": {
                "headers": dict(delivery.response_headers) or None,
                "payload": delivery.response,
            },
        }
        return web.json_response(details)

    async def _redeliver(self, request: web.Request) -> web.StreamResponse:
        self._place(request, "write")
        hook = self._named(request)
        delivery = self._delivery_named(request, hook)
        self._hooks.send(hook, delivery.event, delivery.payload, delivery.guid)
        return web.json_response({}, status=202)

    def _place(self, request: web.Request, right: str = "read") -> Place:
        """The repository or organisation of the path. Raises Rejection where there is none, and
        where an App's token has no such right there."""
        token = request.headers.get("Authorization", "").partition(" ")[2].strip()
        if request.path.startswith("/app/"):
            return place_of(self._apps.claimed(request))
        if "org" in request.match_info:
            organisation = self._world.organisation(request.match_info["org"])
            if organisation is None:
                raise Rejection(404, "Not Found")
            self._apps.demand(token, organisation, "organization_hooks", right)
            return organisation
        repository = (writable if right == "write" else named)(request, self._world)
        self._apps.demand(token, repository.full_name, "repository_hooks", right)
        return repository

    async def _app_config(self, request: web.Request) -> web.StreamResponse:
        place = self._place(request)
        hook = next(iter(self._hooks.of(place)), None)
        return web.json_response(_config(hook) if hook else {"content_type": "form"})

    def _named(self, request: web.Request) -> Hook:
        place, wanted = self._place(request), request.match_info.get("hook")
        for hook in self._hooks.of(place):
            if wanted in (None, str(hook.id)):
                return hook
        raise Rejection(404, "Not Found")

    def _delivery_named(self, request: web.Request, hook: Hook) -> HookDelivery:
        wanted = int(request.match_info["delivery"])
        for delivery in self._hooks.deliveries(hook):
            if delivery.id == wanted:
                return delivery
        raise Rejection(404, "Not Found")

    def _send_ping(self, request: web.Request, hook: Hook) -> None:
        payload = {
            "zen": "Practicality beats purity.",
            "hook_id": hook.id,
            "hook": self._shown(request, hook),
            **_about(hook.place, here(request)),
            "sender": shapes.user(shapes.USER, here(request)),
        }
        self._hooks.send(hook, "ping", payload)

    def _shown(self, request: web.Request, hook: Hook) -> dict[str, object]:
        of_org = isinstance(hook.place, str)
        url = f"{here(request)}{_address(hook.place)}/hooks/{hook.id}"
        last = next(iter(self._hooks.deliveries(hook)), None)
        shown: dict[str, object] = {
            "type": "Organization" if of_org else "Repository",
            "id": hook.id,
            "name": "web",
            "active": hook.active,
            "events": sorted(hook.events),
            "config": _config(hook),
            "updated_at": timestamp(hook.updated_at),
            "created_at": timestamp(hook.created_at),
            "url": url,
            "ping_url": f"{url}/pings",
            "deliveries_url": f"{url}/deliveries",
        }
        if of_org:
            return shown
        return shown | {
            "test_url": f"{url}/test",
            "last_response": {
                "code": last.status_code if last else None,
                "status": last.status if last else "unused",
                "message": last.status if last else None,
            },
        }


def _changed(hook: Hook, document: dict[str, Any]) -> Hook:
    """The hook with what the document says of it; raises Rejection where that makes no hook. A
    ``config`` takes the place of the one before, its secret included."""
    config = document.get("config", {})
    if document.get("name", "web") != "web" or not isinstance(config, dict):
        raise _invalid("name must be web, and config an object")
    events = _names(document, "events") or hook.events
    if "events" in document and not document["events"]:
        raise _invalid("events must be a list of names")
    events = (events | _names(document, "add_events")) - _names(document, "remove_events")
    if config:
        hook = replace(hook, secret="", content_type="form", insecure_ssl="0")
    changed = replace(
        hook,
        url=str(config.get("url", hook.url)),
        secret=str(config.get("secret", hook.secret)),
        content_type=str(config.get("content_type", hook.content_type)),
        insecure_ssl=str(config.get("insecure_ssl", hook.insecure_ssl)),
        events=events,
        active=bool(document.get("active", hook.active)),
    )
    if not changed.url.startswith(("http://", "https://")):
        raise _invalid("url is missing a scheme" if changed.url else "url cannot be blank")
    if changed.content_type not in ("json", "form"):
        raise _invalid("content_type must be json or form")
    return changed


def _config(hook: Hook) -> dict[str, str]:
    config = {
        "url": hook.url,
        "content_type": hook.content_type,
        "insecure_ssl": hook.insecure_ssl,
    }
    if hook.secret:
        config["secret"] = "********"  # noqa: S105  # which is what GitHub shows of it
    return config


def _names(document: dict[str, Any], key: str) -> frozenset[str]:
    names = document.get(key, [])
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise _invalid(f"{key} must be a list of names")
    return frozenset(names)


def _address(place: Place) -> str:
    if isinstance(place, OfApp):
        return "/app"
    return f"/orgs/{place}" if isinstance(place, str) else f"/repos/{place.full_name}"


def _about(place: Place, url: str) -> dict[str, object]:
    if isinstance(place, OfApp):
        return {}
    if isinstance(place, str):
        return {"organization": {"login": place}}
    return {"repository": shapes.repository_in_short(place, url)}


def _invalid(why: str) -> Rejection:
    return Rejection(422, f"Validation Failed: {why}", HOOK_DOCS)


def _item(delivery: HookDelivery) -> dict[str, object]:
    return {
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": timestamp(delivery.delivered_at),
        "redelivery": delivery.redelivery,
        "duration": delivery.duration,
        "status": delivery.status,
        "status_code": delivery.status_code,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": delivery.installation,
        "repository_id": delivery.repository_number,
    }
