"""``dispatchd dispatch --wait``, against a daemon at work: from the call to the end of its run, or
to the reason why there is none."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.app import wall_clock
from daemon.cli import awaiting
from daemon.cli.awaiting import Branch, Stage, branch_named, standing
from daemon.errors import UsageError
from daemon.facts import DispatchSettled, Fact
from daemon.simulator import Fault, FaultKind, Listener, Simulator
from daemon.simulator.runs import Course
from tests.inprocess import serving
from tests.shell import PROGRAM, Shell

REPOSITORY = "octo-org/octo-repo"
SHOWN = "${{ github.event.client_payload.dispatchd.id }}"
FACTORY = Listener("wat-factory.yml", "Factory", frozenset({"wat-factory"}), f"Job {SHOWN}")
ID = "dsp_01hzy8g9qkq5v3m2x7c4b6n8p0"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def github(
    *listeners: Listener, seconds: float | None = 0.5, conclusion: str = "success"
) -> Simulator:
    """Whose runs are there at once and take so long (None: for ever)."""
    simulator = Simulator(
        wall_clock, repositories=[REPOSITORY], listeners={REPOSITORY: listeners or [FACTORY]}
    )
    running_for = None if seconds is None else timedelta(seconds=seconds)
    simulator.world.course = Course(timedelta(), running_for, conclusion)
    return simulator


FOR_JOB_7 = ("dispatch", "wat-factory", "--wait", "--payload", '{"job_id": 7}')
TO_ITS_BRANCH = (
    *("dispatch", "wat-factory", "--wait", "--payload", '{"job_id": "7"}'),
    *("--expect-branch", "job/{job_id}"),
)


async def test_it_waits_for_the_run_its_branch_and_its_success(
    shell: Shell, tmp_path: Path
) -> None:
    async with serving(tmp_path, simulator=github()) as daemon:
        ran = await shell.run(*TO_ITS_BRANCH)
        assert (ran.code, ran.err) == (0, "")
        (run,) = daemon.simulator.runs
    lines = [line.split() for line in ran.out.splitlines()]
    assert [line[0] for line in lines] == ["wat-factory:", "204", "run", "branch", "success"]
    assert all(line[1] == "after" and line[3] == "s" for line in lines[1:])
    assert lines[2][4].endswith(f"/{REPOSITORY}/actions/runs/{run.id}")
    assert lines[2][5] == "(verified)"
    assert lines[3][4:6] == ["job/7", "at"]


async def test_json_is_one_document_with_all_that_came(shell: Shell, tmp_path: Path) -> None:
    async with serving(tmp_path, simulator=github()):
        ran = await shell.run(*TO_ITS_BRANCH, "--json")
    assert (ran.code, ran.err) == (0, "")
    told = ran.json
    assert list(told) == [
        *("success", "reason", "waited_for", "dispatch_id", "event_type", "repository", "state"),
        *("match", "diagnosis", "run_outcome", "runs", "branch", "seconds"),
    ]
    assert (told["success"], told["match"], told["run_outcome"]) == (True, "verified", "success")
    assert told["branch"]["name"] == "job/7"
    assert list(told["seconds"]) == ["accepted", "run", "branch", "conclusion", "all"]
    assert 0 < told["seconds"]["accepted"] < told["seconds"]["run"] <= told["seconds"]["all"]


async def test_where_nothing_listens_it_fails_with_the_diagnosis(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaiting, "UNHEARD_AFTER", 0.0)
    async with serving(tmp_path, simulator=github()):
        ran = await shell.run("dispatch", "wat-facotry", "--wait")
        assert ran.code == 1
        assert "no run: No workflow on the default branch (main) of octo-org/octo-repo" in ran.err
        assert "Did you mean 'wat-factory' (wat-factory.yml)?" in ran.err


async def test_a_workflow_that_was_added_since_the_last_look_is_believed(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is remembered of a repository's workflows speaks against no later dispatch."""
    monkeypatch.setattr(awaiting, "UNHEARD_AFTER", 0.0)
    async with serving(tmp_path, simulator=github()) as daemon:
        assert (await shell.run("dispatch", "deploy", "--wait")).code == 1
        repository = daemon.simulator.world.repository(REPOSITORY)
        assert repository is not None
        deploy = Listener("deploy.yml", "Deploy", frozenset({"deploy"}), SHOWN)
        repository.put(deploy.workflow, deploy.text, wall_clock())
        assert (await shell.run("dispatch", "deploy", "--wait")).code == 0


async def test_a_run_that_fails_is_named_with_its_conclusion(shell: Shell, tmp_path: Path) -> None:
    async with serving(tmp_path, simulator=github(conclusion="failure")) as daemon:
        ran = await shell.run(*FOR_JOB_7)
        (run,) = daemon.simulator.runs
    assert ran.code == 1
    assert f"/actions/runs/{run.id} ended as failure" in ran.err
    assert ran.out.splitlines()[-1].split()[0] == "failure"


