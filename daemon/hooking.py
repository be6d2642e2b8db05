"""``/api/v1/hooks`` and ``/api/v1/recover``: sets webhooks up on GitHub for triggers, shows, tests
and deletes them, and has missed deliveries looked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from aiohttp import web

from daemon.asking import asked_for
from daemon.errors import FetchError, Refused
from daemon.expressions import JSON
from daemon.github_hooks import Hook, is_place
from daemon.hook_places import HookPlaces
from daemon.hook_views import hook_view, recovery_view
from daemon.hooks_at_github import Denied, HooksAtGithub, NotNow
from daemon.instants import instant
from daemon.own_hooks import TRACKED, OwnUrls, dispatches_of, events_named, own_url, takes_hooks
from daemon.recovery import Recovery
from daemon.recovery_report import Order
from daemon.spec import Config, TriggerSpec
from daemon.web import json_response

EVENTS_MAX = 100

AT_A_TIME = 8
"""Places that are asked about at once."""


class Hooking:
    """Answers calls whose key has been checked. Raises Refused: 404 for a trigger that there is
    not, 409 for one that GitHub's webhooks cannot come to, 400 for a call that is none, 502 with
    GitHub's words for what it does not do."""

    def __init__(
        self,
        config: Config,
        github: HooksAtGithub,
        urls: OwnUrls,
        places: HookPlaces,
        recovery: Recovery,
    ) -> None:
        self._triggers = {trigger.name: trigger for trigger in config.triggers}
        self._settings = config.settings
        self._targets = {each.repository.lower() for each in dispatches_of(config)}
        self._github = github
        self._urls = urls
        self._places = places
        self._recovery = recovery

    async def create(self, request: web.Request) -> web.Response:
        """POST with ``{"place": "owner/name" or organisation, "events": [names], "url": URL,
        "params": {name: value}, "track": bool}``, all of it optional. A hook with the same URL is
        changed in place of a second one."""
        asked = await asked_for(request, ("place", "events", "url", "params", "track"))
        trigger = self._trigger(request.match_info["name"])
        place = self._place(asked.get("place"))
        url = self._url(trigger, asked)
        if not trigger.auth.secrets:
            raise Refused(409, f"{trigger.name} has no `secret` that GitHub could sign with")
        secret = trigger.auth.secrets[0]
        wanted = self._events(trigger, place, url, asked)
        try:
            before = _with_url(await self._github.of(place), url)
            if before is None:
                hook = await self._created(place, url, trigger, wanted)
                done = "created"
            else:
                hook = await self._github.update(before, secret, wanted | before.events)
                done = "updated"
        except FetchError as error:
            raise _refused(error) from None
        await self._places.remember(place)
        return json_response(
            201 if done == "created" else 200,
            {
                "done": done,
                **hook_view(hook, self._names(hook) or [trigger.name]),
                "warnings": [*self._warnings(trigger, hook)],
            },
        )

    async def _created(
        self, place: str, url: str, trigger: TriggerSpec, events: frozenset[str]
    ) -> Hook:
        try:
            return await self._github.create(place, url, trigger.auth.secrets[0], events)
        except (Denied, NotNow):
            raise
        except FetchError:
            # The answer was lost: what was asked for may have been done.
            hook = _with_url(await self._github.of(place), url)
            if hook is None:
                raise
            return hook

    async def listed(self, request: web.Request) -> web.Response:
        """GET, of ``?place=`` or of all places that are known: the hooks that come here."""
        place = request.query.get("place")
        places = [self._place(place)] if place is not None else await self._places.all()
        hooks: list[JSON] = []
        errors: list[JSON] = []
        turns = asyncio.Semaphore(AT_A_TIME)

        async def look(place: str) -> list[Hook] | FetchError:
            async with turns:
                try:
                    return await self._github.of(place)
                except FetchError as error:
                    return error

        for each, found in zip(places, await asyncio.gather(*map(look, places)), strict=True):
            if isinstance(found, FetchError):
                errors.append({"place": each, "reason": str(found)})
            else:
                hooks += [hook_view(hook, names) for hook in found if (names := self._names(hook))]
        return json_response(200, {"hooks": hooks, "errors": errors})

    async def ping(self, request: web.Request) -> web.Response:
        """POST with ``{"place": …, "id": number}``: has GitHub send the hook a ping, and waits, for
        some seconds, for what becomes of it: ``arrived`` is null where GitHub does not tell yet."""
        hook = await self._asked_hook(request)
        try:
            answered = await self._github.ping(hook)
        except FetchError as error:
            raise _refused(error) from None
        view = hook_view(hook, self._names(hook))
        view["arrived"] = answered.arrived if answered else None
        view["status"] = f"{answered.code} {answered.status}" if answered else ""
        return json_response(200, view)

    async def delete(self, request: web.Request) -> web.Response:
        """POST with ``{"place": …, "id": number}``."""
        hook = await self._asked_hook(request)
        try:
            await self._github.delete(hook)
        except FetchError as error:
            raise _refused(error) from None
        return json_response(200, hook_view(hook, self._names(hook)))

    async def recover(self, request: web.Request) -> web.Response:
        """POST with ``{"since": instant, "dry_run": bool, "refused": bool, "places": […]}``, all of
        it optional: begins a look for missed deliveries."""
        asked = await asked_for(request, ("since", "dry_run", "refused", "places"))
        since = asked.get("since")
        if since is not None and not isinstance(since, str):
            raise Refused(400, "`since` is an RFC 3339 instant")
        places = asked.get("places", [])
        if not isinstance(places, list):
            raise Refused(400, "`places` is an array")
        try:
            start = None if since is None else instant(since)
        except ValueError as error:
            raise Refused(400, f"since: {error}") from None
        order = Order(
            since=start,
            dry_run=_flag(asked.get("dry_run"), "dry_run") or False,
            refused=_flag(asked.get("refused"), "refused") or False,
            places=tuple(map(self._place, places)),
        )
        return json_response(202, recovery_view(self._recovery.begin(order)))

    async def recovered(self, request: web.Request) -> web.Response:
        """GET: how the last look went, or goes."""
        if self._recovery.last is None:
            raise Refused(404, "missed deliveries were not looked for since the start")
        return json_response(200, recovery_view(self._recovery.last))

    def _warnings(self, trigger: TriggerSpec, hook: Hook) -> Iterator[str]:
        """What is not as whoever asked may think."""
        sharing = self._urls.behind(hook.url)
        if not sharing:
            yield (
                "`public_url` in DAEMON.yaml and the triggers' paths do not say that this URL "
                "leads here: what it misses is not looked for"
            )
        if TRACKED in hook.events:
            for each in sharing or (trigger,):
                if not events_named(each):
                    yield (
                        f"{each.name} takes every event, so each step of each run is dispatched "
                        f"(`{TRACKED}`): name the event in its `when`, as headers["
                        "'x-github-event'] == 'push'"
                    )

    def _trigger(self, name: str) -> TriggerSpec:
        trigger = self._triggers.get(name)
        if trigger is None:
            known = ", ".join(sorted(self._triggers)) or "none"
            raise Refused(404, f"there is no trigger {name!r:.100}; there are: {known:.1000}")
        if not trigger.enabled:
            raise Refused(
                409,
                f"{trigger.name} is disabled: set `enabled` to true",
            )
        if not takes_hooks(trigger):
            raise Refused(
                409,
                f"{trigger.name} takes what {trigger.auth.scheme.name} proves: GitHub's webhooks "
                'come to a trigger with "auth": {"scheme": "github", …} and the method POST',
            )
        return trigger

    def _place(self, place: JSON) -> str:
        if place is None:
            place = self._settings.default_repository
            if not place:
                raise Refused(400, "say where: with --repository OWNER/NAME or --organization NAME")
        if not isinstance(place, str) or not is_place(place):
            raise Refused(400, f"{place!r:.100} is neither owner/name nor an organisation")
        return place

    def _url(self, trigger: TriggerSpec, asked: dict[str, JSON]) -> str:
        params = asked.get("params", {})
        url = asked.get("url")
        if not isinstance(params, dict) or not all(isinstance(v, str) for v in params.values()):
            raise Refused(400, "`params` is an object of texts")
        if url is not None:
            if not isinstance(url, str) or not url.startswith(("https://", "http://")):
                raise Refused(400, f"{url!r:.200} is no URL of http or https")
            return url
        try:
            return own_url(
                trigger, self._settings.public_url, {key: str(v) for key, v in params.items()}
            )
        except ValueError as error:
            raise Refused(400, str(error)) from None

    def _events(
        self, trigger: TriggerSpec, place: str, url: str, asked: dict[str, JSON]
    ) -> frozenset[str]:
        """What was asked for, else what the trigger's expressions name; with the event that tells
        of runs where dispatches start some, and no trigger takes it for one of its own."""
        given = asked.get("events")
        if given is not None and (
            not isinstance(given, list)
            or not 0 < len(given) <= EVENTS_MAX
            or not all(isinstance(each, str) and each for each in given)
        ):
            raise Refused(400, "`events` is an array of names")
        events = frozenset(map(str, given)) if given else events_named(trigger)
        if not events:
            raise Refused(
                400,
                f"the expressions of {trigger.name} do not name the events that it is for: give "
                "them, as --event push --event pull_request",
            )
        track = _flag(asked.get("track"), "track")
        if track is None:
            sharing = self._urls.behind(url) or (trigger,)
            track = self._is_target(place) and all(map(events_named, sharing))
        return events | {TRACKED} if track else events

    def _is_target(self, place: str) -> bool:
        """Whether dispatches go there."""
        name = place.lower()
        return any(name in (target, target.partition("/")[0]) for target in self._targets)

    async def _asked_hook(self, request: web.Request) -> Hook:
        asked = await asked_for(request, ("place", "id"))
        place = self._place(asked.get("place"))
        try:
            found = await self._github.of(place)
        except FetchError as error:
            raise _refused(error) from None
        for hook in found:
            if hook.id == asked.get("id") and self._urls.behind(hook.url):
                return hook
        raise Refused(404, f"{place} has no webhook {asked.get('id')!r:.40} that comes here")

    def _names(self, hook: Hook) -> list[str]:
        return [trigger.name for trigger in self._urls.behind(hook.url)]


def _with_url(hooks: Iterable[Hook], url: str) -> Hook | None:
    return next((hook for hook in hooks if hook.url == url), None)


def _flag(value: JSON, name: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise Refused(400, f"`{name}` is true or false")
    return value


def _refused(error: FetchError) -> Refused:
    return Refused(502, str(error))
