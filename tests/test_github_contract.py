"""Every request that we can send to GitHub is valid by its official description of its API, in both
versions of the API that we work with. The newer one's is made of the changes that the description
names for it; both are of github.com, and GitHub Enterprise Server's differ a little."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import daemon
from daemon import github_app, github_hooks, github_meta, github_runs, github_workflows
from daemon.checkup import access
from daemon.github import Question, Request, dispatch_request, question_request
from daemon.github_branches import branch_fault, branch_question
from daemon.github_hooks import Hook
from daemon.secret import Secret
from tests.openapi import description, faults, operation_of
from tests.openapi.trim import NEWER
from tests.test_started_by_name import by_name
from tests.wires import a_dispatch

API = "https://api.github.com"
SITE = "octo-org/site.js"
VERSIONS = ["2022-11-28", NEWER]
URL = "https://hooks.example.com/hooks/github"
SECRET = Secret("the secret of the hook", "env:X")
PLACES = [SITE, "octo-org"]
APP = "app:octo"
MAKERS = {"daemon.github.Question", "daemon.github.Request"}


def hook(place: str) -> Hook:
    return Hook(place, 12, URL, frozenset({"push"}), active=True, content_type="json")


class Sample(NamedTuple):
    """A call of what makes a request. ``lacks`` are the required keys that its body leaves out on
    purpose."""

    maker: Callable[..., Any]
    arguments: tuple[object, ...] = ()
    lacks: tuple[str, ...] = ()

    def requests(self, version: str) -> Iterator[Request]:
        """All that go out, the one for an older server too."""
        named = {"api_version": version} if "api_version" in _parameters(self.maker) else {}
        made = self.maker(*self.arguments, **named)
        for each in made if isinstance(made, tuple) else (made,):
            request = question_request(each, API, version) if isinstance(each, Question) else each
            yield request
            if request.plainer is not None:
                yield request.plainer

    def __str__(self) -> str:
        return self.maker.__name__


SAMPLES = [
    Sample(dispatch_request, (a_dispatch(), API)),
    Sample(dispatch_request, (by_name(), API)),
    Sample(dispatch_request, (by_name(workflow="12345", ref="refs/tags/v1"), API)),
    Sample(question_request, (Question(f"/repos/{SITE}", etag='"1"'), API)),
    Sample(github_meta.meta_request, (API, None)),
    Sample(github_app.installation_request, (API, SITE)),
    Sample(github_app.installation_request, (API, "octo-org")),
    Sample(github_app.token_request, (API, 99)),
    Sample(github_runs.list_question, (SITE,)),
    Sample(github_runs.list_question, (SITE, 2, '"1"')),
    Sample(github_runs.run_question, (SITE, 30433642)),
    Sample(github_workflows.repository_question, (SITE,)),
    Sample(github_workflows.actions_question, (SITE,)),
    Sample(github_workflows.workflows_question, (SITE, 2)),
    Sample(github_workflows.files_question, (SITE,)),
    Sample(github_workflows.file_question, (SITE, ".github/workflows/a b#c.yml")),
    Sample(branch_question, (SITE, "job/7#ä")),
    Sample(access.limits_question),
    Sample(access.dispatch_probe, (SITE,), lacks=("event_type",)),
    Sample(access.start_probe, (SITE, "a.yml"), lacks=("ref",)),
    Sample(access.ref_questions, (SITE, "main")),
    Sample(access.ref_questions, (SITE, "refs/heads/feature/x")),
    *(
        sample
        for place in PLACES
        for sample in (
            Sample(github_hooks.hooks_question, (place,)),
            Sample(github_hooks.hooks_question, (place, "2")),
            Sample(github_hooks.create_question, (place, URL, SECRET, {"push", "workflow_run"})),
            Sample(github_hooks.update_question, (hook(place), SECRET, {"push"})),
            Sample(github_hooks.delete_question, (hook(place),)),
            Sample(github_hooks.ping_question, (hook(place),)),
        )
    ),
    *(
        sample
        for place in [*PLACES, APP]
        for sample in (
            Sample(github_hooks.deliveries_question, (hook(place),)),
            Sample(github_hooks.deliveries_question, (hook(place), "v1_12")),
            Sample(github_hooks.redeliver_question, (hook(place), 42)),
        )
    ),
    Sample(github_hooks.hooks_question, (APP,)),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_what_is_sent_is_what_github_describes(sample: Sample, version: str) -> None:
    for request in sample.requests(version):
        target = request.url.removeprefix(API)
        expected = [f"body: '{key}' is a required property" for key in sample.lacks]
        assert faults(request.method, target, request.body, version) == expected
        assert request.headers["X-GitHub-Api-Version"] == version
        assert request.headers["Accept"] == "application/vnd.github+json"
        assert (request.headers.get("Content-Type") == "application/json") == bool(request.body)


def test_whatever_makes_a_request_is_held_against_the_description() -> None:
    tried = {f"{each.maker.__module__}.{each.maker.__name__}" for each in SAMPLES}
    root = Path(daemon.__file__).parent
    found: set[str] = set()
    for file in root.rglob("*.py"):
        module = ".".join(["daemon", *file.relative_to(root).with_suffix("").parts])
        found |= {f"{module}.{name}" for name in makers(file.read_text("utf-8"), module)}
    assert found == tried


def makers(source: str, module: str) -> set[str]:
    """The functions in which a Question or a Request to GitHub is made, there or by a function
    that is the module's own; what is made outside of them is ``<module>``."""
    tree = ast.parse(source)
    names = {each.rpartition(".")[2] for each in MAKERS if each.startswith(f"{module}.")}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                known = each.asname or each.name
                if f"{node.module}.{each.name}" in MAKERS:
                    names.add(known)
                elif f"{node.module}.{each.name}" == "daemon.github":
                    names |= {f"{known}.Question", f"{known}.Request"}
        elif isinstance(node, ast.Import):
            for each in node.names:
                if each.name == "daemon.github":
                    known = each.asname or each.name
                    names |= {f"{known}.Question", f"{known}.Request"}
    calls: dict[str, set[str]] = {}
    for statement in tree.body:
        name = "<module>"
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = statement.name
        called = {
            ast.unparse(node.func) for node in ast.walk(statement) if isinstance(node, ast.Call)
        }
        calls.setdefault(name, set()).update(called)
    found = {name for name, called in calls.items() if called & names}
    while (
        more := {
            name
            for name, called in calls.items()
            if called & {each for each in found if each.startswith("_")}
        }
        - found
    ):
        found |= more
    return {each for each in found if not each.startswith("_")}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from daemon.github import Question\ndef a(): return Question('/')", {"a"}),
        ("from daemon.github import Question as Q\nX = Q('/')", {"<module>"}),
        ("from daemon import github\nclass A:\n  def b(self): github.Request()", {"A"}),
        ("import daemon.github\ndef a(): daemon.github.Question('/')", {"a"}),
        (
            "from daemon.github import Request\ndef _a(): Request()\n"
            "def _b(): _a()\nasync def c(): _b()\ndef d(): c()",
            {"c"},
        ),
        ("from daemon.signatures import Request\ndef a(): Request()", set()),
    ],
)
def test_whatever_makes_a_request_is_found(source: str, found: set[str]) -> None:
    assert makers(source, "daemon.x") == found