async def test_all_runs_that_it_started_are_waited_for(shell: Shell, tmp_path: Path) -> None:
    other = Listener("other.yml", "Other", None, f"Other {SHOWN}")
    async with serving(tmp_path, simulator=github(FACTORY, other)) as daemon:
        ran = await shell.run(*FOR_JOB_7)
        assert ran.code == 0
        for run in daemon.simulator.runs:
            assert ran.out.count(f"/actions/runs/{run.id}") == 2
        assert len(daemon.simulator.runs) == 2


async def test_what_is_refused_by_github_is_told_in_its_words(shell: Shell, tmp_path: Path) -> None:
    async with serving(tmp_path, simulator=github()) as daemon:
        daemon.simulator.inject(Fault(FaultKind.STATUS, status=404))
        ran = await shell.run(*FOR_JOB_7, "--json")
    assert ran.code == 1
    assert "it is dead: GitHub answered 404" in ran.err
    assert (ran.json["state"], ran.json["waited_for"]) == ("dead", "GitHub's 204")


async def test_a_timeout_says_what_it_hung_at_and_that_the_daemon_goes_on(
    shell: Shell, tmp_path: Path
) -> None:
    async with serving(tmp_path, simulator=github(seconds=None)):
        ran = await shell.run(*FOR_JOB_7, "--timeout", "4s", "--json")
    assert ran.code == 1
    goes_on = f"The daemon goes on: `dispatchd dispatches {ran.json['dispatch_id']}`"
    assert "timed out after 4s, waiting for the run to end (in_progress). " + goes_on in ran.err
    assert ran.json["seconds"]["run"] is not None
    assert ran.json["seconds"]["conclusion"] is None


async def test_a_run_that_succeeds_without_its_branch_is_no_success(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaiting, "PUSHED_AFTER", 0.0)
    async with serving(tmp_path, simulator=github()):
        ran = await shell.run(*FOR_JOB_7, "--expect-branch", "job/{job_id}-{dispatch_id}", "--json")
    branch = f"job/7-{ran.json['dispatch_id']}"
    assert (ran.code, ran.json["branch"]) == (1, {"name": branch, "sha": None})
    assert f"the run succeeded, but the branch {branch} is not there" in ran.err


async def test_a_daemon_that_goes_away_meanwhile_is_found_again(
    shell: Shell, tmp_path: Path
) -> None:
    simulator = github()
    async with serving(tmp_path, simulator=simulator, keep=True) as daemon:
        waiting = asyncio.create_task(shell.run(*FOR_JOB_7))
        await daemon.until(_accepted)
    await asyncio.sleep(0.6)  # in which it asks in vain
    async with serving(tmp_path, simulator=simulator):
        ran = await waiting
    assert (ran.code, ran.err) == (0, "")
    assert "; trying again\nthe daemon answers again\n" in ran.out
    assert len(simulator.received) == 1


def _accepted(fact: Fact) -> bool:
    return isinstance(fact, DispatchSettled)


async def test_ctrl_c_says_what_it_waited_for_and_leaves_the_dispatch_alone(
    shell: Shell, tmp_path: Path
) -> None:
    async with serving(tmp_path, simulator=github(seconds=None)) as daemon:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, *FOR_JOB_7),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=shell.environ,
        )
        assert process.stdout is not None
        while not (await process.stdout.readline()).startswith(b"run"):
            pass
        process.send_signal(signal.SIGINT)
        _, told = await process.communicate()
        _, listed = await daemon.call("GET", "/api/v1/dispatches")
    assert process.returncode == 1
    assert b"interrupted, waiting for the run to end (in_progress). The daemon goes on" in told
    assert b"Traceback" not in told
    assert [each["state"] for each in listed["dispatches"]] == ["accepted"]


async def test_a_terminal_shows_what_is_waited_for_within_its_width(
    shell: Shell, tmp_path: Path
) -> None:
    shell.environ |= {"COLUMNS": "40", "TERM": "xterm"}
    async with serving(tmp_path, simulator=github()):
        terminal, program = pty.openpty()
        reading = asyncio.create_task(asyncio.to_thread(_read_all, terminal))
        ran = await shell.spawn(*TO_ITS_BRANCH, stdout=program)
        os.close(program)
        text = await reading
        os.close(terminal)
    assert (ran.code, ran.err) == (0, "")
    assert "0 s  waiting for" in text
    live = [part for part in text.replace("\r", "\x1b").split("\x1b") if "waiting for" in part]
    assert max(len(part.partition("K")[2] or part) for part in live) <= 40
    assert text.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in text  # the cursor is back


def _read_all(terminal: int) -> str:
    read = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return read.decode()
        if not part:
            return read.decode()
        read += part


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--wait", "--expect-branch", "job/{job}"), "no key 'job'; there are: {a}, {dispatch_id}"),
        (("--wait", "--expect-branch", "job/{a"), "write keys of the payload as {key}"),
        (("--wait", "--expect-branch", "job/{b}"), "'b' in the payload is neither text nor number"),
        (("--wait", "--expect-branch", "job..{a}"), "is no name that git allows, by its '..'"),
        (("--wait", "--timeout", "soon"), "--timeout: 'soon' is not a duration"),
        (("--expect-branch", "job/{a}"), "go with --wait"),
        (("--timeout", "5m"), "go with --wait"),
        (("--wait", "--payload", "[1]"), "--payload is not a JSON object"),
        (("--wait", "--payload", str(dict.fromkeys("abcdefghij", 1)).replace("'", '"')), "10"),
    ],
)
async def test_what_cannot_be_waited_for_is_said_before_anything_is_sent(
    shell: Shell, options: tuple[str, ...], told: str
) -> None:
    """There is no daemon here that could take it."""
    payload = '{"a": 1, "b": [1]}' if "{b}" in options[-1] else '{"a": 1}'
    ran = await shell.run("dispatch", "x", "--payload", payload, *options)
    assert (ran.code, told in " ".join(ran.err.replace("│", " ").split())) == (2, True), ran.err


