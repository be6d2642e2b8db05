"""Chains end to end: what GitHub tells of a dispatch leads to the next one, knows it as its parent,
and comes to an end where it would go on for ever."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.app import wall_clock
from daemon.dispatch import State
from daemon.facts import DispatchesReleased, EventRecorded, IncidentNoticed
from daemon.simulator import Listener, ReceivedDispatch, Simulator
from tests.github_caller import HEADERS
from tests.inprocess import Serving, serving
from tests.shell import Shell
from tests.specs import API_KEY, OPEN, SECRET, SIGNED, cron_entry, trigger_entry

LOOP = trigger_entry(
    "loop",
    auth=SIGNED,
    when="headers['x-github-event'] == 'workflow_run' && body.action == 'completed'",
    dispatch={"event_type": "build", "client_payload": {"before": "{{ body.workflow_run.id }}"}},
)
STRANGER = "dsp_" + "0" * 26
SHIPPED = json.loads((Path(__file__).parent.parent / "config/TRIGGERS.json").read_text())


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@asynccontextmanager
async def looping(directory: Path, **options: Any) -> AsyncIterator[Serving]:
    """A daemon, and a GitHub whose runs are over at once and whose webhooks come back to it."""
    none = timedelta()
    github = Simulator(wall_clock, queued_for=none, running_for=none)
    async with serving(directory, simulator=github, **options) as daemon:
        hook = {
            "events": ["workflow_run", "pull_request"],
            "config": {
                "url": f"{daemon.url}/hook",
                "content_type": "json",
                "secret": SECRET,
            },
        }
        await github_call(daemon, "POST", "/hooks", hook)
        yield daemon


async def github_call(daemon: Serving, method: str, path: str, body: object) -> Any:
    url = f"{daemon.simulator.url}/repos/octo-org/octo-repo{path}"
    async with daemon.session.request(method, url, json=body, headers=HEADERS) as answer:
        assert answer.ok, await answer.text()
        return await answer.json()


async def start(daemon: Serving) -> str:
    _, answer = await daemon.call("POST", "/dispatch", json={"event_type": "build"})
    return str(answer["dispatch_id"])


async def until_told(daemon: Serving, kind: str) -> str:
    """Waits for such an incident; its text."""

    def tells(fact: object) -> bool:
        return isinstance(fact, IncidentNoticed) and fact.incident.kind.value == kind

    await daemon.until(tells)
    return next(f.incident.text for f in daemon.seen if isinstance(f, IncidentNoticed))


def depth_told(received: ReceivedDispatch) -> int:
    """The depth that GitHub was sent."""
    metadata: Any = received.client_payload["dispatchd"]
    return int(metadata["depth"])


def holds(fact: object, depth: int) -> bool:
    return isinstance(fact, EventRecorded) and any(
        (each.state, each.depth) == (State.HELD, depth)
        for verdict in fact.verdicts
        for each in verdict.dispatches
    )


async def listed(daemon: Serving, query: str = "") -> list[dict[str, Any]]:
    """Oldest first."""
    _, answer = await daemon.call("GET", f"/api/v1/dispatches?limit=1000{query}")
    return list(reversed(answer["dispatches"]))


async def test_a_loop_of_workflows_stops_at_its_depth_and_goes_on_one_more_when_released(
    tmp_path: Path, shell: Shell
) -> None:
    async with looping(tmp_path, triggers=[LOOP]) as daemon:
        root = await start(daemon)
        text = await until_told(daemon, "chain")
        await daemon.simulator.hooks.settled()
        found = await listed(daemon)
        assert [each["depth"] for each in found] == list(range(12))
        assert [each["parent_id"] for each in found] == [None, *(each["id"] for each in found[:-1])]
        assert [each["state"] for each in found] == ["accepted"] * 11 + ["held"]
        assert [depth_told(each) for each in daemon.simulator.received] == list(range(11))
        held = found[-1]
        assert held["held_by"] == "depth"
        assert held["reason"] == (
            "its depth in its chain, 11, is past max_chain_depth (10), so it may be a loop: "
            "`dispatchd release` sends it"
        )
        assert f"dispatches --tree {held['id']}" in text
        _, events = await daemon.call("GET", "/api/v1/events?outcome=held")
        (verdict,) = events["events"][0]["verdicts"]
        assert verdict["reason"] == held["reason"]

        tree = await shell.run("dispatches", held["id"], "--tree")
        rows = [line.split() for line in tree.out.splitlines()[1:]]
        assert [(row[0], row[1]) for row in rows] == [
            (str(each["depth"]), each["id"]) for each in found
        ]
        assert "\n1       " + "  " + found[1]["id"] in tree.out
        answer = (await shell.run("dispatches", "--tree", found[4]["id"], "--json")).json
        assert (answer["root"], answer["complete"]) == (root, True)
        assert [each["id"] for each in answer["dispatches"]] == [each["id"] for each in found]

        released = await shell.run("release", held["id"])
        assert (released.code, released.out) == (0, f"{held['id']}: released\n")
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 12)
        await daemon.until(lambda fact: holds(fact, depth=12))
    offline = await shell.run("dispatches", "--tree", root, "--json")
    last = offline.json["dispatches"][-1]
    assert (last["depth"], last["state"], last["held_by"]) == (12, "held", "depth")
    assert len(daemon.simulator.received) == 12


async def test_a_chain_may_be_as_deep_as_the_settings_say(tmp_path: Path) -> None:
    async with looping(tmp_path, triggers=[LOOP], settings={"max_chain_depth": 2}) as daemon:
        await start(daemon)
        await until_told(daemon, "chain")
        assert [each["state"] for each in await listed(daemon)] == [*["accepted"] * 3, "held"]


async def test_a_workflow_that_shows_no_id_is_caught_by_the_breaker(tmp_path: Path) -> None:
    """Nothing says then that its dispatches descend from one another."""
    none = timedelta()
    silent = {"octo-org/octo-repo": [Listener("silent.yml", "Silent")]}
    github = Simulator(wall_clock, listeners=silent, queued_for=none, running_for=none)
    breaker = {"max": 20, "per": "1h"}
    async with serving(
        tmp_path, triggers=[LOOP], settings={"breaker": breaker}, simulator=github
    ) as daemon:
        config = {"url": f"{daemon.url}/hook", "content_type": "json", "secret": SECRET}
        await github_call(daemon, "POST", "/hooks", {"events": ["workflow_run"], "config": config})
        await start(daemon)
        await until_told(daemon, "breaker")
        await github.hooks.settled()
        found = await listed(daemon)
        assert [each["state"] for each in found] == [*["accepted"] * 21, "held"]
        assert (found[-1]["depth"], found[-1]["held_by"]) == (0, "breaker")


async def test_a_workflow_that_is_started_by_name_is_found_by_its_run(tmp_path: Path) -> None:
    """GitHub names it in its answer, so that nothing needs to be shown."""
    by_name = {"via": "workflow_dispatch", "workflow": "quiet.yml", "ref": "main", "inputs": {}}
    loop = LOOP | {"dispatch": {**by_name, "inject_metadata": False}}
    begin = trigger_entry("begin", path="/begin", dispatch={**by_name, "inject_metadata": False})
    settings = {"max_chain_depth": 3}
    async with looping(tmp_path, triggers=[loop, begin], settings=settings) as daemon:
        await daemon.deliver("/begin", {})
        await until_told(daemon, "chain")
        found = await listed(daemon)
        assert [each["depth"] for each in found] == [0, 1, 2, 3, 4]
        assert [each["state"] for each in found] == [*["accepted"] * 4, "held"]


async def test_a_merged_job_leads_to_the_next_one_as_the_shipped_entry_says(
    tmp_path: Path, shell: Shell
) -> None:
    """A job, its branch, the pull request, its merge, the report with the job's text, the build."""
    entries = [entry | {"enabled": True} for entry in SHIPPED["triggers"]]
    results = {"commit_message": "Plan\n\nCONFIDENCE_SCORE: 9/10", "changed_files": ["PRPs/a.md"]}
    async with looping(tmp_path, triggers=entries) as daemon:
        _, job = await daemon.call("POST", "/webhook", json={"job": "plan a scraper"})
        await daemon.simulator.until(lambda: bool(daemon.simulator.received))
        pull = await github_call(
            daemon, "POST", "/pulls", {"title": "Job", "head": job["branch"], "base": "main"}
        )
        await github_call(daemon, "PUT", f"/pulls/{pull['number']}/merge", {})
        pull["merged"] = True
        report = {"action": "closed", "pull_request": pull, "job_results": results}
        headers = {"x-github-event": "pull_request"}
        status, answer = await daemon.deliver("/github/webhook", report, headers=headers)
        assert (status, answer["matched"]) == (202, ["auto-chain"])
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)
        built = daemon.simulator.received[1]
        assert built.event_type == "wat-factory"
        assert depth_told(built) == 1
        assert built.client_payload["parent_job_id"] == job["job_id"]
        tree = (await shell.run("dispatches", "--tree", job["job_id"], "--json")).json
        assert [(each["entry"], each["depth"]) for each in tree["dispatches"]] == [
            ("create-job", 0),
            ("auto-chain", 1),
        ]


