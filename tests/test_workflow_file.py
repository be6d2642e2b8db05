"""Workflow files are read as GitHub reads them, and at a bounded cost."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.workflow_file import TEXT_MAX, WorkflowFault, read

JOBS = "jobs: {build: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}\n"


@pytest.mark.parametrize(
    ("on", "heard", "unheard"),
    [
        ("on: repository_dispatch", ["a", "b"], []),
        ("'on': repository_dispatch", ["a"], []),
        ("on: [push, repository_dispatch]", ["a"], []),
        ("on:\n  repository_dispatch:\n", ["a"], []),
        ("on:\n  repository_dispatch:\n    types:\n", ["a"], []),
        ("on:\n  repository_dispatch:\n    types: a\n", ["a"], ["b"]),
        (
            "on: {repository_dispatch: {types: [a, yes, 1.10, 'on']}}",
            ["a", "yes", "1.10", "on"],
            [],
        ),
        ("on: {repository_dispatch: {types: [build-*]}}", ["build-*"], ["build-docs"]),
        ("on: {repository_dispatch: {types: [Build]}}", ["Build"], ["build", "BUILD"]),
        ("on: {repository_dispatch: {types: []}}", [], ["a"]),
        ("on: &e {repository_dispatch: {types: &t [a]}, push: *t}", ["a"], ["b"]),
        ("on: push", [], ["a", "repository_dispatch"]),
    ],
)
def test_a_file_hears_the_types_that_it_names(
    on: str, heard: list[str], unheard: list[str]
) -> None:
    file = read(f"{on}\n{JOBS}")
    assert [each for each in heard + unheard if file.hears(each)] == heard


def test_inputs_and_names_are_read() -> None:
    file = read(
        "name: Build\nrun-name: Build ${{ inputs.target }}\n"
        "on:\n  workflow_dispatch:\n    inputs:\n"
        "      target: {type: choice, required: true, default: a, options: [a, b]}\n"
        "      plain:\n" + JOBS
    )
    assert (file.name, file.run_name) == ("Build", "Build ${{ inputs.target }}")
    target, plain = file.inputs["target"], file.inputs["plain"]
    assert (target.type, target.required, target.default) == ("choice", True, "a")
    assert target.options == ("a", "b")
    assert (plain.type, plain.required, plain.options) == ("string", False, ())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is no mapping"),
        ("- a\n", "is no mapping"),
        ("name: x\n" + JOBS, "has no `on`"),
        ("true: push\n" + JOBS, "has no `on`"),
        ("on: push\n", "has no `jobs`"),
        ("on: push\njobs: {}\n", "has no `jobs`"),
        ("on: push\njobs: ~\n", "has no `jobs`"),
        ("name: [x]\non: push\n" + JOBS, "is no text"),
        ("on: push\n" + JOBS + "jobs: {a: {}}\n", "names a key twice"),
        ("on: push\n? [a]\n: b\n" + JOBS, "a key that is no text"),
        ("on: push\n---\n" + JOBS, "second document"),
        ("on: *nowhere\n" + JOBS, "anchor that is not there"),
        ("on: &a {x: *a}\n" + JOBS, "anchor that is not there"),
        ("on: {push\n" + JOBS, r"is no valid YAML \(line 2"),
        ("on:\n\tpush:\n" + JOBS, r"is no valid YAML \(line 2"),
        ("on: push\x00", "is no valid YAML"),
        (f"on: {{repository_dispatch: {{types: [{'a,' * 1001}]}}}}\n{JOBS}", "over 1,000 types"),
    ],
)
def test_what_github_does_not_take_is_said(text: str, fault: str) -> None:
    with pytest.raises(WorkflowFault, match=fault):
        read(text)


def bombs() -> dict[str, str]:
    levels = "a0: &a0 [x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 20)}]\n" for n in range(1, 20)
    )
    inputs = "on: {workflow_dispatch: {inputs: {a: {default: *a19, options: [*a19]}}}}\n"
    return {
        "aliases": levels + inputs + JOBS,
        "depth": "[" * 400_000,
        "keys": "? " * 200_000,
        "values": "[" + "a," * 250_000 + "]",
        "length": "#" * (TEXT_MAX + 1),
        "one long text": "on: " + "a" * (TEXT_MAX - 10),
        "directives": "".join(f"%TAG !a{n}! x\n" for n in range(35_000)),
        "comments": "# \n" * (TEXT_MAX // 3),
    }


@pytest.mark.parametrize("name", bombs())
def test_a_hostile_file_costs_little(name: str) -> None:
    began = time.process_time()
    with contextlib.suppress(WorkflowFault):
        read(bombs()[name])
    assert time.process_time() - began < 1


@given(st.text(alphabet="onrepository_dispatch:jobs[]{}&*!?|>-'\"# \n\t~", max_size=80))
def test_any_text_is_read_or_faulted(text: str) -> None:
    with contextlib.suppress(WorkflowFault):
        assert read(text).events
