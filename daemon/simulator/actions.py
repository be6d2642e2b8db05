"""GitHub Actions' endpoints: workflows and their states, runs, further attempts of a run, and
workflows that are started by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import orjson
from aiohttp import web

from daemon.simulator import search_index, shapes
from daemon.simulator.lookups import here
from daemon.simulator.paging import Page
from daemon.simulator.repositories import Repository
from daemon.simulator.routing import named, of_repository, writable
from daemon.simulator.runs import Run
from daemon.simulator.validation import Rejection
from daemon.simulator.workflows import Workflow, WorkflowState
from daemon.simulator.world import World

_RUNS = "/actions/runs"
_RUN = _RUNS + r"/{id:\d{1,18}}"
_WORKFLOWS = "/actions/workflows"
_WORKFLOW = _WORKFLOWS + "/{workflow}"


class Actions:
    """Answers from ``world`` as of ``clock()``. Filtered lists of runs come from an index that is
    ``index_lag`` behind; all others are right."""

    def __init__(self, world: World, clock: Callable[[], datetime], index_lag: timedelta) -> None:
        self._world = world
        self._clock = clock
        self.index_lag = index_lag

    def routes(self) -> list[web.RouteDef]:
        return [
            *of_repository("GET", "/actions/permissions", self._permissions),
            *of_repository("GET", _RUNS, self._runs),
            *of_repository("GET", _RUN, self._run),
            *of_repository("GET", _RUN + r"/attempts/{attempt:\d{1,4}}", self._attempt),
            *of_repository("POST", _RUN + "/rerun", self._rerun),
            *of_repository("POST", _RUN + "/rerun-failed-jobs", self._rerun),
            *of_repository("POST", _RUN + "/cancel", self._cancel),
            *of_repository("GET", _WORKFLOWS, self._workflows),
            *of_repository("GET", _WORKFLOW, self._workflow),
            *of_repository("GET", _WORKFLOW + "/runs", self._runs_of_workflow),
            *of_repository("PUT", _WORKFLOW + "/enable", self._enable),
            *of_repository("PUT", _WORKFLOW + "/disable", self._disable),
        ]

    async def _permissions(self, request: web.Request) -> web.StreamResponse:
        repository = named(request, self._world)
        enabled = repository.actions_enabled
        allowed = {"allowed_actions": "all"} if enabled else {}
        return web.json_response({"enabled": enabled, **allowed})

    async def _runs(self, request: web.Request) -> web.StreamResponse:
        repository = named(request, self._world)
        return self._listed(request, repository, self._world.runs_of(repository))

    async def _runs_of_workflow(self, request: web.Request) -> web.StreamResponse:
        repository, workflow = self._workflow_named(request)
        runs = self._world.runs_of(repository)
        mine = [run for run in runs if run.workflow.id == workflow.id]
        return self._listed(request, repository, mine)

    def _listed(
        self, request: web.Request, repository: Repository, runs: list[Run]
    ) -> web.StreamResponse:
        as_of, page = self._clock(), Page.asked(request)
        if search_index.is_filtered(request.query):
            as_of -= self.index_lag
            runs = search_index.found(
                runs, request.query, as_of, lambda run: repository.commit(run.head_branch)
            )
        shown = [shapes.run(run, repository, here(request), as_of) for run in page.of(runs)]
        return web.Response(
            body=orjson.dumps({"total_count": len(runs), "workflow_runs": shown}),  # up to 2 MB
            content_type="application/json",
            headers=page.links(request, len(runs)),
        )

    async def _run(self, request: web.Request) -> web.StreamResponse:
        repository, run = self._run_named(request)
        return web.json_response(shapes.run(run, repository, here(request), self._clock()))

    async def _attempt(self, request: web.Request) -> web.StreamResponse:
        repository, run = self._run_named(request)
        number = int(request.match_info["attempt"])
        if not 1 <= number <= len(run.attempts):
            raise Rejection(404, "Not Found")
        as_it_was = run.until_attempt(number)
        return web.json_response(shapes.run(as_it_was, repository, here(request), self._clock()))

    async def _rerun(self, request: web.Request) -> web.StreamResponse:
        writable(request, self._world)
        _, run = self._run_named(request)
        now = self._clock()
        if run.status(now) != "completed":
            raise Rejection(403, "This workflow run is already running")
        self._world.change(run.again(now, self._world.course))
        return web.json_response({}, status=201)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        writable(request, self._world)
        _, run = self._run_named(request)
        now = self._clock()
        if run.status(now) == "completed":
            raise Rejection(409, "Cannot cancel a workflow run that is completed.")
        self._world.change(run.settled(now, "cancelled"))
        return web.json_response({}, status=202)

    async def _workflows(self, request: web.Request) -> web.StreamResponse:
        repository, page = named(request, self._world), Page.asked(request)
        found = repository.workflows
        shown = [shapes.workflow(each, repository, here(request)) for each in page.of(found)]
        return web.json_response(
            {"total_count": len(found), "workflows": shown},
            headers=page.links(request, len(found)),
        )

    async def _workflow(self, request: web.Request) -> web.StreamResponse:
        repository, workflow = self._workflow_named(request)
        return web.json_response(shapes.workflow(workflow, repository, here(request)))

    async def _enable(self, request: web.Request) -> web.StreamResponse:
        return self._turned(request, WorkflowState.ACTIVE)

    async def _disable(self, request: web.Request) -> web.StreamResponse:
        return self._turned(request, WorkflowState.DISABLED_MANUALLY)

    def _turned(self, request: web.Request, state: WorkflowState) -> web.StreamResponse:
        writable(request, self._world)
        repository, workflow = self._workflow_named(request)
        repository.turn(workflow, state, self._clock())
        return web.Response(status=204)

    def _run_named(self, request: web.Request) -> tuple[Repository, Run]:
        repository = named(request, self._world)
        run = self._world.run(repository, int(request.match_info["id"]))
        if run is None:
            raise Rejection(404, "Not Found")
        return repository, run

    def _workflow_named(self, request: web.Request) -> tuple[Repository, Workflow]:
        repository = named(request, self._world)
        workflow = repository.workflow(request.match_info["workflow"])
        if workflow is None:
            raise Rejection(404, "Not Found")
        return repository, workflow
