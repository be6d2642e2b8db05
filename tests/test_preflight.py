"""What listens in a repository is asked of GitHub once, by all who want to know, and again at the
cost of what has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import product

import pytest

from daemon import preflight
from daemon.client import GitHub
from daemon.errors import FetchError
from daemon.github import Question, Reply
from daemon.preflight import FRESH, Preflight
from daemon.secret import Secret
from daemon.simulator import Listener, Simulator, Token
from daemon.simulator.faults import Fault, FaultKind, FaultPlace
from daemon.simulator.repositories import Repository
from daemon.simulator.workflows import WorkflowState
from tests.github_caller import Clock
from tests.github_fixtures import clock
from tests.openapi import operation_of
from tests.test_listeners import SHOWS, dispatch

__all__ = ["clock"]

SITE = "octo/site"
LISTENERS = [
    Listener("build.yml", "Build", frozenset({"build"}), f"Build [{SHOWS}]"),
    Listener("off.yml", "Off", frozenset({"late"}), enabled=False),
]


class Asked:
    """A session with the stand-in, which notes what it is asked."""

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self.paths: list[str] = []
        self.statuses: list[int] = []

    async def __call__(self, repository: str, question: Question) -> Reply:
        operation_of(question.method, question.path.partition("?")[0])
        self.paths.append(question.path)
        reply = await self._github.ask(repository, question)
        self.statuses.append(reply.status)
        return reply

    def forget(self) -> None:
        self.paths.clear()
        self.statuses.clear()


@pytest.fixture
async def simulator(clock: Clock) -> AsyncIterator[Simulator]:
    async with Simulator(clock, listeners={SITE: LISTENERS}) as simulator:
        yield simulator


@pytest.fixture
async def asked(simulator: Simulator, clock: Clock) -> AsyncIterator[Asked]:
    async with GitHub(simulator.url, Secret("ghp_one", "env:GH_TOKEN"), clock) as github:
        yield Asked(github)


def site(simulator: Simulator) -> Repository:
    repository = simulator.world.repository(SITE)
    assert repository is not None
    return repository


async def test_github_is_asked_what_listens(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    found = await Preflight(asked).listeners("Octo/Site", clock())
    assert (found.repository, found.default_branch, found.at) == ("Octo/Site", "main", clock())
    (build,) = found.hearing(dispatch("build"))
    assert (build.file, build.name, build.state) == ("build.yml", "Build", "active")
    assert build.shows_id
    assert "off.yml listens, but is disabled" in found.diagnosis(dispatch("late"))
    assert found.actions is True


async def test_for_ten_minutes_nothing_is_asked_again(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    preflight = Preflight(asked)
    first = await preflight.listeners(SITE, clock())
    asked.forget()
    clock.move(FRESH.total_seconds() - 1)
    assert await preflight.listeners("OCTO/site", clock()) is first
    assert asked.paths == []
    clock.move(1)
    later = await preflight.listeners(SITE, clock())
    assert later.at == clock()
    assert later.workflows == first.workflows


async def test_what_has_not_changed_is_not_paid_for(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    preflight = Preflight(asked)
    await preflight.listeners(SITE, clock())
    asked.forget()
    await preflight.listeners(SITE, clock(), fresh=True)
    assert sorted(asked.statuses) == [304, 304, 304, 304]
    assert not [path for path in asked.paths if path.endswith(".yml")]


async def test_what_the_token_may_not_know_is_not_asked_again(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    simulator.allow(Token("ghp_one", None, {"contents": "read", "actions": "read"}))
    preflight = Preflight(asked)
    assert (await preflight.listeners(SITE, clock())).actions is None
    assert 403 in asked.statuses
    asked.forget()
    clock.move(FRESH.total_seconds())
    assert (await preflight.listeners(SITE, clock())).actions is None
    assert asked.statuses == [304, 304, 304]


async def test_only_what_has_changed_is_read_again(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    preflight = Preflight(asked)
    await preflight.listeners(SITE, clock())
    late = Listener("late.yml", "Late", frozenset({"late"}))
    site(simulator).put("late.yml", late.text, clock())
    asked.forget()
    found = await preflight.listeners(SITE, clock(), fresh=True)
    assert [each.file for each in found.hearing(dispatch("late"))] == ["late.yml"]
    files = [path.rpartition("/")[2] for path in asked.paths if path.endswith(".yml")]
    assert files == ["late.yml"]
    assert asked.statuses.count(304) == 2  # the repository itself, and what is allowed there


async def test_all_who_wait_share_one_look_up(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    preflight = Preflight(asked)
    found = await asyncio.gather(*(preflight.listeners(SITE, clock()) for _ in range(20)))
    assert all(each is found[0] for each in found)
    assert len(asked.paths) == len(set(asked.paths))


async def test_a_look_up_that_fails_fails_for_all_and_is_made_again(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    preflight = Preflight(asked)
    simulator.inject(Fault(FaultKind.STATUS, on=FaultPlace.READ))
    found = await asyncio.gather(
        *(preflight.listeners(SITE, clock()) for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(each, FetchError) for each in found)
    assert len(asked.paths) == 1
    assert (await preflight.listeners(SITE, clock())).workflows


async def test_one_who_gives_up_leaves_the_look_up_to_the_others(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    preflight = Preflight(asked)
    waiting = [asyncio.create_task(preflight.listeners(SITE, clock())) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    waiting[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[2]
    assert (await waiting[1]).workflows


async def test_files_that_are_elsewhere_or_broken_are_told_apart(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    repository = site(simulator)
    repository.put("new.yml", LISTENERS[0].text, clock(), branch="feature")
    repository.put("bad.yml", "on: [", clock())
    repository.turn(repository.files[0], WorkflowState.DELETED, clock())
    found = await Preflight(asked).listeners(SITE, clock())
    said = found.diagnosis(dispatch("build"))
    assert "bad.yml is no valid YAML (line 2" in said
    assert "looks: new.yml; merge them" in said


async def test_more_files_than_are_read_are_said_to_be_unknown(
    simulator: Simulator, asked: Asked, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "FILES_MAX", 1)
    found = await Preflight(asked).listeners(SITE, clock())
    said = found.diagnosis(dispatch("late"))
    assert "Nothing is known of these files: off.yml is one of over 1, and was not read." in said
    site(simulator).put("build.yml", "#" * 600_000, clock())
    found = await Preflight(asked).listeners(SITE, clock())
    assert "build.yml is too large to be read" in found.diagnosis(dispatch("build"))


async def test_a_repository_without_workflows_is_no_error(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    found = await Preflight(asked).listeners("octo/empty", clock())
    assert found.workflows == ()
    assert "No workflow" in found.diagnosis(dispatch())


async def test_an_archived_repository_and_switched_off_actions_are_seen(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    preflight = Preflight(asked)
    site(simulator).actions_enabled = False
    found = await preflight.listeners(SITE, clock())
    assert "Actions are switched off" in found.diagnosis(dispatch("build"))
    site(simulator).archived = True
    found = await preflight.listeners(SITE, clock(), fresh=True)
    assert "is archived" in found.diagnosis(dispatch("build"))


async def test_a_renamed_repository_is_known_by_its_new_name(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    simulator.world.rename(site(simulator), "octo/home")
    found = await Preflight(asked).listeners(SITE, clock())
    assert found.repository == "octo/home"
    assert found.hearing(dispatch("build"))


async def test_a_token_that_may_not_read_actions_is_told_what_it_lacks(clock: Clock) -> None:
    async def ask(repository: str, question: Question) -> Reply:
        message = b'{"message": "Resource not accessible by personal access token"}'
        bodies = {"/repos/octo/site": b'{"full_name": "octo/site", "default_branch": "main"}'}
        body = bodies.get(question.path, b"[]" if "contents" in question.path else message)
        status = 200 if body is not message else 403
        return Reply(status, {"x-github-request-id": "1"}, body, None, clock())

    with pytest.raises(FetchError, match="the token needs 'actions: read'"):
        await Preflight(ask).listeners(SITE, clock())


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"full_name": 1}'])
async def test_an_answer_that_is_not_githubs_is_an_error(clock: Clock, body: bytes) -> None:
    async def ask(repository: str, question: Question) -> Reply:
        return Reply(200, {}, body, None, clock())

    with pytest.raises(FetchError, match="is not GitHub's"):
        await Preflight(ask).listeners(SITE, clock())


async def test_only_so_many_repositories_are_remembered(
    simulator: Simulator, asked: Asked, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "REPOSITORIES_MAX", 2)
    known = Preflight(asked)
    for name in ("octo/a", "octo/b", "octo/c", "octo/b"):
        await known.listeners(name, clock())
    asked.forget()
    await known.listeners("octo/b", clock() + timedelta(minutes=1))
    assert asked.paths == []
    await known.listeners("octo/a", clock())
    assert asked.paths


async def test_those_that_are_said_to_hear_are_those_that_run(
    simulator: Simulator, asked: Asked, clock: Clock
) -> None:
    """For each kind of file, state and type."""
    repository = site(simulator)
    forms = [
        "repository_dispatch",
        "[push, repository_dispatch]",
        "{repository_dispatch: {types: [build, late]}}",
        "{repository_dispatch: {types: BUILD}}",
        "{repository_dispatch: }",
        "{push: {types: [build]}}",
    ]
    states = [None, WorkflowState.DISABLED_INACTIVITY]
    for number, (form, state, branch) in enumerate(product(forms, states, ["", "feature"])):
        text = f"on: {form}\njobs: {{a: {{runs-on: x}}}}\n"
        repository.put(f"f{number}.yml", text, clock(), state=state, branch=branch)
    found = await Preflight(asked).listeners(SITE, clock())
    for event_type in ("build", "BUILD", "late", "push"):
        began = len(simulator.runs)
        question = Question(
            f"/repos/{SITE}/dispatches", "POST", body=b'{"event_type": "%s"}' % event_type.encode()
        )
        assert (await asked(SITE, question)).status == 204
        ran = {run.workflow.path for run in simulator.runs[began:]}
        assert {each.path for each in found.hearing(dispatch(event_type))} == ran
        assert bool(found.diagnosis(dispatch(event_type))) is not bool(ran)
