"""The stand-in's own routes under ``/_simulator``: how whoever watches the daemon changes what is
on this GitHub, and makes it fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from daemon.simulator.actions import Actions
from daemon.simulator.faults import Fault
from daemon.simulator.hooks import Hooks
from daemon.simulator.mishaps import Mishaps
from daemon.simulator.quota import SecondaryLimits, SecondaryQuota
from daemon.simulator.repositories import Repository
from daemon.simulator.routing import Handler
from daemon.simulator.runs import CONCLUSIONS, Course
from daemon.simulator.validation import Rejection, read_object
from daemon.simulator.workflows import WorkflowState
from daemon.simulator.world import World

PREFIX = "/_simulator/"
_REPOSITORY = PREFIX + "repos/{owner}/{name}"
_SPAN_MAX = 86_400


class Controls:
    """Acts on ``world`` and the rest of the stand-in; errors are ``{"error": text}``."""

    def __init__(
        self,
        world: World,
        actions: Actions,
        hooks: Hooks,
        mishaps: Mishaps,
        secondary: SecondaryQuota,
        clock: Callable[[], datetime],
        clear: Callable[[], None],
    ) -> None:
        self._world = world
        self._actions = actions
        self._hooks = hooks
        self._mishaps = mishaps
        self._secondary = secondary
        self._clock = clock
        self._clear = clear

    def routes(self) -> list[web.RouteDef]:
        table: list[tuple[str, str, Handler]] = [
            ("POST", PREFIX + "faults", self._post_fault),
            ("DELETE", PREFIX + "faults", self._delete_faults),
            ("GET", PREFIX + "settings", self._get_settings),
            ("PATCH", PREFIX + "settings", self._patch_settings),
            ("PATCH", _REPOSITORY, self._patch_repository),
            ("PUT", _REPOSITORY + "/workflows/{file}", self._put_workflow),
            ("PATCH", _REPOSITORY + "/workflows/{file}", self._patch_workflow),
            ("DELETE", _REPOSITORY + "/workflows/{file}", self._delete_workflow),
            ("PATCH", _REPOSITORY + r"/runs/{id:\d{1,18}}", self._patch_run),
            ("PUT", _REPOSITORY + "/branches/{branch:.+}", self._put_branch),
            ("DELETE", _REPOSITORY + "/branches/{branch:.+}", self._delete_branch),
            ("POST", _REPOSITORY + "/webhooks/{event}", self._post_webhook),
        ]
        return [web.route(method, path, _told(handler)) for method, path, handler in table]

    async def _post_fault(self, request: web.Request) -> web.StreamResponse:
        try:
            fault = Fault.parse(json.loads(await request.read()))
        except RecursionError as error:
            raise ValueError(str(error)) from None
        self._mishaps.faults.add(fault)
        return web.json_response({"faults": self._mishaps.faults.pending()}, status=201)

    async def _delete_faults(self, request: web.Request) -> web.StreamResponse:
        self._clear()
        return web.Response(status=204)

    async def _get_settings(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._settings())

    def _settings(self) -> dict[str, object]:
        course = self._world.course
        return {
            "index_lag": self._actions.index_lag.total_seconds(),
            "queued_for": _seconds(course.queued_for),
            "running_for": _seconds(course.running_for),
            "conclusion": course.conclusion,
            **asdict(self._secondary.limits),
        }

    async def _patch_settings(self, request: web.Request) -> web.StreamResponse:
        limits = asdict(self._secondary.limits)
        known = ("index_lag", "queued_for", "running_for", "conclusion", *limits)
        document = await _object(request, known)
        course = self._world.course
        queued_for = _span(document, "queued_for", course.queued_for)
        running_for = _span(document, "running_for", course.running_for)
        conclusion = _member(document, "conclusion", CONCLUSIONS, course.conclusion)
        index_lag = _span(document, "index_lag", self._actions.index_lag)
        changed = {name: _count(document, name, limits[name]) for name in limits}
        if index_lag is None:
            raise ValueError("index_lag must be a number of seconds")
        self._world.course = Course(queued_for, running_for, conclusion)
        self._actions.index_lag = index_lag
        self._secondary.limits = SecondaryLimits(**changed)
        return web.json_response(self._settings())

    async def _patch_repository(self, request: web.Request) -> web.StreamResponse:
        repository = self._repository(request)
        document = await _object(
            request, ("actions_enabled", "archived", "default_branch", "full_name")
        )
        actions_enabled = document.get("actions_enabled", repository.actions_enabled)
        archived = document.get("archived", repository.archived)
        branch = document.get("default_branch", repository.default_branch)
        full_name = document.get("full_name", repository.full_name)
        if not isinstance(actions_enabled, bool):
            raise ValueError("actions_enabled must be true or false")
        if not isinstance(archived, bool):
            raise ValueError("archived must be true or false")
        if not isinstance(branch, str) or not branch:
            raise ValueError("default_branch must be the name of a branch")
        if not isinstance(full_name, str) or full_name.count("/") != 1:
            raise ValueError("full_name must be owner/name")
        self._world.rename(repository, full_name)
        repository.actions_enabled = actions_enabled
        repository.archived = archived
        repository.default_branch = branch
        return web.json_response(_shown(repository))

    async def _put_workflow(self, request: web.Request) -> web.StreamResponse:
        repository, file = self._repository(request), request.match_info["file"]
        if not file.endswith((".yml", ".yaml")):
            raise ValueError("GitHub reads workflows from files that end with .yml or .yaml")
        try:
            text = (await request.read()).decode()
        except UnicodeDecodeError:
            raise ValueError("the file is not UTF-8") from None
        repository.put(file, text, self._clock(), branch=request.query.get("branch", ""))
        return web.json_response(_shown(repository))

    async def _patch_workflow(self, request: web.Request) -> web.StreamResponse:
        document = await _object(request, ("state",))
        states = [each.value for each in WorkflowState]
        return self._turn(request, WorkflowState(_member(document, "state", states, "active")))

    async def _delete_workflow(self, request: web.Request) -> web.StreamResponse:
        return self._turn(request, WorkflowState.DELETED)

    def _turn(self, request: web.Request, state: WorkflowState) -> web.StreamResponse:
        repository = self._repository(request)
        workflow = repository.workflow(request.match_info["file"])
        if workflow is None:
            raise LookupError("there is no such workflow")
        repository.turn(workflow, state, self._clock())
        return web.json_response(_shown(repository))

    async def _patch_run(self, request: web.Request) -> web.StreamResponse:
        repository = self._repository(request)
        run = self._world.run(repository, int(request.match_info["id"]))
        if run is None:
            raise LookupError("there is no such run")
        document = await _object(request, ("conclusion",))
        now = self._clock()
        settled = run.settled(now, _member(document, "conclusion", CONCLUSIONS, "success"))
        self._world.change(settled)
        return web.json_response(settled.in_short(now))

    async def _put_branch(self, request: web.Request) -> web.StreamResponse:
        repository = self._repository(request)
        repository.add_branch(request.match_info["branch"])
        return web.json_response(_shown(repository))

    async def _delete_branch(self, request: web.Request) -> web.StreamResponse:
        repository = self._repository(request)
        repository.remove_branch(request.match_info["branch"])
        return web.json_response(_shown(repository))

    async def _post_webhook(self, request: web.Request) -> web.StreamResponse:
        payload = await _object(request, None)
        sent = self._hooks.publish(self._repository(request), request.match_info["event"], payload)
        return web.json_response({"deliveries": sent}, status=202)

    def _repository(self, request: web.Request) -> Repository:
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        repository = self._world.repository(name) or self._world.formerly(name)
        if repository is None:
            raise LookupError(f"there is no repository {name}")
        return repository


def _told(handler: Handler) -> Handler:
    """``handler`` with its errors as answers."""

    async def answering(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except LookupError as error:
            return web.json_response({"error": str(error.args[0])}, status=404)
        except Rejection as error:
            return web.json_response({"error": error.message}, status=400)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)

    return answering


async def _object(request: web.Request, known: tuple[str, ...] | None) -> dict[str, Any]:
    """The body; raises ValueError for a key that is not ``known`` (None: any is)."""
    document = read_object(await request.read())
    unknown = sorted(set(document) - set(known)) if known is not None else []
    if known is not None and unknown:
        raise ValueError(f"unknown key '{unknown[0]}'; there are {', '.join(sorted(known))}")
    return document


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _span(document: dict[str, Any], key: str, default: timedelta | None) -> timedelta | None:
    """Seconds; null means that it has no end."""
    if key not in document:
        return default
    value = document[key]
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= _SPAN_MAX:
        raise ValueError(f"{key} must be a number of seconds from 0 to {_SPAN_MAX}, or null")
    return timedelta(seconds=value)


def _count(document: dict[str, Any], key: str, default: int | None) -> int | None:
    """A number of requests; null means that it is not watched."""
    value = document.get(key, default)
    whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if value is not None and not whole:
        raise ValueError(f"{key} must be a whole number from 1, or null")
    return value


def _member(
    document: dict[str, Any], key: str, known: list[str] | tuple[str, ...], default: str
) -> str:
    value = document.get(key, default)
    if value not in known:
        raise ValueError(f"{key} must be one of {', '.join(known)}")
    return str(value)


def _shown(repository: Repository) -> dict[str, object]:
    return {
        "full_name": repository.full_name,
        "archived": repository.archived,
        "default_branch": repository.default_branch,
        "branches": repository.branches,
        "workflows": [
            {
                "file": each.file,
                "name": each.name,
                "state": each.state.value,
                "valid": each.definition is not None,
            }
            for each in repository.workflows
        ],
    }
