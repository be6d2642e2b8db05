"""The stand-in's workflows: files on a default branch, and the states that GitHub gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha1

import yaml

from daemon import workflow_file
from daemon.workflow_file import DIRECTORY, WorkflowFault, WorkflowFile


class WorkflowState(StrEnum):
    """What GitHub calls the states of a workflow. Only an active one runs."""

    ACTIVE = "active"
    DELETED = "deleted"  # its file is gone
    DISABLED_FORK = "disabled_fork"
    DISABLED_INACTIVITY = "disabled_inactivity"  # a schedule in a repository idle for 60 days
    DISABLED_MANUALLY = "disabled_manually"


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow of a repository. ``definition`` is None where GitHub could not read the file: it
    is listed under its path then, and nothing starts it. ``branch`` is the one that has the file,
    where the default branch has not: it is listed all the same."""

    id: int
    file: str
    text: str = field(repr=False)
    definition: WorkflowFile | None
    state: WorkflowState
    created_at: datetime
    updated_at: datetime
    branch: str = ""

    @property
    def path(self) -> str:
        return f"{DIRECTORY}/{self.file}"

    @property
    def name(self) -> str:
        return (self.definition and self.definition.name) or self.path

    @property
    def active(self) -> bool:
        return self.state is WorkflowState.ACTIVE

    def starts_on(self, event: str) -> bool:
        return self.definition is not None and event in self.definition.events

    def hears(self, event_type: str) -> bool:
        """Whether a ``repository_dispatch`` of this type starts a run."""
        if self.definition is None or not self.active or self.branch:
            return False
        return self.definition.hears(event_type)


@dataclass(frozen=True, slots=True)
class Listener:
    """A workflow file in short: one that listens to ``repository_dispatch``.

    ``workflow`` is the file's name. ``event_types`` None means every one, as where a workflow
    names no types. ``run_name`` is as in a workflow; without it a run is titled with the event
    type, as on GitHub.
    """

    workflow: str
    name: str
    event_types: frozenset[str] | None = None
    run_name: str = ""
    enabled: bool = True

    @property
    def state(self) -> WorkflowState:
        return WorkflowState.ACTIVE if self.enabled else WorkflowState.DISABLED_MANUALLY

    @property
    def text(self) -> str:
        """The file."""
        types = {} if self.event_types is None else {"types": sorted(self.event_types)}
        return written(self.name, self.run_name, {"repository_dispatch": types})


ANY_EVENT = Listener(
    workflow="dispatched.yml",
    name="Dispatched",
    run_name="Build [${{ github.event.client_payload.dispatchd.id }}]",
)
"""The workflow of ``--simulate``: it listens to every event type and shows the dispatch's id."""


def written(name: str, run_name: str, on: Mapping[str, object]) -> str:
    """The text of a workflow that does nothing when it is started."""
    job = {"runs-on": "ubuntu-latest", "steps": [{"run": "echo started"}]}
    document = {"name": name, "run-name": run_name, "on": dict(on), "jobs": {"build": job}}
    if not run_name:
        del document["run-name"]
    return yaml.safe_dump(document, sort_keys=False)


def workflow_id(repository: str, file: str) -> int:
    """A workflow's number: the same for the same file in every simulation."""
    name = f"{repository.lower()}/{file}"
    return int(sha1(name.encode(), usedforsecurity=False).hexdigest()[:7], 16)


def read(text: str) -> WorkflowFile | None:
    """What a workflow file says; None where GitHub would call it invalid."""
    try:
        return workflow_file.read(text)
    except WorkflowFault:
        return None