async def test_a_parent_that_fails_is_an_error_and_one_that_is_not_known_is_none(
    tmp_path: Path,
) -> None:
    entry = trigger_entry("child", parent="body.parent")
    async with serving(tmp_path, triggers=[entry]) as daemon:
        for parent, outcome, reason in (
            (STRANGER, "dispatched", f"its parent {STRANGER} is not known here (aged out?)"),
            ("job/7", "dispatched", "its `parent` holds no id of a dispatch: 'job/7'"),
            ("", "dispatched", ""),
            (None, "dispatched", ""),
            (7, "error", "parent: did not come to a text that holds the id of a dispatch"),
        ):
            _, answer = await daemon.deliver("/hook", {"parent": parent})
            _, event = await daemon.call("GET", f"/api/v1/events/{answer['event_id']}")
            (verdict,) = event["verdicts"]
            assert verdict["outcome"] == outcome
            assert verdict["reason"].startswith(reason)
            assert bool(reason) is bool(verdict["reason"])
        _, answer = await daemon.deliver("/hook", {})
        _, event = await daemon.call("GET", f"/api/v1/events/{answer['event_id']}")
        assert event["verdicts"][0]["outcome"] == "error"
        assert event["verdicts"][0]["reason"].startswith("parent: there is no key 'parent'")


