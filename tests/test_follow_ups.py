"""The whole daemon: a dispatch goes wrong, and what its entry asks for follows, at once."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from daemon.app import wall_clock
from daemon.facts import DispatchSettled, FollowUpSettled, IncidentNoticed
from daemon.simulator import Fault, FaultKind, Simulator
from daemon.simulator.workflows import Listener
from tests.follow_ups import receiving
from tests.inprocess import Serving, serving
from tests.shell import Shell
from tests.specs import SIGNED, trigger_entry

BUILD = Listener(
    "build.yml",
    "Build",
    frozenset({"push-build"}),
    "Build [${{ github.event.client_payload.dispatchd.id }}]",
)
PROMPT = 4.0
"""Seconds: less than the loop waits where nothing wakes it."""


def entry(**keys: Any) -> dict[str, Any]:
    payload = {"commit": "{{ body.after }}"}
    dispatch = {"event_type": "push-build", "client_payload": payload}
    return trigger_entry("push", auth=SIGNED, dispatch=dispatch, **keys)


async def one_that_dies(daemon: Serving) -> str:
    """Delivers a push whose dispatch GitHub refuses; returns the dispatch's id."""
    daemon.simulator.inject(Fault(FaultKind.STATUS, status=404))
    _, answer = await daemon.deliver("/hook", {"after": "c0ffee"})
    (dispatch_id,) = answer["dispatches"]
    async with asyncio.timeout(PROMPT):
        await daemon.until(lambda fact: isinstance(fact, FollowUpSettled))
    return str(dispatch_id)


async def test_somebody_is_told_and_it_is_shown_where_one_looks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shell = Shell(tmp_path)
    async with receiving() as receiver:
        url = f"{receiver.url}/services/TokenOfTheHook"
        text = "{{ dispatch.entry }} at {{ dispatch.client_payload.commit }}: {{ dispatch.reason }}"
        follow_up = {"notify": "env:HOOK", "text": text}
        async with serving(
            tmp_path, triggers=[entry(on_failure=follow_up)], environ={"HOOK": url}
        ) as daemon:
            with caplog.at_level(logging.DEBUG, logger="daemon"):
                dispatch_id = await one_that_dies(daemon)
            _, dispatch = await daemon.call("GET", f"/api/v1/dispatches/{dispatch_id}")
            (shown,) = dispatch["follow_ups"]
        (body,) = receiver.bodies
        assert receiver.paths == ["/services/TokenOfTheHook"]
        assert body["title"] == "push: dispatch dead"
        assert body["message"].startswith("push at c0ffee: GitHub answered 404")
        assert body["dispatchd"]["follow_ups"][0]["dispatch_id"] == dispatch_id
        assert {key: shown[key] for key in ("cause", "state", "target", "attempts")} == {
            "cause": "dead",
            "state": "notified",
            "target": "env:HOOK",
            "attempts": 1,
        }
        looked = await shell.run("dispatches", dispatch_id)  # no daemon any more
        assert "cause=dead  state=notified" in looked.out
        for place in (str(dispatch), looked.out, caplog.text, repr(daemon.seen)):
            assert "TokenOfTheHook" not in place


async def test_another_dispatch_goes_out_in_its_place(tmp_path: Path) -> None:
    again = {
        "event_type": "repair",
        "client_payload": {
            "of": "{{ dispatch.id }}",
            "commit": "{{ dispatch.client_payload.commit }}",
        },
        "repository": "octo-org/repairs",
    }
    async with serving(tmp_path, triggers=[entry(on_failure=again)]) as daemon:
        dispatch_id = await one_that_dies(daemon)
        async with asyncio.timeout(PROMPT):
            await daemon.simulator.until(lambda: len(daemon.simulator.received) == 1)
        (got,) = daemon.simulator.received
        payload = dict(got.client_payload)
        metadata: Any = payload.pop("dispatchd")
        assert (got.event_type, payload) == ("repair", {"of": dispatch_id, "commit": "c0ffee"})
        assert metadata["entry"] == "push"
        _, shown = await daemon.call("GET", f"/api/v1/dispatches/{dispatch_id}")
        assert shown["follow_ups"][0]["dispatch_id"] == metadata["id"]


