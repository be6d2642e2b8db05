"""``via: "workflow_dispatch"``: a workflow is started by its file's name, with inputs, and GitHub
names the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.client import GitHub
from daemon.dispatch import Dispatch, RunNamed, State
from daemon.errors import ConfigError, UsageError
from daemon.facts import DispatchSettled, Fact
from daemon.github import Accepted, Failed, Request, dispatch_request, interpret
from daemon.render import again
from daemon.simulator import Simulator
from daemon.starter import listened, started, workflow_by_name
from tests.github_caller import Clock
from tests.inprocess import serving
from tests.openapi import check_request, operation_of
from tests.shell import Shell
from tests.specs import trigger, trigger_entry
from tests.test_workflow import check, job, read
from tests.wires import TOKEN, a_dispatch

API = "https://api.github.com"
DEPLOY: Mapping[str, Any] = {
    "via": "workflow_dispatch",
    "workflow": "deploy.yml",
    "ref": "main",
    "inputs": {"target": "{{ body.target }}", "count": 3, "dry": True},
}


def by_name(**changes: Any) -> Dispatch:
    keys: dict[str, Any] = {
        "event_type": "",
        "workflow": "deploy.yml",
        "ref": "main",
        "client_payload": '{"target":"live","dispatchd":"dsp_1"}',
    }
    values = {name: getattr(a_dispatch(), name) for name in Dispatch.__struct_fields__}
    return Dispatch(**{**values, **keys, **changes})


def path_of(request: Request) -> str:
    return request.url.removeprefix(API)


class TestTheRequest:
    def test_it_asks_for_the_run_and_is_valid_by_githubs_description(self) -> None:
        request = dispatch_request(by_name(), API)
        assert path_of(request) == "/repos/acme/shop/actions/workflows/deploy.yml/dispatches"
        assert json.loads(request.body) == {
            "ref": "main",
            "inputs": {"target": "live", "dispatchd": "dsp_1"},
            "return_run_details": True,
        }
        check_request(operation_of("POST", path_of(request)), json.loads(request.body))

    def test_the_newer_version_of_the_api_knows_no_such_question(self) -> None:
        request = dispatch_request(by_name(), API, "2026-03-10")
        assert set(json.loads(request.body)) == {"ref", "inputs"}
        assert request.headers["X-GitHub-Api-Version"] == "2026-03-10"
        assert request.plainer is None

    def test_an_event_of_a_repository_is_valid_too(self) -> None:
        request = dispatch_request(a_dispatch(), API)
        check_request(operation_of("POST", path_of(request)), json.loads(request.body))
        assert request.plainer is None


class TestTheAnswer:
    URL = f"{API}/repos/acme/shop/actions/workflows/deploy.yml/dispatches"

    def answer(self, status: int, body: object = b"", **headers: str) -> object:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"X-GitHub-Request-Id": "C0DE:1", **headers}
        return interpret(status, fields, raw, url=self.URL, now=a_dispatch().created_at)

    def test_the_run_is_read_from_it(self) -> None:
        url = "https://github.com/acme/shop/actions/runs/7"
        body = {"workflow_run_id": 7, "run_url": "x", "html_url": url}
        assert self.answer(200, body) == Accepted(RunNamed(7, url))
        assert self.answer(204) == Accepted()

    @pytest.mark.parametrize(
        "body", [{}, [], b"{", {"workflow_run_id": "7"}, {"workflow_run_id": True}]
    )
    def test_without_a_run_it_is_accepted_all_the_same(self, body: object) -> None:
        assert self.answer(200, body) == Accepted()

    def test_a_url_that_is_none_is_left_out(self) -> None:
        body = {"workflow_run_id": 7, "html_url": "javascript:alert(1)"}
        assert self.answer(200, body) == Accepted(RunNamed(7, ""))

    def test_a_refusal_names_the_permission_that_is_missing(self) -> None:
        body = {"message": "Resource not accessible by personal access token"}
        refused = self.answer(403, body)
        assert isinstance(refused, Failed)
        assert "'actions: write'" in refused.reason
        absent = self.answer(404, {"message": "Not Found"})
        assert isinstance(absent, Failed)
        assert "or the workflow file is misspelt" in absent.reason
        unexpected = self.answer(422, {"message": 'Unexpected inputs provided: ["dispatchd"]'})
        assert isinstance(unexpected, Failed)
        assert "must declare under `on: workflow_dispatch: inputs:`" in unexpected.reason


class TestTheConfig:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"workflow": None}, 'missing key "workflow" (such as "workflow": "build.yml")'),
            ({"ref": None}, 'missing key "ref" (such as "ref": "main")'),
            ({"event_type": "x"}, "event_type: must be left out with `via`"),
            ({"client_payload": {}}, "client_payload: must be left out with `via`"),
            ({"via": "workflow"}, 'via: must be "workflow_dispatch"'),
            ({"workflow": ".github/workflows/a.yml"}, "must be the name of a .yml or .yaml file"),
            ({"workflow": "{{ body.x }}.yml"}, "must be the name of a .yml or .yaml file"),
            ({"ref": "{{ body.ref }}"}, "must be the name of a branch or a tag"),
            ({"inputs": {"a b": "1"}}, "must be the name of an input"),
            ({"inputs": {"a": ["1"]}}, "inputs.a: must be a string, a number or true or false"),
            ({"inputs": {"a": "{{ bodi.x }}"}}, "unknown name 'bodi.x'"),
            ({"inputs": {"dispatchd": "1"}}, "the key 'dispatchd' is reserved"),
            ({"inputs": {f"i{n}": "" for n in range(25)}}, "there are 26 inputs"),
            ({"inputs": {"a": "x" * 65_536}}, "more than GitHub's 65,535"),
        ],
    )
    def test_a_mistake_is_told_when_the_config_loads(
        self, changes: Mapping[str, Any], said: str
    ) -> None:
        entry = {key: value for key, value in {**DEPLOY, **changes}.items() if value is not None}
        with pytest.raises(ConfigError) as told:
            trigger(dispatch=entry)
        (fault,) = told.value.faults
        assert said in str(fault)

    @pytest.mark.parametrize("key", ["workflow", "ref", "inputs"])
    def test_its_keys_are_for_it_alone(self, key: str) -> None:
        with pytest.raises(ConfigError, match="must be left out without `via`"):
            trigger(dispatch={"event_type": "x", key: DEPLOY[key]})

    def test_without_metadata_an_entry_has_all_of_githubs_inputs(self) -> None:
        inputs = {f"i{n}": "" for n in range(25)}
        (spec,) = trigger(
            dispatch={**DEPLOY, "inputs": inputs, "inject_metadata": False}
        ).dispatches
        assert (spec.workflow, spec.ref) == ("deploy.yml", "main")


def accepted(fact: Fact) -> bool:
    return isinstance(fact, DispatchSettled) and fact.dispatch.state is State.ACCEPTED


async def test_from_a_webhook_to_the_run_that_github_named(tmp_path: Path) -> None:
    entry = trigger_entry(dispatch=DEPLOY)
    async with serving(tmp_path, triggers=[entry]) as daemon:
        _, answer = await daemon.deliver("/hook", {"target": "live"})
        await daemon.until(accepted)
        (dispatch_id,) = answer["dispatches"]
        (received,) = daemon.simulator.received
        assert (received.workflow, received.ref) == ("deploy.yml", "main")
        assert received.client_payload == {
            "target": "live",
            "count": "3",
            "dry": "true",
            "dispatchd": dispatch_id,
        }
        (run,) = daemon.simulator.runs
        assert run.display_title == f"Started [{dispatch_id}]"
        _, shown = await daemon.call("GET", f"/api/v1/dispatches/{dispatch_id}")
        assert shown["run_id"] == run.id
        assert shown["run_url"].endswith(f"/octo-org/octo-repo/actions/runs/{run.id}")
        assert (shown["workflow"], shown["ref"]) == ("deploy.yml", "main")
        assert json.loads(shown["inputs"]) == received.client_payload
        shell = Shell(tmp_path)
        looked = await shell.run("dispatches", dispatch_id, "--url", daemon.url)
        assert ["run_id", str(run.id)] in [line.split() for line in looked.out.splitlines()]
        listed = await shell.run("dispatches", "--url", daemon.url)
        assert "deploy.yml" in listed.out
        await daemon.call("POST", f"/api/v1/replay/{dispatch_id}")
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)
        replayed = daemon.simulator.received[1].client_payload
        assert replayed["dispatchd"] != dispatch_id


async def test_an_input_that_is_no_text_goes_as_json(tmp_path: Path) -> None:
    inputs = {"list": "{{ body.list }}", "none": "{{ body.none }}", "text": "a {{ body.list }}"}
    entry = trigger_entry(dispatch={**DEPLOY, "inputs": inputs, "inject_metadata": False})
    async with serving(tmp_path, triggers=[entry]) as daemon:
        await daemon.deliver("/hook", {"list": [1, "é"], "none": None})
        await daemon.until(accepted)
        sent = daemon.simulator.received[0].client_payload
        assert sent == {"list": '[1,"é"]', "none": "", "text": 'a [1,"é"]'}


async def test_inputs_that_become_too_large_make_the_dispatch_dead(tmp_path: Path) -> None:
    entry = trigger_entry(dispatch=DEPLOY)
    async with serving(tmp_path, triggers=[entry]) as daemon:
        _, answer = await daemon.deliver("/hook", {"target": "x" * 65_536})
        _, shown = await daemon.call("GET", f"/api/v1/dispatches/{answer['dispatches'][0]}")
        assert shown["state"] == "dead"
        assert "the inputs have 65," in shown["reason"]
        assert daemon.simulator.received == []


async def test_a_server_that_cannot_name_the_run_is_asked_again_without(clock: Clock) -> None:
    async with (
        Simulator(clock, ghes=True) as server,
        GitHub(server.url, TOKEN, clock) as github,
    ):
        exchange = await github.send(by_name())
        assert exchange.answer == Accepted()
        assert (server.requests, len(server.received)) == (2, 1)
        unread = await github.send(by_name(client_payload="{"))
        assert isinstance(unread.answer, Failed)
        assert (server.requests, len(server.received)) == (4, 1)


@pytest.mark.parametrize("version", ["2022-11-28", "2026-03-10"])
async def test_both_versions_of_the_api_name_the_run(clock: Clock, version: str) -> None:
    async with (
        Simulator(clock) as server,
        GitHub(server.url, TOKEN, clock, api_version=version) as github,
    ):
        exchange = await github.send(by_name())
        (run,) = server.runs
        url = f"{server.url}/acme/shop/actions/runs/{run.id}"
        assert exchange.answer == Accepted(RunNamed(run.id, url))
        assert server.requests == 1


def test_what_is_sent_again_has_its_own_id_and_no_run() -> None:
    sent = by_name(run_id=7, run_url="https://github.com/x")
    repeated = again(sent, "dsp_2", sent.created_at)
    assert json.loads(repeated.client_payload) == {"target": "live", "dispatchd": "dsp_2"}
    assert (repeated.run_id, repeated.run_url) == (None, "")


class TestTheWorkflow:
    def printed(self, *changes: Mapping[str, Any]) -> str:
        spec = trigger("entry", dispatch=[{**DEPLOY, **each} for each in changes])
        return workflow_by_name("trigger", "entry", started("entry", spec.dispatches, None))

    def test_it_is_valid_and_declares_the_inputs_that_are_sent(self) -> None:
        several = [
            self.printed({}),
            self.printed({"inputs": {}, "inject_metadata": False}),
            self.printed({"inputs": {"a-b": "1", "a_b": "2"}}),
        ]
        check(several)
        inputs = [
            (read(text)["on"]["workflow_dispatch"] or {}).get("inputs", {}) for text in several
        ]
        assert [list(each) for each in inputs] == [
            ["dispatchd", "target", "count", "dry"],
            [],
            ["dispatchd", "a-b", "a_b"],
        ]
        assert job(several[2])["env"]["INPUT_A_B_2"] == "${{ inputs.a_b }}"
        assert all("${{" not in job(text)["steps"][0]["run"] for text in several)

    async def test_the_stand_in_starts_it_with_what_the_entry_sends(self, clock: Clock) -> None:
        async with (
            Simulator(clock, listeners={"acme/shop": []}) as server,
            GitHub(server.url, TOKEN, clock) as github,
        ):
            repository = server.world.repository("acme/shop")
            assert repository is not None
            text = self.printed({"inputs": {"target": "live"}})
            repository.put("deploy.yml", text, clock())
            exchange = await github.send(by_name())
            assert isinstance(exchange.answer, Accepted)
            assert server.runs[0].display_title == "entry dsp_1"

    def test_one_of_several_is_to_be_chosen(self) -> None:
        spec = trigger("entry", dispatch=[DEPLOY, {**DEPLOY, "workflow": "b.yml"}])
        with pytest.raises(UsageError, match=r"deploy.yml in .*b.yml.*--event-type"):
            started("entry", spec.dispatches, None)
        assert [each.workflow for each in started("entry", spec.dispatches, "b.yml")] == ["b.yml"]
        mixed = trigger("entry", dispatch=[DEPLOY, {"event_type": "x"}])
        with pytest.raises(UsageError, match="and sends events"):
            started("entry", mixed.dispatches, None)
        assert started("entry", mixed.dispatches, "x") == []
        assert listened("entry", mixed.dispatches[1:], "x").types == ("x",)


async def test_the_commands_show_the_request_and_the_workflow(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    entries = json.dumps([trigger_entry("deploys", dispatch=DEPLOY)])
    (shell.config / "TRIGGERS.json").write_text(entries)
    (shell.config / "CRONS.json").write_text("[]")
    body = tmp_path / "body.json"
    body.write_text('{"target": "live"}')
    tried = await shell.run("test", "deploys", "--payload", str(body), "--json")
    (request,) = tried.json["requests"]
    assert request["url"].endswith("/actions/workflows/deploy.yml/dispatches")
    assert request["body"]["inputs"]["target"] == "live"
    printed = await shell.run("workflow", "deploys")
    assert printed.out.startswith("# dispatchd's trigger deploys starts this in octo-org/octo-repo")


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"inputs": {"target": "live", "count": "3", "dry": "true"}}, ""),
        ({"inputs": {"target": "test", "count": "3", "dry": "true"}}, "inputs.target: expected"),
        ({"ref": "trunk"}, 'ref: expected "trunk", got "main"'),
        ({"client_payload": {}}, "client_payload: missing"),
    ],
)
async def test_a_golden_case_can_expect_it(
    tmp_path: Path, expected: Mapping[str, Any], said: str
) -> None:
    shell = Shell(tmp_path)
    entries = json.dumps([trigger_entry("deploys", dispatch=DEPLOY)])
    (shell.config / "TRIGGERS.json").write_text(entries)
    cases = shell.config / "cases" / "deploys"
    cases.mkdir(parents=True)
    dispatch = {"workflow": "deploy.yml", **expected}
    case = {
        "request": {"body": {"target": "live"}},
        "expect": {"outcome": "dispatched", "dispatches": [dispatch]},
    }
    (cases / "live.json").write_text(json.dumps(case))
    ran = await shell.run("test", "--cases")
    assert ran.code == (1 if said else 0), ran
    assert said in ran.out + ran.err


@pytest.fixture
def clock() -> Clock:
    return Clock()
