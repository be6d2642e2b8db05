"""Workflow files on a default branch, as far as GitHub reads them to know which events start them,
with what inputs, and how their runs are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha1

import yaml

DIRECTORY = ".github/workflows"


class WorkflowState(StrEnum):
    """What GitHub calls the states of a workflow. Only an active one runs."""

    ACTIVE = "active"
    DELETED = "deleted"  # its file is gone
    DISABLED_FORK = "disabled_fork"
    DISABLED_INACTIVITY = "disabled_inactivity"  # a schedule in a repository idle for 60 days
    DISABLED_MANUALLY = "disabled_manually"


@dataclass(frozen=True, slots=True)
class Input:
    """One of the inputs of ``workflow_dispatch``; ``options`` are those of a ``choice``."""

    type: str = "string"
    required: bool = False
    default: str = ""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """What a file says. ``events`` names what starts it; ``types`` None stands for every type of
    ``repository_dispatch``."""

    name: str
    run_name: str
    events: frozenset[str]
    types: frozenset[str] | None
    inputs: Mapping[str, Input]


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow of a repository. ``definition`` is None where GitHub could not read the file: it
    is listed under its path then, and nothing starts it."""

    id: int
    file: str
    text: str = field(repr=False)
    definition: Definition | None
    state: WorkflowState
    created_at: datetime
    updated_at: datetime

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
        if self.definition is None or not self.active:
            return False
        types = self.definition.types
        return self.starts_on("repository_dispatch") and (types is None or event_type in types)


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


def read(text: str) -> Definition | None:
    """What a workflow file says; None where GitHub would call it invalid."""
    try:
        # All scalars as text, so that the key `on` stays one and is not "true".
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  # it makes texts only
    except (yaml.YAMLError, RecursionError):
        return None
    if not isinstance(document, dict) or not isinstance(document.get("jobs"), dict):
        return None
    on = _events(document.get("on"))
    if not on or not document["jobs"]:
        return None
    name, run_name = document.get("name", ""), document.get("run-name", "")
    if not isinstance(name, str) or not isinstance(run_name, str):
        return None
    return Definition(
        name=name,
        run_name=run_name,
        events=frozenset(on),
        types=_types(on.get("repository_dispatch")),
        inputs=_inputs(on.get("workflow_dispatch")),
    )


def _events(on: object) -> Mapping[str, object]:
    match on:
        case str() if on:
            return {on: {}}
        case list():
            return {event: {} for event in on if isinstance(event, str)}
        case dict():
            return on
    return {}


def _types(listening: object) -> frozenset[str] | None:
    types = listening.get("types") if isinstance(listening, dict) else None
    if isinstance(types, str) and types:
        return frozenset({types})
    return frozenset(map(str, types)) if isinstance(types, list) else None


def _inputs(listening: object) -> Mapping[str, Input]:
    inputs = listening.get("inputs") if isinstance(listening, dict) else None
    if not isinstance(inputs, dict):
        return {}
    return {
        name: Input(
            type=str(about.get("type") or "string"),
            required=about.get("required") == "true",
            default=str(about.get("default") or ""),
            options=tuple(map(str, about.get("options") or ())),
        )
        for name, each in inputs.items()
        for about in [each if isinstance(each, dict) else {}]
    }
