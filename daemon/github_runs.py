"""GitHub's workflow runs as pure rules: what to ask for them, and what an answer or a
``workflow_run`` webhook says of them. https://docs.github.com/en/rest/actions/workflow-runs"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

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


Form = TypeVar("Form", bound=Struct)


class _Told(Struct):
    """What is read of a run: of its 20 KB these fields become objects, and nothing else. Any of
    them may be anything, as long as it is JSON."""

    id: Any = None
    run_attempt: Any = 1
    path: Any = None
    name: Any = None
    display_title: Any = None
    event: Any = None
    status: Any = None
    conclusion: Any = None
    head_branch: Any = None
    html_url: Any = None
    created_at: Any = None
    updated_at: Any = None


_NoObject = list[Any] | str | int | float | bool | None
"""Whatever may stand where a run is expected."""


class _List(Struct):
    workflow_runs: list[_Told | _NoObject]


class _Repository(Struct):
    full_name: str


class _Webhook(Struct):
    workflow_run: _Told
    repository: _Repository


_LIST = Decoder(_List)
_RUN = Decoder(_Told)
_WEBHOOK = Decoder(_Webhook)


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
    document = _answered(reply, repository, _LIST)
    if document is None:
        raise FetchError("what was answered for the list of runs is not GitHub's")
    runs = document.workflow_runs
    read = [run for each in runs if (run := _run(each, repository)) is not None]
    if runs and not read:
        raise FetchError("what was answered for the list of runs names none")
    return Page(read, full=len(runs) >= PAGE)


def told(reply: Reply, repository: str) -> Run:
    """The run of an answer. Raises FetchError where it is none."""
    document = _answered(reply, repository, _RUN)
    run = None if document is None else _run(document, repository)
    if run is None:
        raise FetchError("what was answered for the run is not GitHub's")
    return run


def heard(delivery: Delivery) -> Run | None:
    """The run that a ``workflow_run`` webhook tells of; None for any other delivery. Whether it is
    GitHub's own is not asked here."""
    if delivery.headers.get(EVENT_HEADER) != EVENT:
        return None
    document = _document(delivery.body, _WEBHOOK)
    if document is None:
        return None
    return _run(document.workflow_run, document.repository.full_name)


def _answered(reply: Reply, repository: str, form: Decoder[Form]) -> Form | None:
    path = f"/repos/{repository}/actions/runs"
    if reply.status in (403, 404):  # a rate limit is told apart before
        raise NotPermitted(f"{refusal(reply, path, reply.at)}. To look at runs takes actions: read")
    if reply.status != 200:
        raise FetchError(refusal(reply, path, reply.at))
    return _document(reply.body, form)


def _document(body: bytes, form: Decoder[Form]) -> Form | None:
    """The body as far as it has that form; else None."""
    try:
        return form.decode(body)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _run(told: _Told | _NoObject, repository: str) -> Run | None:
    """A run as GitHub writes it; None for what is none."""
    if not isinstance(told, _Told):
        return None
    number, attempt = _count(told.id), _count(told.run_attempt)
    created_at, updated_at = _instant(told.created_at), _instant(told.updated_at)
    if number is None or attempt is None or created_at is None:
        return None
    url = _text(told.html_url)
    return Run(
        repository=repository,
        id=number,
        attempt=attempt,
        # Of a workflow that another repository owns it is `.github/workflows/x.yml@ref`.
        workflow=_text(told.path).partition("@")[0].rpartition("/")[2],
        name=_text(told.name),
        title=_text(told.display_title),
        event=_text(told.event),
        status=_text(told.status),
        conclusion=_text(told.conclusion),
        branch=_text(told.head_branch),
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