@pytest.mark.parametrize("auth", [SIGNED, OPEN], ids=["github", "none"])
async def test_a_branch_tells_its_job_to_who_believes_github_alone(
    tmp_path: Path, auth: Mapping[str, Any]
) -> None:
    entries = [trigger_entry("begin", path="/begin"), trigger_entry("merged", auth=auth)]
    async with serving(tmp_path, triggers=entries) as daemon:
        (job,) = (await daemon.deliver("/begin", {}))[1]["dispatches"]
        merged = {"pull_request": {"head": {"ref": f"job/{job}"}}}
        headers = {"x-github-event": "pull_request"}
        (next_,) = (await daemon.deliver("/hook", merged, headers=headers))[1]["dispatches"]
        _, found = await daemon.call("GET", f"/api/v1/dispatches/{next_}")
        expected = (job, 1) if auth is SIGNED else (None, 0)
        assert (found["parent_id"], found["depth"]) == expected


async def test_replays_stand_where_the_original_does_and_are_never_held(tmp_path: Path) -> None:
    entry = trigger_entry("child", parent="body.parent")
    settings = {"max_chain_depth": 1, "breaker": {"max": 3, "per": "1h"}}
    async with serving(tmp_path, triggers=[entry], settings=settings) as daemon:
        ids = [""]
        for _ in range(4):
            _, answer = await daemon.deliver("/hook", {"parent": ids[-1]})
            ids += answer["dispatches"]
        found = {each["id"]: each for each in await listed(daemon)}
        assert [found[each]["held_by"] for each in ids[1:]] == [None, None, "depth", "depth"]
        for target in (ids[3], found[ids[3]]["event_id"]):
            _, answer = await daemon.call("POST", f"/api/v1/replay/{target}")
            _, again = await daemon.call("GET", f"/api/v1/dispatches/{answer['dispatches'][0]}")
            assert (again["parent_id"], again["depth"], again["held_by"]) == (ids[2], 2, None)
            assert json.loads(again["client_payload"])["dispatchd"]["depth"] == 2
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 4)


def breaking(maximum: int) -> Mapping[str, Any]:
    return {"breaker": {"max": maximum, "per": "1h"}}


async def test_an_entry_past_its_breaker_is_told_of_once_and_released_by_hand(
    tmp_path: Path, shell: Shell
) -> None:
    entries = [trigger_entry("push"), trigger_entry("other", path="/other")]
    async with serving(tmp_path, triggers=entries, settings=breaking(2)) as daemon:
        for number in range(6):
            status, answer = await daemon.deliver("/hook", {"number": number})
            assert (status, answer["matched"], len(answer["dispatches"])) == (202, ["push"], 1)
        await daemon.deliver("/other", {})
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 3)
        told = [fact for fact in daemon.seen if isinstance(fact, IncidentNoticed)]
        assert [fact.incident.kind.value for fact in told] == ["breaker"]
        incidents = await shell.run("incidents")
        assert "dispatchd release --entry push" in incidents.out
        released = await shell.run("release", "--entry", "push")
        assert released.out == "push: dispatches that were held and go now: 4\n"
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 7)
        (fact,) = (fact for fact in daemon.seen if isinstance(fact, DispatchesReleased))
        assert (fact.entry, len(fact.dispatches)) == ("push", 4)
        again = await shell.run("release", "--entry", "push")
        assert (again.code, again.out) == (0, "push: dispatches that were held and go now: 0\n")


