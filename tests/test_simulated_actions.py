"""The stand-in's workflows and runs: found, listed, started and ended as on GitHub."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.simulator import Simulator
from tests.github_caller import HEADERS, SHOP, T0, Caller, Clock
from tests.github_fixtures import call, clock

__all__ = ["call", "clock"]

FILES = f"{SHOP}/contents/.github/workflows"
OURS = "/_simulator/repos/acme/shop"
RUNS = f"{SHOP}/actions/runs"
DEPLOY = """\
name: Deploy
run-name: Deploy ${{ inputs.target }} [${{ inputs.dispatchd }}]
on:
  workflow_dispatch:
    inputs:
      target: {required: true, type: choice, options: [test, live]}
      dispatchd: {default: ''}
      dry: {type: boolean, default: false}
jobs:
  deploy: {runs-on: ubuntu-latest, steps: [{run: echo}]}
"""
BUILD = """\
name: Build
on:
  repository_dispatch:
    types: [build, rebuild]
jobs:
  build: {runs-on: ubuntu-latest, steps: [{run: echo}]}
"""


@pytest.fixture
async def simulator(clock: Clock) -> AsyncIterator[Simulator]:
    async with Simulator(clock, repositories=["acme/shop", "acme/other"]) as simulator:
        yield simulator


async def put(call: Caller, simulator: Simulator, file: str, text: str) -> dict[str, Any]:
    status, answer, _ = await call(
        simulator, "PUT", f"{OURS}/workflows/{file}", text.encode(), headers={}
    )
    assert status == 200
    assert isinstance(answer, dict)
    return answer


async def set_(call: Caller, simulator: Simulator, place: str, **to: object) -> Any:
    status, answer, _ = await call(simulator, "PATCH", place, to, headers={})
    assert status == 200, answer
    return answer


async def runs(call: Caller, simulator: Simulator, query: str = "") -> list[Any]:
    status, found, _ = await call(simulator, "GET", f"{RUNS}{query}")
    assert status == 200, found
    return list(found["workflow_runs"])


class TestWorkflowFiles:
    async def test_a_file_that_is_put_listens_is_listed_and_can_be_read(
        self, simulator: Simulator, call: Caller
    ) -> None:
        await put(call, simulator, "build.yml", BUILD)
        assert await call.dispatch(simulator, "rebuild") == 204
        assert [run["name"] for run in await runs(call, simulator)] == ["Build"]
        _, listed, _ = await call(simulator, "GET", f"{SHOP}/actions/workflows/build.yml")
        assert (listed["name"], listed["state"]) == ("Build", "active")
        _, again, _ = await call(simulator, "GET", f"{SHOP}/actions/workflows/{listed['id']}")
        assert again == listed
        _, found, _ = await call(simulator, "GET", FILES)
        assert [each["name"] for each in found] == ["build.yml"]
        _, file, _ = await call(simulator, "GET", f"{FILES}/build.yml")
        assert base64.b64decode(file["content"]).decode() == BUILD
        raw = HEADERS | {"Accept": "application/vnd.github.raw+json"}
        _, text, _ = await call(simulator, "GET", f"{FILES}/build.yml", headers=raw)
        assert text == BUILD.encode()

    @pytest.mark.parametrize("state", ["disabled_manually", "disabled_inactivity"])
    async def test_a_disabled_workflow_is_listed_and_starts_nothing(
        self, simulator: Simulator, call: Caller, state: str
    ) -> None:
        await put(call, simulator, "build.yml", BUILD)
        await set_(call, simulator, f"{OURS}/workflows/build.yml", state=state)
        assert await call.dispatch(simulator, "build") == 204
        assert await runs(call, simulator) == []
        _, listed, _ = await call(simulator, "GET", f"{SHOP}/actions/workflows")
        assert [each["state"] for each in listed["workflows"]] == [state]
        await call(simulator, "PUT", f"{SHOP}/actions/workflows/build.yml/enable")
        assert await call.dispatch(simulator, "build") == 204
        assert len(await runs(call, simulator)) == 1

    async def test_a_file_that_is_deleted_is_gone_and_its_runs_stay(
        self, simulator: Simulator, call: Caller
    ) -> None:
        await put(call, simulator, "build.yml", BUILD)
        await call.dispatch(simulator, "build")
        await call(simulator, "DELETE", f"{OURS}/workflows/build.yml", headers={})
        assert (await call(simulator, "GET", FILES))[0] == 404
        assert (await call(simulator, "GET", f"{SHOP}/actions/workflows/build.yml"))[0] == 404
        assert await call.dispatch(simulator, "build") == 204
        assert len(await runs(call, simulator)) == 1

    @pytest.mark.parametrize(
        "text",
        ["on: [", "just text", "on: repository_dispatch", "jobs: {a: {}}", "name: [1]\non: push"],
    )
    async def test_a_broken_file_is_listed_under_its_path_and_starts_nothing(
        self, simulator: Simulator, call: Caller, text: str
    ) -> None:
        shown = await put(call, simulator, "broken.yml", text)
        assert shown["workflows"][-1]["valid"] is False
        assert await call.dispatch(simulator, "build") == 204
        assert await runs(call, simulator) == []
        _, listed, _ = await call(simulator, "GET", f"{SHOP}/actions/workflows/broken.yml")
        assert listed["name"] == ".github/workflows/broken.yml"

    @pytest.mark.parametrize(
        "on",
        [
            "on: repository_dispatch",
            "'on': [push, repository_dispatch]",
            "on: {repository_dispatch: }",
            "on: {repository_dispatch: {types: build}}",
        ],
    )
    async def test_all_forms_of_on_are_understood(
        self, simulator: Simulator, call: Caller, on: str
    ) -> None:
        await put(call, simulator, "a.yml", f"{on}\njobs: {{a: {{runs-on: x}}}}\n")
        await call.dispatch(simulator, "build")
        assert [run["display_title"] for run in await runs(call, simulator)] == ["build"]

    @pytest.fixture
    async def simulator(self, clock: Clock) -> AsyncIterator[Simulator]:
        async with Simulator(clock, listeners={}) as simulator:
            yield simulator


async def test_a_filtered_list_is_behind_and_the_plain_one_is_right(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await set_(call, simulator, "/_simulator/settings", index_lag=60)
    await call.dispatch(simulator, "build")

    async def statuses(query: str) -> list[str]:
        return [run["status"] for run in await runs(call, simulator, query)]

    clock.move(30)
    assert await statuses("") == ["completed"]
    assert await statuses("?event=repository_dispatch") == []
    clock.move(31)
    assert await statuses("?event=repository_dispatch") == ["queued"]
    assert await statuses("?status=queued") == ["queued"]
    assert await statuses("?status=success") == []
    clock.move(60)
    assert await statuses("?status=success") == ["completed"]


async def test_filters_find_what_they_name(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await set_(call, simulator, "/_simulator/settings", index_lag=0)
    await call.dispatch(simulator, "first")
    clock.move(600)
    await call.dispatch(simulator, "second")

    async def count(query: str) -> int:
        return len(await runs(call, simulator, query))

    assert await count("?created=>=2026-03-01T12:10:00Z") == 1
    assert await count("?created=<2026-03-01T12:10:00Z") == 1
    assert await count("?created=2026-03-01") == 2
    assert await count("?created=2026-03-01T12:00:00Z..2026-03-01T12:05:00Z") == 1
    assert await count("?created=*..2026-03-01T12:05:00%2B00:00") == 1
    assert await count("?branch=main&event=repository_dispatch&actor=dispatchd") == 2
    assert await count("?branch=other") == await count("?status=nonsense") == 0
    assert (await call(simulator, "GET", f"{RUNS}?created=yesterday"))[0] == 422


async def test_lists_say_where_their_other_pages_are(simulator: Simulator, call: Caller) -> None:
    for _ in range(5):
        await call.dispatch(simulator)

    async def links(query: str) -> list[str]:
        _, _, headers = await call(simulator, "GET", f"{RUNS}{query}")
        return [link.rpartition("rel=")[2] for link in headers.get("Link", "").split(", ")]

    assert await links("") == [""]
    assert await links("?per_page=2") == ['"next"', '"last"']
    assert await links("?per_page=2&page=2") == ['"prev"', '"next"', '"last"', '"first"']
    assert await links("?per_page=2&page=3") == ['"prev"', '"first"']
    _, _, headers = await call(simulator, "GET", f"{RUNS}?per_page=2")
    following = headers["Link"].partition(">")[0].removeprefix("<" + simulator.url)
    _, found, _ = await call(simulator, "GET", following)
    assert len(found["workflow_runs"]) == 2


async def test_an_unchanged_list_is_304_and_costs_nothing(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await call.dispatch(simulator)
    clock.move(60)
    _, _, first = await call(simulator, "GET", RUNS)
    known = HEADERS | {"If-None-Match": first["ETag"]}
    status, body, again = await call(simulator, "GET", RUNS, headers=known)
    assert (status, body) == (304, b"")
    assert again["X-RateLimit-Remaining"] == first["X-RateLimit-Remaining"]
    await call.dispatch(simulator)
    status, _, changed = await call(simulator, "GET", RUNS, headers=known)
    assert (status, changed["ETag"] != first["ETag"]) == (200, True)


async def test_a_run_can_be_settled_from_outside_and_ends_then(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await set_(call, simulator, "/_simulator/settings", running_for=None)
    await call.dispatch(simulator)
    clock.move(3600)
    (run,) = await runs(call, simulator)
    assert run["status"] == "in_progress"
    await set_(call, simulator, f"{OURS}/runs/{run['id']}", conclusion="failure")
    (run,) = await runs(call, simulator)
    assert (run["status"], run["conclusion"]) == ("completed", "failure")
    assert run["updated_at"] == "2026-03-01T13:00:00Z"


async def test_runs_may_be_over_at_once(simulator: Simulator, call: Caller) -> None:
    await set_(call, simulator, "/_simulator/settings", queued_for=0, running_for=0)
    _, settings, _ = await call(simulator, "GET", "/_simulator/settings", headers={})
    assert (settings["queued_for"], settings["running_for"]) == (0, 0)
    await call.dispatch(simulator)
    assert simulator.runs[0].status(T0) == "completed"


async def test_a_run_that_is_run_again_is_queued_as_its_second_attempt(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await set_(call, simulator, "/_simulator/settings", conclusion="failure")
    await call.dispatch(simulator)
    (run,) = await runs(call, simulator)
    place = f"{RUNS}/{run['id']}"
    assert (await call(simulator, "POST", f"{place}/rerun"))[0] == 403  # it is running
    clock.move(60)
    await set_(call, simulator, "/_simulator/settings", conclusion="success")
    assert (await call(simulator, "POST", f"{place}/rerun"))[0] == 201
    (again,) = await runs(call, simulator)
    assert (again["status"], again["run_attempt"]) == ("queued", 2)
    assert again["created_at"] == run["created_at"]
    assert again["run_started_at"] == "2026-03-01T12:01:00Z"
    clock.move(60)
    (again,) = await runs(call, simulator)
    assert again["conclusion"] == "success"
    _, first, _ = await call(simulator, "GET", f"{place}/attempts/1")
    assert (first["conclusion"], first["run_attempt"]) == ("failure", 1)
    assert (await call(simulator, "GET", f"{place}/attempts/3"))[0] == 404


async def test_a_run_can_be_cancelled_until_it_is_completed(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await call.dispatch(simulator)
    (run,) = await runs(call, simulator)
    assert (await call(simulator, "POST", f"{RUNS}/{run['id']}/cancel"))[0] == 202
    (run,) = await runs(call, simulator)
    assert run["conclusion"] == "cancelled"
    assert (await call(simulator, "POST", f"{RUNS}/{run['id']}/cancel"))[0] == 409


async def test_a_run_of_the_wat_factory_pushes_its_job_branch_when_it_runs(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await call.dispatch(simulator, "wat-factory", job_id="dsp_7")
    assert (await call(simulator, "GET", f"{SHOP}/branches/job/dsp_7"))[0] == 404
    clock.move(2)
    status, branch, _ = await call(simulator, "GET", f"{SHOP}/branches/job/dsp_7")
    assert (status, branch["name"]) == (200, "job/dsp_7")
    _, ref, _ = await call(simulator, "GET", f"{SHOP}/git/ref/heads/job/dsp_7")
    assert ref["ref"] == "refs/heads/job/dsp_7"
    _, refs, _ = await call(simulator, "GET", f"{SHOP}/git/matching-refs/heads/job/")
    assert [each["ref"] for each in refs] == ["refs/heads/job/dsp_7"]
    _, branches, _ = await call(simulator, "GET", f"{SHOP}/branches")
    assert [each["name"] for each in branches] == ["main", "job/dsp_7"]


async def test_no_other_run_pushes_a_branch(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await call.dispatch(simulator, "build", job_id="dsp_7")
    await call.dispatch(simulator, "wat-factory", job_id="")
    clock.move(60)
    _, branches, _ = await call(simulator, "GET", f"{SHOP}/branches")
    assert [each["name"] for each in branches] == ["main"]


async def test_branches_can_be_made_from_outside(simulator: Simulator, call: Caller) -> None:
    await call(simulator, "PUT", f"{OURS}/branches/job/7", headers={})
    assert (await call(simulator, "GET", f"{SHOP}/branches/job/7"))[0] == 200
    await call(simulator, "DELETE", f"{OURS}/branches/job/7", headers={})
    assert (await call(simulator, "GET", f"{SHOP}/branches/job/7"))[0] == 404


async def test_a_renamed_repository_is_pointed_to_by_its_number(
    simulator: Simulator, call: Caller
) -> None:
    await call.dispatch(simulator)
    await set_(call, simulator, OURS, full_name="acme/store")
    status, answer, headers = await call(simulator, "GET", f"{RUNS}?per_page=1")
    assert (status, answer["url"]) == (301, headers["Location"])
    place = headers["Location"].removeprefix(simulator.url)
    assert place.endswith("/actions/runs?per_page=1")
    _, found, _ = await call(simulator, "GET", place)
    assert found["workflow_runs"][0]["repository"]["full_name"] == "acme/store"
    body = {"event_type": "x"}
    status, _, headers = await call(simulator, "POST", f"{SHOP}/dispatches", body)
    assert status == 307
    place = headers["Location"].removeprefix(simulator.url)
    assert (await call(simulator, "POST", place, body))[0] == 204
    assert simulator.received[-1].repository == "acme/store"
    taken = {"full_name": "acme/other"}
    assert (await call(simulator, "PATCH", OURS, taken, headers={}))[0] == 400


async def test_an_archived_repository_only_reads(simulator: Simulator, call: Caller) -> None:
    await set_(call, simulator, OURS, archived=True)
    body = {"event_type": "x"}
    status, answer, _ = await call(simulator, "POST", f"{SHOP}/dispatches", body)
    assert (status, answer["message"]) == (403, "Repository was archived so is read-only.")
    _, repository, _ = await call(simulator, "GET", SHOP)
    assert repository["archived"] is True


async def test_where_actions_are_switched_off_nothing_starts(
    simulator: Simulator, call: Caller
) -> None:
    await set_(call, simulator, OURS, actions_enabled=False)
    assert await call.dispatch(simulator) == 204
    assert await runs(call, simulator) == []
    _, told, _ = await call(simulator, "GET", f"{SHOP}/actions/permissions")
    assert told["enabled"] is False


async def test_a_file_on_another_branch_is_listed_and_hears_nothing(
    simulator: Simulator, call: Caller
) -> None:
    status, _, _ = await call(
        simulator, "PUT", f"{OURS}/workflows/new.yml?branch=feature", BUILD.encode(), headers={}
    )
    assert status == 200
    await call.dispatch(simulator, "rebuild")
    assert [run["name"] for run in await runs(call, simulator)] == ["Dispatched"]
    assert (await call(simulator, "GET", f"{SHOP}/actions/workflows/new.yml"))[0] == 200
    assert (await call(simulator, "GET", f"{FILES}/new.yml"))[0] == 404


async def test_the_default_branch_is_the_one_that_runs_are_on(
    simulator: Simulator, call: Caller
) -> None:
    await set_(call, simulator, OURS, default_branch="trunk")
    await call.dispatch(simulator)
    (run,) = await runs(call, simulator)
    assert run["head_branch"] == "trunk"
    assert (await call(simulator, "GET", f"{FILES}?ref=main"))[0] == 404
    assert (await call(simulator, "GET", f"{FILES}?ref=trunk"))[0] == 200


async def test_what_passes_githubs_limits_is_204_and_starts_nothing(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    repository = simulator.world.repository("acme/shop")
    assert repository is not None
    for _ in range(499):
        assert repository.queued.admits(clock())
    for _ in range(3):
        assert await call.dispatch(simulator) == 204
    assert len(await runs(call, simulator)) == 1
    clock.move(10)
    assert await call.dispatch(simulator) == 204
    assert len(await runs(call, simulator)) == 2
    for _ in range(1499):
        repository.events.admits(clock())
    assert await call.dispatch(simulator) == 204
    _, log, _ = await call(simulator, "GET", "/_simulator/log", headers={})
    assert (log["dropped"], len(log["runs"])) == (3, 2)


class TestStartedByHand:
    PLACE = f"{SHOP}/actions/workflows/deploy.yml/dispatches"

    @pytest.fixture(autouse=True)
    async def _deploy(self, simulator: Simulator, call: Caller) -> None:
        await put(call, simulator, "deploy.yml", DEPLOY)

    async def start(
        self, simulator: Simulator, call: Caller, version: str = "2022-11-28", **body: object
    ) -> tuple[int, Any]:
        document = {"ref": "main", "inputs": {"target": "live", "dispatchd": "dsp_7"}} | body
        headers = HEADERS | {"X-GitHub-Api-Version": version}
        status, answer, _ = await call(simulator, "POST", self.PLACE, document, headers)
        return status, answer

    async def test_it_is_answered_204_unless_the_run_is_asked_for(
        self, simulator: Simulator, call: Caller
    ) -> None:
        assert await self.start(simulator, call) == (204, b"")
        status, told = await self.start(simulator, call, return_run_details=True)
        assert status == 200
        newest, _ = await runs(call, simulator)
        assert told == {
            "workflow_run_id": newest["id"],
            "run_url": newest["url"],
            "html_url": newest["html_url"],
        }
        assert newest["event"] == "workflow_dispatch"
        assert newest["display_title"] == "Deploy live [dsp_7]"
        assert simulator.received[0].client_payload == {
            "target": "live",
            "dispatchd": "dsp_7",
            "dry": "false",
        }

    async def test_the_newer_version_of_the_api_always_tells_the_run(
        self, simulator: Simulator, call: Caller
    ) -> None:
        status, told = await self.start(simulator, call, "2026-03-10")
        assert (status, told["workflow_run_id"]) == (200, simulator.runs[0].id)
        status, told = await self.start(simulator, call, "2026-03-10", return_run_details=True)
        assert status == 422

    async def test_an_older_enterprise_server_does_not_know_how_to_tell_it(
        self, clock: Clock, call: Caller
    ) -> None:
        async with Simulator(clock, ghes=True) as server:
            assert (await self.start(server, call, return_run_details=True))[0] == 400
            assert (await self.start(server, call))[0] == 204
            assert (await self.start(server, call, "2026-03-10"))[0] == 400
            many = {f"i{n}": "" for n in range(11)}
            assert (await self.start(server, call, inputs=many))[0] == 422

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({"ref": "nope"}, "No ref found for: nope"),
            ({"ref": 1}, "1 is not a string"),
            ({"inputs": []}, "[] is not an object"),
            ({"inputs": {}}, "Required input 'target' not provided"),
            ({"inputs": {"target": "moon"}}, "not in the list of allowed values"),
            ({"inputs": {"target": "live", "dry": "maybe"}}, "not of type boolean"),
            ({"inputs": {"target": "live", "x": "1"}}, 'Unexpected inputs provided: ["x"]'),
            ({"inputs": {f"i{n}": "" for n in range(26)}}, "No more than 25 properties"),
            ({"inputs": {"target": "x" * 65_536}}, "inputs are too large"),
            ({"return_run_details": 1}, "1 is not a boolean"),
        ],
    )
    async def test_what_github_would_refuse_is_refused(
        self, simulator: Simulator, call: Caller, body: dict[str, Any], message: str
    ) -> None:
        status, answer = await self.start(simulator, call, **body)
        assert status == 422
        assert message in answer["message"]
        assert simulator.runs == []

    async def test_a_disabled_workflow_or_one_without_the_trigger_is_refused(
        self, simulator: Simulator, call: Caller
    ) -> None:
        await set_(call, simulator, f"{OURS}/workflows/deploy.yml", state="disabled_manually")
        _, answer = await self.start(simulator, call)
        assert "on a disabled workflow" in answer["message"]
        await put(call, simulator, "deploy.yml", BUILD)
        _, answer = await self.start(simulator, call)
        assert answer["message"] == "Workflow does not have 'workflow_dispatch' trigger"

    async def test_where_nobody_said_which_files_there_are_any_takes_what_it_is_given(
        self, simulator: Simulator, call: Caller
    ) -> None:
        for inputs in ({"a": "1"}, {"b": "2", "dispatchd": "dsp_8"}):
            place = f"{SHOP}/actions/workflows/other.yml/dispatches"
            body = {"ref": "main", "inputs": inputs}
            assert (await call(simulator, "POST", place, body))[0] == 204
        assert [run.display_title for run in simulator.runs] == ["other", "Started [dsp_8]"]


@pytest.mark.parametrize(
    ("method", "place", "body", "help_"),
    [
        ("PATCH", "settings", {"lag": 1}, "unknown key 'lag'; there are conclusion, index_lag"),
        ("PATCH", "settings", {"index_lag": None}, "index_lag must be a number of seconds"),
        ("PATCH", "settings", {"queued_for": -1}, "from 0 to 86400, or null"),
        ("PATCH", "settings", {"conclusion": "fine"}, "conclusion must be one of success"),
        ("PATCH", "settings", {"writes_per_hour": 0}, "a whole number from 1"),
        ("PATCH", "repos/acme/shop", {"archived": 1}, "true or false"),
        ("PATCH", "repos/acme/shop", {"default_branch": ""}, "the name of a branch"),
        ("PATCH", "repos/acme/shop", {"full_name": "shop"}, "owner/name"),
        ("PATCH", "repos/acme/none", {}, "there is no repository acme/none"),
        ("PUT", "repos/acme/shop/workflows/a.txt", {}, "end with .yml"),
        ("PUT", "repos/acme/shop/workflows/a.yml", b"\xff", "not UTF-8"),
        ("PATCH", "repos/acme/shop/workflows/no.yml", {"state": "active"}, "no such workflow"),
        ("PATCH", "repos/acme/shop/workflows/dispatched.yml", {"state": "x"}, "must be one of"),
        ("PATCH", "repos/acme/shop/runs/1", {"conclusion": "success"}, "no such run"),
    ],
)
async def test_what_makes_no_sense_is_refused_with_what_is_allowed(
    simulator: Simulator, call: Caller, method: str, place: str, body: object, help_: str
) -> None:
    status, answer, _ = await call(simulator, method, f"/_simulator/{place}", body, headers={})
    assert status in (400, 404)
    assert help_ in answer["error"]


async def test_the_secondary_limits_show_when_they_are_watched(
    simulator: Simulator, call: Caller, clock: Clock
) -> None:
    await set_(call, simulator, "/_simulator/settings", points_per_minute=11, writes_per_minute=3)
    assert [await call.dispatch(simulator) for _ in range(3)] == [204, 204, 403]
    _, answer, headers = await call(simulator, "POST", f"{SHOP}/dispatches", {"event_type": "x"})
    assert "secondary rate limit" in answer["message"]
    assert headers["Retry-After"] == "60"
    other = "/repos/acme/other/dispatches"
    statuses = [(await call(simulator, "POST", other, {"event_type": "x"}))[0] for _ in range(2)]
    assert statuses == [204, 403]  # the third write and the fourth of this minute
    clock.move(61)
    assert await call.dispatch(simulator) == 204


async def test_faults_of_reads_do_not_touch_dispatches(simulator: Simulator, call: Caller) -> None:
    fault = {"kind": "status", "status": 502, "on": "read"}
    await call(simulator, "POST", "/_simulator/faults", fault, headers={})
    assert await call.dispatch(simulator) == 204
    assert (await call(simulator, "GET", RUNS))[0] == 502
    assert (await call(simulator, "GET", RUNS))[0] == 200
