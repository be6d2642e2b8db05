"""GitHub's two endpoints that start workflows: by an event of a repository, and by the name of the
workflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime

from aiohttp import web

from daemon.run_names import printed
from daemon.simulator.apps import Apps
from daemon.simulator.faults import FaultPlace
from daemon.simulator.lookups import here
from daemon.simulator.mishaps import Mishaps
from daemon.simulator.repositories import ReceivedDispatch, Repository
from daemon.simulator.routing import by_number, of_repository, request_id, writable
from daemon.simulator.validation import (
    WORKFLOW_DISPATCH_DOCS,
    Rejection,
    read_dispatch,
    read_workflow_dispatch,
)
from daemon.simulator.workflows import Workflow
from daemon.simulator.world import World

ALWAYS_WITH_RUN = "2026-03-10"
"""From this version of the API on, the run is told without being asked for."""
INPUTS_MAX_GHES = 10


class Dispatches:
    """Acts on ``world`` as of ``clock()``. With ``ghes`` it is a GitHub Enterprise Server that does
    not know how to tell the run yet."""

    def __init__(
        self,
        world: World,
        mishaps: Mishaps,
        apps: Apps,
        clock: Callable[[], datetime],
        *,
        ghes: bool,
    ) -> None:
        self._world = world
        self._mishaps = mishaps
        self._apps = apps
        self._clock = clock
        self._ghes = ghes

    def routes(self) -> list[web.RouteDef]:
        return [
            *of_repository("POST", "/dispatches", self._repository_dispatch),
            *of_repository(
                "POST", "/actions/workflows/{workflow}/dispatches", self._workflow_dispatch
            ),
        ]

    async def _repository_dispatch(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        repository = writable(request, self._world)
        self._apps.demand(_token(request), repository.full_name, "contents")
        event_type, payload = read_dispatch(body)
        dispatch = ReceivedDispatch(
            at=self._clock(),
            repository=repository.full_name,
            event_type=event_type,
            client_payload=payload,
            request_id=request_id.get(),
        )

        async def act() -> web.StreamResponse:
            self._world.receive(dispatch, repository, len(body))
            return web.Response(status=204)

        return await self._mishaps.through(
            request, FaultPlace.DISPATCH, act, here(request) + by_number(repository, "/dispatches")
        )

    async def _workflow_dispatch(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        repository = writable(request, self._world)
        self._apps.demand(_token(request), repository.full_name, "actions")
        asked = read_workflow_dispatch(body)
        always = request.headers.get("X-GitHub-Api-Version") == ALWAYS_WITH_RUN
        if asked.wants_run is not None and (self._ghes or always):
            told = 'Invalid request.\n\n"return_run_details" is not a permitted key.'
            raise Rejection(400 if self._ghes else 422, told, WORKFLOW_DISPATCH_DOCS)
        if self._ghes and len(asked.inputs) > INPUTS_MAX_GHES:
            raise _too_many(len(asked.inputs), INPUTS_MAX_GHES)
        key = request.match_info["workflow"]
        workflow = self._world.workflow_named(repository, key, asked.inputs)
        if workflow is None:
            raise Rejection(404, "Not Found", WORKFLOW_DISPATCH_DOCS)
        ref = self._ref(repository, asked.ref)
        inputs = _complete(workflow, asked.inputs)
        dispatch = ReceivedDispatch(
            at=self._clock(),
            repository=repository.full_name,
            event_type="",
            client_payload=inputs,
            request_id=request_id.get(),
            workflow=workflow.file,
            ref=ref,
        )

        async def act() -> web.StreamResponse:
            run = self._world.start_workflow(dispatch, repository, workflow, len(body))
            if run is None or not (always or asked.wants_run):
                return web.Response(status=204)
            place = f"{repository.full_name}/actions/runs/{run.id}"
            details = {
                "workflow_run_id": run.id,
                "run_url": f"{here(request)}/repos/{place}",
                "html_url": f"{here(request)}/{place}",
            }
            return web.json_response(details)

        place = f"/actions/workflows/{key}/dispatches"
        return await self._mishaps.through(
            request, FaultPlace.DISPATCH, act, here(request) + by_number(repository, place)
        )

    def _ref(self, repository: Repository, ref: str) -> str:
        """The branch. Raises Rejection where there is none of the name."""
        branch = ref.removeprefix("refs/heads/")
        if branch not in self._world.branches(repository, self._clock()):
            raise Rejection(422, f"No ref found for: {ref}", WORKFLOW_DISPATCH_DOCS)
        return branch


def _token(request: web.Request) -> str:
    return request.headers.get("Authorization", "").partition(" ")[2].strip()


def _complete(workflow: Workflow, given: Mapping[str, object]) -> dict[str, object]:
    """The inputs as the workflow reads them: text, with what is left out at its default. Raises
    Rejection as GitHub does for what the workflow does not take."""
    if not workflow.starts_on("workflow_dispatch") or workflow.definition is None:
        raise _refused("Workflow does not have 'workflow_dispatch' trigger")
    if not workflow.active:
        raise _refused("Cannot trigger a 'workflow_dispatch' on a disabled workflow")
    declared = workflow.definition.inputs
    if unexpected := [name for name in given if name not in declared]:
        raise _refused(f"Unexpected inputs provided: {json.dumps(unexpected)}")
    inputs: dict[str, object] = {}
    for name, about in declared.items():
        value = printed(given[name]) if name in given else about.default
        if about.required and value == "":
            raise _refused(f"Required input '{name}' not provided")
        if value and about.options and value not in about.options:
            raise _refused(
                f"Provided value '{value}' for input '{name}' not in the list of allowed values"
            )
        if value and about.type == "boolean" and value not in ("true", "false"):
            raise _refused(f"Provided value '{value}' for input '{name}' not of type boolean")
        inputs[name] = value
    return inputs


def _refused(message: str) -> Rejection:
    return Rejection(422, message, WORKFLOW_DISPATCH_DOCS)


def _too_many(count: int, most: int) -> Rejection:
    return _refused(
        f"Invalid request.\n\nNo more than {most} properties are allowed; {count} were supplied."
    )
