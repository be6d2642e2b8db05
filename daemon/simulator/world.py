"""What the stand-in remembers: repositories, the dispatches they received, and the runs that these
started. Time is an argument, and a run's status follows from its age."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha1

KEPT = 10_000
"""How many dispatches and how many runs are kept unless said otherwise; older ones are
forgotten."""
KEPT_BYTES = 32 * 1024 * 1024
"""Bytes of JSON that the dispatches may have together; as values they take a few times that."""

_FIELD = re.compile(r"\$\{\{\s*github\.event\.([A-Za-z0-9_.-]+)\s*\}\}")
_TITLE_MAX = 250


@dataclass(frozen=True, slots=True)
class Listener:
    """A workflow on the default branch that listens to ``repository_dispatch``.

    ``workflow`` is its file's name. ``event_types`` None means every one, as where a workflow
    names no types. ``run_name`` may hold ``${{ github.event.client_payload.a.b }}`` and
    ``${{ github.event.action }}``; without it a run is titled with the event type, as on GitHub.
    """

    workflow: str
    name: str
    event_types: frozenset[str] | None = None
    run_name: str = ""
    enabled: bool = True

    @property
    def path(self) -> str:
        return f".github/workflows/{self.workflow}"

    def hears(self, event_type: str) -> bool:
        return self.enabled and (self.event_types is None or event_type in self.event_types)

    def title(self, event_type: str, client_payload: Mapping[str, object]) -> str:
        """What GitHub shows of a run: its ``display_title``."""
        event = {"action": event_type, "client_payload": client_payload}
        title = _FIELD.sub(lambda found: _text_at(event, found[1].split(".")), self.run_name)
        return (title or event_type)[:_TITLE_MAX]


ANY_EVENT = Listener(
    workflow="dispatched.yml",
    name="Dispatched",
    run_name="Build [${{ github.event.client_payload.dispatchd.id }}]",
)
"""The workflow of ``--simulate``: it listens to every event type and shows the dispatch's id."""


def _text_at(value: object, keys: Sequence[str]) -> str:
    """The field that ``keys`` lead to, as an Actions expression would print it."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, slots=True)
class ReceivedDispatch:
    """One dispatch that was taken: what GitHub would act on."""

    at: datetime
    repository: str
    event_type: str
    client_payload: dict[str, object] = field(repr=False)
    request_id: str

    def as_json(self) -> dict[str, object]:
        return {
            "at": instant(self.at),
            "repository": self.repository,
            "event_type": self.event_type,
            "client_payload": self.client_payload,
            "request_id": self.request_id,
        }


@dataclass(frozen=True, slots=True)
class Run:
    """One workflow run. It is queued, then in progress, then a success."""

    id: int
    number: int
    repository: str
    listener: Listener
    display_title: str
    created_at: datetime
    queued_for: timedelta
    running_for: timedelta

    def status(self, now: datetime) -> str:
        age = now - self.created_at
        if age < self.queued_for:
            return "queued"
        return "in_progress" if age < self.queued_for + self.running_for else "completed"

    def as_json(self, now: datetime, api_url: str) -> dict[str, object]:
        """The run in GitHub's shape, as of ``now``."""
        status = self.status(now)
        started_at = self.created_at + self.queued_for
        updated_at = {
            "queued": self.created_at,
            "in_progress": started_at,
            "completed": started_at + self.running_for,
        }[status]
        return {
            "id": self.id,
            "name": self.listener.name,
            "head_branch": "main",
            "head_sha": sha1(self.repository.encode(), usedforsecurity=False).hexdigest(),
            "path": self.listener.path,
            "display_title": self.display_title,
            "run_number": self.number,
            "run_attempt": 1,
            "event": "repository_dispatch",
            "status": status,
            "conclusion": "success" if status == "completed" else None,
            "workflow_id": workflow_id(self.repository, self.listener),
            "url": f"{api_url}/repos/{self.repository}/actions/runs/{self.id}",
            "html_url": f"{api_url}/{self.repository}/actions/runs/{self.id}",
            "created_at": instant(self.created_at),
            "updated_at": instant(updated_at),
            "run_started_at": instant(self.created_at),
            "repository": {"full_name": self.repository},
        }


def workflow_id(repository: str, listener: Listener) -> int:
    """A workflow's number: the same for the same file in every simulation."""
    name = f"{repository.lower()}/{listener.workflow}"
    return int(sha1(name.encode(), usedforsecurity=False).hexdigest()[:7], 16)


def instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class World:
    """The repositories and all that happened to them.

    ``repositories`` (``owner/name``) are those that exist; None: any. ``listeners`` gives each
    its workflows; None: ``ANY_EVENT`` in every one. Names compare without case, as on GitHub.
    ``received`` and ``runs`` hold the newest ``keep`` each, the former at most ``KEPT_BYTES``.
    """

    def __init__(
        self,
        repositories: Collection[str] | None,
        listeners: Mapping[str, Sequence[Listener]] | None,
        queued_for: timedelta,
        running_for: timedelta,
        keep: int = KEPT,
    ) -> None:
        self._known = None if repositories is None else {name.lower() for name in repositories}
        self._listeners = (
            None
            if listeners is None
            else {name.lower(): tuple(found) for name, found in listeners.items()}
        )
        self._queued_for = queued_for
        self._running_for = running_for
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._run_numbers: dict[int, int] = {}
        self._last_run_id = 10_000_000_000  # real ones have eleven digits too
        self._keep = keep
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self.received: deque[ReceivedDispatch] = deque()
        self.runs: deque[Run] = deque(maxlen=keep)

    def exists(self, repository: str) -> bool:
        return self._known is None or repository.lower() in self._known

    def number(self, repository: str) -> int:
        """The number under which a repository is found whatever its name becomes."""
        number = self._numbers.setdefault(repository.lower(), len(self._numbers) + 1)
        self._names.setdefault(number, repository)
        return number

    def numbered(self, number: int) -> str | None:
        return self._names.get(number)

    def listeners(self, repository: str) -> Sequence[Listener]:
        if self._listeners is None:
            return (ANY_EVENT,)
        return self._listeners.get(repository.lower(), ())

    def receive(self, dispatch: ReceivedDispatch, size: int) -> None:
        """Acts on a dispatch, which came as ``size`` bytes: one run for each workflow that
        listens."""
        self._remember(dispatch, size)
        for listener in self.listeners(dispatch.repository):
            if not listener.hears(dispatch.event_type):
                continue
            self._last_run_id += 1
            workflow = workflow_id(dispatch.repository, listener)
            self._run_numbers[workflow] = self._run_numbers.get(workflow, 0) + 1
            run = Run(
                id=self._last_run_id,
                number=self._run_numbers[workflow],
                repository=dispatch.repository,
                listener=listener,
                display_title=listener.title(dispatch.event_type, dispatch.client_payload),
                created_at=dispatch.at,
                queued_for=self._queued_for,
                running_for=self._running_for,
            )
            self.runs.append(run)

    def _remember(self, dispatch: ReceivedDispatch, size: int) -> None:
        self.received.append(dispatch)
        self._sizes.append(size)
        self._bytes += size
        while len(self.received) > self._keep or self._bytes > KEPT_BYTES:
            self.received.popleft()
            self._bytes -= self._sizes.popleft()

    def runs_of(self, repository: str) -> list[Run]:
        """The runs of a repository, newest first."""
        name = repository.lower()
        return [run for run in reversed(self.runs) if run.repository.lower() == name]