@pytest.mark.parametrize(
    ("method", "target", "body", "version", "fault"),
    [
        ("GET", "/repos/a/b/actions/runs?pages=2", b"", "", "no pages in its query"),
        ("GET", "/repos/a/b/actions/runs?per_page=all", b"", "", "is not of type 'integer'"),
        ("GET", "/repos/a/b/actions/runs/last", b"", "", "is not of type 'integer'"),
        ("GET", "/repos/a/b/hooks/1/deliveries?status=ok", b"", "", "is not one of"),
        ("POST", "/repos/a/b/dispatches", b"", "", "requires a body"),
        ("POST", "/repos/a/b/hooks/1/pings", b"{}", "", "takes no body"),
        ("POST", "/repos/a/b/dispatches", b'{"event_type":7}', "", "is not of type 'string'"),
        ("POST", "/repos/a/b/dispatches", b'{"event_type":"a","x":1}', "", "takes no x"),
        (
            "POST",
            "/repos/a/b/actions/workflows/1/dispatches",
            b'{"ref":"a","return_run_details":true}',
            NEWER,
            "takes no return_run_details",
        ),
    ],
)
def test_what_github_would_refuse_is_noticed(
    method: str, target: str, body: bytes, version: str, fault: str
) -> None:
    (found,) = faults(method, target, body, version)
    assert fault in found


def test_what_the_newer_version_changes_is_known() -> None:
    start = "POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches"
    older, newer = (description(each)["operations"][start] for each in VERSIONS)
    assert (set(older["responses"]), set(newer["responses"])) == ({"200", "204"}, {"200"})
    assert "rate" not in description(NEWER)["$defs"]["rate-limit-overview"]["properties"]


@given(
    st.text(
        st.characters(categories=["L", "N", "P", "S"], exclude_characters="~^:?*[\\"),
        min_size=1,
        max_size=40,
    )
)
def test_any_branch_is_asked_for_at_its_own_place(name: str) -> None:
    assume(not branch_fault(name))
    path = branch_question(SITE, name).path
    assert operation_of("GET", path) == "GET /repos/{owner}/{repo}/git/ref/{ref}"
    assert unquote(path) == f"/repos/{SITE}/git/ref/heads/{name}"
    assert not faults("GET", path, b"")


def _parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)
