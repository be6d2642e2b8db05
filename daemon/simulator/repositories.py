"""Repositories of the stand-in: names, branches and workflow files; and the dispatches that they
received."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha1

from daemon.simulator.runs import timestamp
from daemon.simulator.workflows import Listener, Workflow, WorkflowState, read, workflow_id

# https://docs.github.com/en/actions/reference/limits
WINDOW = timedelta(seconds=10)
EVENTS_MAX = 1500
"""Events of a repository in ten seconds that start anything."""
QUEUED_MAX = 500
"""Runs of a repository in ten seconds that are queued; those beyond are dropped."""


@dataclass(frozen=True, slots=True)
class ReceivedDispatch:
    """One dispatch that was taken: what GitHub would act on. Of a ``workflow_dispatch``,
    ``workflow`` and ``ref`` say what it starts, and ``client_payload`` holds the inputs."""

    at: datetime
    repository: str
    event_type: str
    client_payload: dict[str, object] = field(repr=False)
    request_id: str
    workflow: str = ""
    ref: str = ""

    def as_json(self) -> dict[str, object]:
        received: dict[str, object] = {"at": timestamp(self.at), "repository": self.repository}
        if self.workflow:
            received |= {"workflow": self.workflow, "ref": self.ref, "inputs": self.client_payload}
        else:
            received |= {"event_type": self.event_type, "client_payload": self.client_payload}
        return {**received, "request_id": self.request_id}


class Recent:
    """How often something happened within ``WINDOW``, up to ``most`` times."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._at: deque[datetime] = deque()

    def admits(self, now: datetime) -> bool:
        """Counts one more; False where that is too many, which does not count."""
        while self._at and self._at[0] <= now - WINDOW:
            self._at.popleft()
        if len(self._at) >= self._most:
            return False
        self._at.append(now)
        return True


class Repository:
    """One repository. ``number`` finds it whatever its name becomes."""

    def __init__(
        self, full_name: str, number: int, created_at: datetime, listeners: Iterable[Listener]
    ) -> None:
        self.full_name = full_name
        self.number = number
        self.created_at = created_at
        self.default_branch = "main"
        self.archived = False
        self.actions_enabled = True
        self.events = Recent(EVENTS_MAX)
        self.queued = Recent(QUEUED_MAX)
        self._workflows: dict[str, Workflow] = {}
        self._branches: set[str] = set()
        self._tags: set[str] = set()
        for listener in listeners:
            self.put(listener.workflow, listener.text, created_at, state=listener.state)

    @property
    def owner(self) -> str:
        return self.full_name.partition("/")[0]

    @property
    def name(self) -> str:
        return self.full_name.partition("/")[2]

    @property
    def branches(self) -> list[str]:
        """Those that somebody made, the default branch first."""
        return [self.default_branch, *sorted(self._branches - {self.default_branch})]

    def add_branch(self, name: str) -> None:
        self._branches.add(name)

    def remove_branch(self, name: str) -> None:
        self._branches.discard(name)

    @property
    def workflows(self) -> list[Workflow]:
        """All that GitHub lists. One whose file is gone is not listed any more."""
        found = self._workflows.values()
        return [each for each in found if each.state is not WorkflowState.DELETED]

    @property
    def files(self) -> list[Workflow]:
        """Those whose file is on the default branch."""
        return [each for each in self.workflows if not each.branch]

    def workflow(self, key: str) -> Workflow | None:
        """By its number or its file's name."""
        named = (each for each in self.workflows if key in (each.file, str(each.id)))
        return next(named, None)

    def put(
        self,
        file: str,
        text: str,
        now: datetime,
        state: WorkflowState | None = None,
        branch: str = "",
    ) -> Workflow:
        """Commits a workflow file to the default branch, or to ``branch`` alone. What was disabled
        stays so."""
        elsewhere = branch if branch != self.default_branch else ""
        if elsewhere:
            self.add_branch(elsewhere)
        before = self._workflows.get(file)
        known = before is not None and before.state is not WorkflowState.DELETED
        workflow = Workflow(
            id=workflow_id(self.full_name, file) if before is None else before.id,
            file=file,
            text=text,
            definition=read(text),
            state=state or (before.state if before and known else WorkflowState.ACTIVE),
            created_at=before.created_at if before else now,
            updated_at=now,
            branch=elsewhere,
        )
        self._workflows[file] = workflow
        return workflow

    def turn(self, workflow: Workflow, state: WorkflowState, now: datetime) -> Workflow:
        """Enables or disables a workflow, or removes its file."""
        turned = replace(workflow, state=state, updated_at=now)
        self._workflows[workflow.file] = turned
        return turned

    def commit(self, branch: str) -> str:
        """The hash of what a branch points to: another one for each branch and each edit."""
        texts = "".join(f"{each.path}\0{each.text}\0" for each in self.workflows)
        content = f"{self.number}/{branch}\0{texts}"
        return sha1(content.encode(), usedforsecurity=False).hexdigest()
