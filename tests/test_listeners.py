"""It is said which workflows hear a dispatch, and where none does, why and what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from daemon.dispatch import Dispatch
from daemon.listeners import Listeners, Workflow, read_as
from daemon.workflow_file import read
from tests.github_caller import T0

SHOWS = "${{ github.event.client_payload.dispatchd.id }}"


def workflow(file: str, on: str, run_name: str = "", state: str = "active") -> Workflow:
    name = f"run-name: {json.dumps(run_name)}\n" if run_name else ""
    text = f"{name}on: {on}\njobs: {{a: {{runs-on: x}}}}\n"
    path = f".github/workflows/{file}"
    return read_as(len(file), file.partition(".")[0].title(), path, state, read(text))


def on(*types: str) -> str:
    return json.dumps({"repository_dispatch": {"types": types}})


def listeners(*workflows: Workflow) -> Listeners:
    return Listeners("octo/site", "main", False, False, None, workflows, (), T0)


def dispatch(event_type: str = "build", workflow: str = "", **payload: object) -> Dispatch:
    return Dispatch(
        id="dsp_7",
        event_id="evt_7",
        entry="nightly",
        repository="octo/site",
        event_type="" if workflow else event_type,
        client_payload=json.dumps(payload),
        created_at=T0,
        due_at=T0,
        expires_at=T0 + timedelta(hours=1),
        workflow=workflow,
        ref="main" if workflow else "",
    )


def test_all_that_listen_and_are_enabled_hear_a_dispatch() -> None:
    found = listeners(
        workflow("one.yml", on("build")),
        workflow("all.yml", "repository_dispatch"),
        workflow("off.yml", on("build"), state="disabled_manually"),
        workflow("other.yml", on("deploy")),
        workflow("by-hand.yml", "workflow_dispatch"),
    )
    assert [each.file for each in found.hearing(dispatch())] == ["one.yml", "all.yml"]
    by_hand = dispatch(workflow="by-hand.yml")
    assert [each.file for each in found.hearing(by_hand)] == ["by-hand.yml"]
    assert found.hearing(dispatch(workflow="11")) == found.hearing(by_hand)
    assert found.diagnosis(dispatch()) == found.diagnosis(by_hand) == ""


@pytest.mark.parametrize(
    ("run_name", "shows"),
    [
        (f"Build [{SHOWS}]", True),
        ("${{ github.event.client_payload['dispatchd'].ID }}", True),
        ("${{ toJSON(github.event.client_payload) }}", True),
        ("${{ toJSON(github.event.client_payload.dispatchd) }}", True),
        ("${{ format('#{0} {1}', github.run_number, github.event.client_payload.dispatchd.id) }}",
         True),
        ("${{ github.event_name == 'repository_dispatch' && "
         "github.event.client_payload.dispatchd.id || 'by hand' }}", True),
        ("${{ github.event.client_payload.dispatchd }}", False),
        ("${{ inputs.dispatchd }}", False),
        ("github.event.client_payload.dispatchd.id", False),
        ("${{ github.actor || github.event.client_payload.dispatchd.id }}", False),
        ("x" * 250 + SHOWS, False),
        ("", False),
    ],
)  # fmt: skip
def test_whether_a_run_name_shows_the_id_is_known_for_certain(run_name: str, shows: bool) -> None:
    found = workflow("a.yml", on("build"), run_name)
    assert found.shows_id is shows
    assert found.shows(dispatch(dispatchd={"id": "dsp_7", "entry": "x", "depth": 0})) is shows


def test_what_else_is_in_the_payload_may_hide_the_id_or_show_it() -> None:
    either = "github.event.client_payload.title || github.event.client_payload.dispatchd.id"
    titled = workflow("a.yml", on("build"), f"${{{{ {either} }}}}")
    metadata = {"id": "dsp_7"}
    assert titled.shows(dispatch(dispatchd=metadata))
    assert not titled.shows(dispatch(dispatchd=metadata, title="Night"))
    by_job = workflow("b.yml", on("build"), "Job ${{ github.event.client_payload.job_id }}")
    assert not by_job.shows_id
    assert by_job.shows(dispatch(job_id="dsp_7"))
    assert not by_job.shows(structs.replace(dispatch(), client_payload=""))


def test_a_workflow_that_is_started_by_hand_shows_its_input() -> None:
    declared = json.dumps({"workflow_dispatch": {"inputs": {"dispatchd": {}}}})
    plain = workflow("a.yml", declared, "By hand [${{ inputs.dispatchd }}]")
    older = workflow("a.yml", declared, "By hand [${{ github.event.inputs.dispatchd }}]")
    assert plain.shows_id
    assert older.shows_id
    started = dispatch(workflow="a.yml", dispatchd="dsp_7")
    assert plain.shows(started)
    assert older.shows(started)
    assert not workflow("a.yml", declared, "By hand").shows_id
    both = json.dumps({"workflow_dispatch": {}, "repository_dispatch": {}})
    assert workflow("a.yml", both, f"Build {SHOWS}").shows_id


@pytest.mark.parametrize(
    ("found", "wanted", "said"),
    [
        (
            listeners(workflow("docs.yml", on("Build"))),
            dispatch("build"),
            ["Did you mean 'Build' (docs.yml)?", "Upper and lower case count", "types: [build]"],
        ),
        (
            listeners(workflow("docs.yml", on("build_docs", "deploy"))),
            dispatch("build-docs"),
            ["No workflow on the default branch (main) of octo/site", "'build_docs'"],
        ),
        (
            listeners(workflow("docs.yml", on("deploy", "release"))),
            dispatch("build"),
            ["Listened to are: 'deploy', 'release'."],
        ),
        (
            listeners(workflow("docs.yml", on("build"), state="disabled_manually")),
            dispatch(),
            ["somebody disabled it", "gh workflow enable docs.yml --repo octo/site"],
        ),
        (
            listeners(workflow("docs.yml", on("build"), state="disabled_inactivity")),
            dispatch(),
            ["60 days", "enable it on its page"],
        ),
        (
            listeners(Workflow(1, "x", ".github/workflows/x.yml", "active", fault="has no `on`")),
            dispatch(),
            ["No workflow", "GitHub cannot take these files: x.yml has no `on`."],
        ),
        (
            replace(listeners(), astray=(".github/workflows/new.yml",)),
            dispatch(),
            ["Not on the default branch, where alone GitHub looks: new.yml; merge them."],
        ),
        (
            replace(listeners(workflow("a.yml", on("build"))), archived=True),
            dispatch(),
            ["octo/site is archived", "unarchive it"],
        ),
        (
            replace(listeners(workflow("a.yml", on("build"))), locked=True),
            dispatch(),
            ["GitHub has disabled octo/site"],
        ),
        (
            replace(listeners(workflow("a.yml", on("build"))), actions=False),
            dispatch(),
            ["Actions are switched off", "Settings, Actions, General"],
        ),
        (
            listeners(workflow("by-hand.yml", "workflow_dispatch")),
            dispatch(workflow="by_hand.yml"),
            ["no workflow 'by_hand.yml'", "Did you mean by-hand.yml?"],
        ),
        (
            listeners(workflow("a.yml", "push")),
            dispatch(workflow="a.yml"),
            ["a.yml in octo/site does not listen to workflow_dispatch", "add `workflow_dispatch:`"],
        ),
        (
            listeners(
                replace(workflow("a.yml", on("build")), name="a.yml", unlisted_name="Build all")
            ),
            dispatch(),
            ["a.yml (named 'Build all')", "Invalid workflow file"],
        ),
    ],
)
def test_a_dispatch_that_nobody_hears_is_explained(
    found: Listeners, wanted: Dispatch, said: list[str]
) -> None:
    diagnosis = found.diagnosis(wanted)
    assert [each for each in said if each not in diagnosis] == []
    assert diagnosis.isprintable()


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("one.yml", ""),
        (".github/workflows/one.yml", ""),
        ("One", ""),
        ("two.yml", "it does not. What listens is: one.yml."),
        ("three.yml", "there is no such workflow on the default branch"),
        ("off.yml", "off.yml listens, but is disabled"),
        ("bad.yml", "it has no `on`"),
    ],
)
def test_the_workflow_that_is_expected_must_be_among_the_listeners(
    expected: str, said: str
) -> None:
    found = listeners(
        workflow("one.yml", on("build")),
        workflow("two.yml", on("deploy")),
        workflow("off.yml", on("build"), state="disabled_manually"),
        Workflow(9, "bad.yml", ".github/workflows/bad.yml", "active", fault="has no `on`"),
    )
    diagnosis = found.diagnosis(dispatch(), expected)
    assert (said in diagnosis) if said else diagnosis == ""


NAMES = st.sampled_from(["build", "Build", "deploy", "no-such"])
WORKFLOWS = st.lists(
    st.builds(
        lambda types, by_hand, state: workflow(
            "a.yml",
            json.dumps(
                ({"repository_dispatch": {"types": types}} if types else {"push": {}})
                | ({"workflow_dispatch": {}} if by_hand else {})
            ),
            state=state,
        ),
        st.lists(NAMES, max_size=3),
        st.booleans(),
        st.sampled_from(["active", "disabled_manually", "disabled_inactivity", "odd"]),
    ),
    max_size=4,
)


@given(WORKFLOWS, NAMES, st.booleans(), st.sampled_from([None, True, False]), st.booleans())
def test_either_somebody_hears_a_dispatch_or_it_is_said_why_not(
    workflows: list[Workflow], event_type: str, archived: bool, actions: bool | None, by_name: bool
) -> None:
    found = replace(listeners(*workflows), archived=archived, actions=actions)
    sent = dispatch(workflow="a.yml") if by_name else dispatch(event_type)
    diagnosis = found.diagnosis(sent)
    assert bool(diagnosis) is not bool(found.hearing(sent))
    assert diagnosis.isprintable()
    expecting = found.diagnosis(sent, "b.yml")
    assert expecting
