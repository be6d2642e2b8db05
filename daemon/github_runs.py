"""GitHub's workflow runs as pure rules: what to ask for them, and what an answer or a
``workflow_run`` webhook says of them. https://docs.github.com/en/rest/actions/workflow-runs"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from daemon.errors import FetchError, NotPermitted
from daemon.event import Delivery
from daemon.github import Question, Reply, one_line, refusal
from daemon.instants import instant
from daemon.run import Run

PAGE = 100
"""Runs that one answer lists at most."""

LIST_MAX = 16 * 1024 * 1024
"""Bytes of a list that are read: a run has some 20 KB, most of it addresses."""

EVENT_HEADER = "x-github-event"
EVENT = "workflow_run"


@dataclass(frozen=True, slots=True)
class Page:
    """One answer's ``runs``, newest first, and whether the list may go on after them."""

    runs: list[Run]
    full: bool

    @property
    def since(self) -> datetime | None:
        """How far back the list reaches by then; None: to the first run ever."""
        return min(run.created_at for run in self.runs) if self.full else None


def list_question(repository: str, page: int = 1, etag: str = "") -> Question:
    """Asks for the newest runs. Without a filter: filtered lists come from an index that lags
    behind."""
    path = f"/repos/{repository}/actions/runs?per_page={PAGE}"
    return Question(path if page == 1 else f"{path}&page={page}", etag=etag, most=LIST_MAX)


def run_question(repository: str, run_id: int) -> Question:
    return Question(f"/repos/{repository}/actions/runs/{run_id}")


def listed(reply: Reply, repository: str) -> Page:
    """The runs of an answer. What is no run among them counts all the same: a page is not the last
    for it. Raises FetchError where it is no list of runs, as NotPermitted where there will be
    none."""
    document = _answered(reply, f"/repos/{repository}/actions/runs")
    runs = document.get("workflow_runs")
    if not isinstance(runs, list):
        raise FetchError("what was answered for the list of runs is not GitHub's")
    read = [run for each in runs if (run := _run(each, repository)) is not None]
    if runs and not read:
        raise FetchError("what was answered for the list of runs names none")
    return Page(read, full=len(runs) >= PAGE)


def told(reply: Reply, repository: str) -> Run:
    """The run of an answer. Raises FetchError where it is none."""
    run = _run(_answered(reply, f"/repos/{repository}/actions/runs"), repository)
    if run is None:
        raise FetchError("what was answered for the run is not GitHub's")
    return run


def heard(delivery: Delivery) -> Run | None:
    """The run that a ``workflow_run`` webhook tells of; None for any other delivery. Whether it is
    GitHub's own is not asked here."""
    if delivery.headers.get(EVENT_HEADER) != EVENT:
        return None
    document = _document(delivery.body)
    repository = document.get("repository")
    name = repository.get("full_name") if isinstance(repository, dict) else None
    return _run(document.get("workflow_run"), name) if isinstance(name, str) else None


def _answered(reply: Reply, path: str) -> Mapping[str, object]:
    if reply.status in (403, 404):  # a rate limit is told apart before
        raise NotPermitted(f"{refusal(reply, path, reply.at)}. To look at runs takes actions: read")
    if reply.status != 200:
        raise FetchError(refusal(reply, path, reply.at))
    return _document(reply.body)


def _document(body: bytes) -> Mapping[str, object]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _run(told: object, repository: str) -> Run | None:
    """A run as GitHub writes it; None for what is none."""
    if not isinstance(told, dict):
        return None
    number, attempt = _count(told.get("id")), _count(told.get("run_attempt", 1))
    created_at, updated_at = _instant(told.get("created_at")), _instant(told.get("updated_at"))
    if number is None or attempt is None or created_at is None:
        return None
    url = _text(told.get("html_url"))
    return Run(
        repository=repository,
        id=number,
        attempt=attempt,
        # Of a workflow that another repository owns it is `.github/workflows/x.yml@ref`.
        workflow=_text(told.get("path")).partition("@")[0].rpartition("/")[2],
        name=_text(told.get("name")),
        title=_text(told.get("display_title")),
        event=_text(told.get("event")),
        status=_text(told.get("status")),
        conclusion=_text(told.get("conclusion")),
        branch=_text(told.get("head_branch")),
        url=url if url.startswith(("https://", "http://")) else "",
        created_at=created_at,
        updated_at=updated_at or created_at,
    )


def _count(number: object) -> int | None:
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    return number if 0 < number < 2**63 else None


def _text(value: object) -> str:
    return one_line(value, 500) if isinstance(value, str) else ""


def _instant(value: object) -> datetime | None:
    try:
        return instant(value) if isinstance(value, str) else None
    except ValueError:
        return None