async def test_what_goes_well_and_what_somebody_cancelled_tells_nobody(tmp_path: Path) -> None:
    async with receiving() as receiver:
        keys = {"notify": "env:HOOK"}
        async with serving(
            tmp_path,
            triggers=[entry(on_failure=keys, on_missing=keys)],
            environ={"HOOK": receiver.url},
        ) as daemon:
            await daemon.deliver("/hook", {"after": "1"})
            await daemon.until(lambda fact: isinstance(fact, DispatchSettled))
            await daemon.call("POST", "/api/v1/pause", json={"entries": ["push"]})
            _, answer = await daemon.deliver("/hook", {"after": "2"})
            await daemon.call("POST", f"/api/v1/cancel/{answer['dispatches'][0]}")
            for dispatch_id in answer["dispatches"]:
                _, shown = await daemon.call("GET", f"/api/v1/dispatches/{dispatch_id}")
                assert (shown["state"], shown["follow_ups"]) == ("cancelled", [])
        assert receiver.bodies == []


async def test_follow_ups_of_follow_ups_end_at_the_depth_of_a_chain(tmp_path: Path) -> None:
    again = {"event_type": "again"}
    async with serving(
        tmp_path, triggers=[entry(on_failure=again)], settings={"max_chain_depth": 2}
    ) as daemon:
        daemon.simulator.inject(Fault(FaultKind.STATUS, times=None, status=404))
        await daemon.deliver("/hook", {"after": "c0ffee"})
        async with asyncio.timeout(2 * PROMPT):
            await daemon.until(lambda fact: isinstance(fact, IncidentNoticed))
        _, listed = await daemon.call("GET", "/api/v1/dispatches")
        family = [(each["depth"], each["state"]) for each in reversed(listed["dispatches"])]
        assert family == [(0, "dead"), (1, "dead"), (2, "dead"), (3, "held")]
        parents = [each["parent_id"] for each in listed["dispatches"]]
        assert parents == [*(each["id"] for each in listed["dispatches"][1:]), None]


async def test_a_run_that_failed_is_told_with_its_address(tmp_path: Path) -> None:
    async with receiving() as receiver:
        text = "{{ run.name }} {{ run.conclusion }} {{ run.url }} {{ cause }}"
        github = Simulator(wall_clock, listeners={"octo-org/octo-repo": [BUILD]})
        async with serving(
            tmp_path,
            triggers=[entry(on_failure={"notify": "env:HOOK", "text": text})],
            environ={"HOOK": receiver.url},
            simulator=github,
        ) as daemon:
            course = {"queued_for": 0, "running_for": 0, "conclusion": "failure"}
            await daemon.session.patch(f"{github.url}/_simulator/settings", json=course)
            _, answer = await daemon.deliver("/hook", {"after": "c0ffee"})
            async with asyncio.timeout(20):
                await receiver.until(lambda: bool(receiver.bodies))
            (run,) = github.runs
            address = f"{github.url}/octo-org/octo-repo/actions/runs/{run.id}"
            assert receiver.bodies[0]["message"] == f"Build failure {address} failed"
            assert receiver.bodies[0]["title"] == "push: run ended with failure"
            (about,) = receiver.bodies[0]["dispatchd"]["follow_ups"]
            assert (about["run_id"], about["run_url"]) == (run.id, address)
            await daemon.until(lambda fact: isinstance(fact, FollowUpSettled))
            _, shown = await daemon.call("GET", f"/api/v1/dispatches/{answer['dispatches'][0]}")
            assert shown["follow_ups"][0]["run_url"] == address


async def test_a_run_that_never_came_is_told_with_the_diagnosis(tmp_path: Path) -> None:
    async with receiving() as receiver:
        github = Simulator(wall_clock, listeners={"octo-org/octo-repo": []})
        spec = entry(on_missing={"notify": "env:HOOK"}, on_failure={"event_type": "no"})
        spec["dispatch"] |= {"expect_run": {"within": "1s"}}
        async with serving(
            tmp_path, triggers=[spec], environ={"HOOK": receiver.url}, simulator=github
        ) as daemon:
            await daemon.deliver("/hook", {"after": "c0ffee"})
            async with asyncio.timeout(20):
                await receiver.until(lambda: bool(receiver.bodies))
            assert receiver.bodies[0]["title"] == "push: no run"
            assert "and no run followed: " in receiver.bodies[0]["message"]
            assert len(github.received) == 1