async def test_calls_of_dispatch_have_a_breaker_too_and_hear_at_once_that_they_are_held(
    tmp_path: Path, shell: Shell
) -> None:
    async with serving(tmp_path, settings=breaking(1)) as daemon:
        await start(daemon)
        call = {"event_type": "build", "client_payload": {"a": 1}}
        for _ in range(2):  # the second is the same call again
            status, answer = await daemon.call(
                "POST", "/dispatch", json=call, headers={"idempotency-key": "7"}
            )
            assert (status, answer["status"]) == (202, "queued")
            assert answer["warning"] == (
                "it is held: its breaker (1 in 1h) is open: `dispatchd release` sends it"
            )
        assert len(daemon.simulator.received) == 1
        said = await shell.run("dispatch", "build")
        assert "warning: it is held: its breaker" in said.err
        released = await shell.run("release", answer["dispatch_id"], "--json")
        assert released.json == [
            {"target": answer["dispatch_id"], "id": answer["dispatch_id"], "state": "pending"}
        ]
        await daemon.simulator.until(lambda: len(daemon.simulator.received) == 2)


async def test_what_is_not_held_or_held_by_a_pause_is_not_released(
    tmp_path: Path, shell: Shell
) -> None:
    entries = [trigger_entry("push")]
    async with serving(
        tmp_path, triggers=entries, crons=[cron_entry()], settings=breaking(1)
    ) as daemon:
        sent = await start(daemon)
        await shell.run("pause", "push")
        paused, broken = [
            (await daemon.deliver("/hook", {"n": n}))[1]["dispatches"][0] for n in range(2)
        ]
        ran = await shell.run("release", sent, STRANGER, paused, broken)
        assert ran.code == 1
        lines = ran.out.splitlines()
        assert lines[0] == f"{sent}: {sent} is accepted and not held"
        assert lines[1] == f"{STRANGER}: there is no dispatch '{STRANGER}'"
        assert lines[2].startswith(f"{paused}: {paused} is held by a pause: paused by")
        assert lines[2].endswith("`dispatchd resume push` lets it go")
        assert lines[3].startswith(f"{broken}: held by nothing but a pause now: paused by")
        await daemon.deliver("/hook", {"n": 3})
        ran = await shell.run("release", "--entry", "push")
        assert ran.out == (
            "push: dispatches that were held and go now: 0; 1 stay held, since push is paused: "
            "`dispatchd resume push`\n"
        )
        resumed = await shell.run("resume", "push")
        assert resumed.out == "push works again; dispatches that were held and go now: 3\n"
        for body, status, error in (
            ({"entry": "nobody"}, 404, "there is no entry 'nobody'; there are: /dispatch, cron, "),
            ({}, 400, "`entry` is the name of an entry"),
            ({"entry": 7}, 400, "`entry` is the name of an entry"),
            ({"name": "push"}, 400, "the key 'name' means nothing here"),
        ):
            found, answer = await daemon.call("POST", "/api/v1/release", json=body)
            assert found == status
            assert answer["error"].startswith(error)
        assert (await daemon.call("POST", "/api/v1/release", key=None))[0] == 401


async def test_what_is_asked_of_release_and_tree_must_be_ids(shell: Shell) -> None:
    for words in (
        ["release"],
        ["release", "push"],
        ["release", STRANGER, "--entry", "push"],
        ["release", "evt_" + "0" * 26],
        ["dispatches", "--tree"],
        ["dispatches", "--tree", STRANGER, "--state", "held"],
        ["dispatches", "--tree", "push"],
    ):
        ran = await shell.run(*words)
        assert (ran.code, ran.out) == (2, ""), words


async def test_a_tree_of_nothing_is_refused_by_the_daemon_and_by_the_database(
    tmp_path: Path, shell: Shell
) -> None:
    async with serving(tmp_path) as daemon:
        assert (await daemon.call("GET", f"/api/v1/dispatches/{STRANGER}/tree"))[0] == 404
        ran = await shell.run("dispatches", "--tree", STRANGER)
        assert (ran.code, ran.out) == (1, "")
    ran = await shell.run("dispatches", "--tree", STRANGER)
    assert ran.code == 1
    assert "there is no dispatch" in ran.err
    assert API_KEY not in ran.err