async def test_without_a_daemon_nothing_is_waited_for(shell: Shell) -> None:
    ran = await shell.run("dispatch", "x", "--wait")
    assert (ran.code, "no daemon answers" in ran.err) == (1, True)


def told(**changed: Any) -> dict[str, Any]:
    """What a daemon tells of a dispatch whose run is verified and goes on."""
    run = {"id": 1, "url": "https://github.com/r/1", "title": "Build", "conclusion": None}
    return {
        "id": ID,
        "state": "accepted",
        "reason": "",
        "match": "verified",
        "diagnosis": "",
        "run_outcome": "in_progress",
        "runs": [{**run, "status": "in_progress"}],
        **changed,
    }


def ended(*conclusions: str) -> list[dict[str, Any]]:
    return [
        {"id": n, "url": f"https://github.com/r/{n}", "status": "completed", "conclusion": each}
        for n, each in enumerate(conclusions)
    ]


@pytest.mark.parametrize(
    ("changed", "failure"),
    [
        ({"state": "pending"}, ""),
        ({"state": "unsure", "reason": "the answer was lost"}, ""),
        ({"state": "a state to come"}, ""),
        ({"state": "dead", "reason": "too old"}, "it is dead: too old"),
        ({"state": "cancelled"}, "it is cancelled"),
        ({"state": "held", "reason": "a breaker"}, f"a breaker; `dispatchd release {ID}` sends it"),
        ({"match": "waiting", "runs": []}, ""),
        ({"match": "waiting", "runs": [], "diagnosis": "nobody listens"}, "nobody listens"),
        ({"match": "missing", "runs": [], "diagnosis": "why"}, "its run is missing: why"),
        ({"match": "ambiguous", "runs": [], "diagnosis": "two"}, "its run is ambiguous: two"),
        ({"match": "untracked", "runs": []}, "the payload carries no id"),
        ({"match": "untracked", "runs": [], "diagnosis": "no right"}, "looked for: no right"),
        ({}, ""),
        ({"match": "probable"}, ""),
        ({"runs": ended("success")}, ""),
        ({"runs": ended("success", "skipped", "neutral")}, ""),
        ({"runs": ended("skipped")}, "r/0 ended as skipped"),
        ({"runs": ended("success", "cancelled")}, "r/1 ended as cancelled"),
        ({"runs": ended("timed_out", "failure")}, "r/0 ended as timed_out; https"),
    ],
)
def test_it_fails_as_soon_as_it_is_clear_that_something_will_not_come(
    changed: dict[str, Any], failure: str
) -> None:
    found = standing(told(**changed), None, accepted_for=60.0, looked_after=-1.0)
    assert failure in found.failure
    assert bool(found.failure) == bool(failure)
    whole = {Stage.ACCEPTED, Stage.RUN, Stage.CONCLUSION}
    assert (found.waits_for == "" and not failure) == (found.came == whole and not failure)


def test_a_diagnosis_counts_once_a_run_would_be_listed() -> None:
    answer = told(match="waiting", runs=[], diagnosis="nobody listens")
    early = standing(answer, None, accepted_for=9.9, looked_after=-1.0)
    assert (early.waits_for, early.failure) == ("a run", "")


def test_the_branch_may_come_some_seconds_after_the_end() -> None:
    done = told(runs=ended("success"))
    for looked_after, failure in ((-1.0, False), (4.9, False), (5.0, True)):
        found = standing(done, Branch("job/1"), accepted_for=9.0, looked_after=looked_after)
        assert (found.waits_for, bool(found.failure)) == ("the branch job/1", failure)
    trouble = Branch("job/1", trouble="GitHub answered 403")
    found = standing(done, trouble, accepted_for=9.0, looked_after=5.0)
    assert "cannot be looked for: GitHub answered 403" in found.failure
    there = standing(done, Branch("job/1", "a" * 40), accepted_for=9.0, looked_after=-1.0)
    assert (there.came, there.waits_for) == (frozenset(Stage), "")


def test_a_branch_is_named_by_keys_of_the_payload_and_by_the_id() -> None:
    payload = {"job_id": "a-7", "n": 3, "none": None, "dispatch_id": "not this one"}
    assert branch_named("job/{job_id}/{n}-{dispatch_id}", payload, ID) == f"job/a-7/3-{ID}"
    assert branch_named("main", payload, ID) == "main"
    with pytest.raises(UsageError, match="neither text nor number"):
        branch_named("{none}", payload, ID)
