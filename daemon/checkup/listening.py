"""Whether somebody listens to what the entries send, and shows its id: each kind of dispatch that
the config can make, held against the workflows of its repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from daemon.checkup.finding import Finding, fail, ok, warn
from daemon.github import one_line
from daemon.github_workflows import READ_ACTIONS, WRITE_ACTIONS, WRITE_CONTENTS
from daemon.listeners import Listeners, Workflow
from daemon.render import METADATA_KEY
from daemon.spec import Config, CronSpec, DispatchSpec, TriggerSpec, every_dispatch

SHOWN = 3
"""How many names of a list are written out."""
SHOW_ID = "${{ github.event.client_payload.dispatchd.id }}"
SHOW_INPUT = "${{ inputs.dispatchd }}"


@dataclass(frozen=True, slots=True)
class Sent:
    """One kind of dispatch: an ``event_type``, or a ``workflow`` that is started by name with at
    least these ``inputs``, on ``refs``. ``entries`` send it; ``metadata`` says whether any of them
    has the id sent along, and ``awaited`` whether any expects a run of it, ``expected`` of which
    workflows."""

    repository: str
    event_type: str
    workflow: str
    inputs: frozenset[str]
    refs: frozenset[str]
    entries: tuple[str, ...]
    metadata: bool
    awaited: bool
    expected: frozenset[str]

    @property
    def name(self) -> str:
        return f"{self.repository}: {self.workflow or self.event_type}"

    @property
    def rights(self) -> frozenset[str]:
        """What the token must be allowed: to send it, and to find its run."""
        return frozenset({WRITE_ACTIONS if self.workflow else WRITE_CONTENTS, READ_ACTIONS})


def sent(config: Config) -> tuple[Sent, ...]:
    """All that the enabled entries can send, each once."""
    found: dict[tuple[str, str, str], Sent] = {}
    entries: list[CronSpec | TriggerSpec] = [*config.crons, *config.triggers]
    for entry in entries:
        for dispatch in every_dispatch(entry) if entry.enabled else ():
            for one in _each(entry.name, dispatch):
                key = (one.repository.lower(), one.event_type, one.workflow)
                found[key] = _merged(found[key], one) if key in found else one
    return tuple(found.values())


def heard(one: Sent, listeners: Listeners) -> Iterator[Finding]:
    """Whether a workflow listens to it, and whether each that does shows its id."""
    by = _names(one.entries)
    if not one.awaited:
        yield ok("listener", one.name, f"sent by {by}, who expects no run of it")
        return
    wanted = sorted(one.expected) or [""]
    if diagnosis := next(filter(None, (listeners.diagnosis(one, each) for each in wanted)), ""):
        text = f"sent by {by}, and nothing runs: {diagnosis}".rstrip(".")
        yield fail("listener", one.name, text)
        return
    hearing = listeners.hearing(one)
    files = _names(tuple(each.file for each in hearing))
    yield ok("listener", one.name, f"sent by {by}, heard by {files}")
    for workflow in hearing:
        if one.workflow:
            yield from _undeclared(one, workflow)
        if one.metadata:
            yield _shown(one, workflow)


def _shown(one: Sent, workflow: Workflow) -> Finding:
    subject = f"{one.repository}: {workflow.file}"
    if workflow.shows_id:
        return ok("run-name", subject, "its runs show the id of the dispatch that started them")
    title = one_line(workflow.run_name or workflow.name)
    line = f"run-name: {_quoted(f'{title} [{SHOW_INPUT if one.workflow else SHOW_ID}]')}"
    return warn(
        "run-name",
        subject,
        "its runs do not show the id of the dispatch, so that they can only be guessed to be its",
        f"write this line at the top of the file: {line}",
    )


def _undeclared(one: Sent, workflow: Workflow) -> Iterator[Finding]:
    missing = one.inputs - (workflow.inputs or frozenset())
    if missing:
        names = _names(tuple(sorted(missing)))
        text = f"{workflow.file} declares no input {names}, and GitHub answers 422 to what it does "
        text += "not know"
        remedy = "declare it under `on: workflow_dispatch: inputs:`"
        if METADATA_KEY in missing:
            remedy += f" ('{METADATA_KEY}' holds the id), or set `inject_metadata` to false"
        yield fail("inputs", one.name, text, remedy)


def _each(entry: str, dispatch: DispatchSpec) -> Iterator[Sent]:
    if not dispatch.repository:
        return
    root = dispatch.client_payload.root
    inputs = frozenset(root) if dispatch.workflow and isinstance(root, dict) else frozenset[str]()
    if dispatch.workflow and dispatch.inject_metadata:
        inputs |= {METADATA_KEY}
    literal = dispatch.event_type.literal
    types = sorted(dispatch.event_types) if literal is None else [literal]
    for event_type in types:
        yield Sent(
            repository=dispatch.repository,
            event_type=event_type,
            workflow=dispatch.workflow,
            inputs=inputs,
            refs=frozenset({dispatch.ref} - {""}),
            entries=(entry,),
            metadata=dispatch.inject_metadata,
            awaited=dispatch.expected is not None,
            expected=frozenset(
                {dispatch.expected.workflow} - {""} if dispatch.expected is not None else ()
            ),
        )


def _merged(one: Sent, other: Sent) -> Sent:
    return replace(
        one,
        entries=tuple(dict.fromkeys((*one.entries, *other.entries))),
        inputs=one.inputs | other.inputs,
        refs=one.refs | other.refs,
        metadata=one.metadata or other.metadata,
        awaited=one.awaited or other.awaited,
        expected=one.expected | other.expected,
    )


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _quoted(text: str) -> str:
    """As a YAML scalar that no character of it can break."""
    return "'" + text.replace("'", "''") + "'"
