"""Which workflows of a repository hear a dispatch, and where none does, why: as rules over what
GitHub told of its workflows and of their files on the default branch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from typing import Protocol

import orjson

from daemon.dispatch import Dispatch
from daemon.github import EVENT_TYPE_MAX, one_line
from daemon.run_names import Partial, evaluated
from daemon.workflow_file import WorkflowFile

ACTIVE = "active"

_DISABLED = {
    "disabled_manually": "somebody disabled it",
    "disabled_inactivity": "GitHub disabled it, since nothing happened in the repository for "
    "60 days",
    "disabled_fork": "the repository is a fork, where workflows are off until somebody allows them",
}
_PROBE = "dsp_0123456789abcdefghijklmnop"
_SHOWN = 5
"""How many names of a list are written out."""
NAME_MAX = 200


class Call(Protocol):
    """What is to be heard: a Dispatch, or one to come. ``workflow`` (a file's name or a number)
    and ``ref`` are empty but for a ``workflow_dispatch``, whose ``event_type`` is."""

    @property
    def event_type(self) -> str: ...
    @property
    def workflow(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow as GitHub lists it, and what its file on the default branch says.

    ``types`` are those of ``repository_dispatch`` that it listens to: None stands for all, and it
    is empty where it listens to none. ``inputs`` are those of ``workflow_dispatch``, None where it
    does not listen to that. ``shows_id`` says whether the title of each of its runs shows the id
    that a dispatch carries, whatever else is in the payload. ``fault`` is why nothing is known of
    the file, as what it is or has; then it hears nothing, unless it was ``skipped``: then the fault
    is ours, and it may. ``unlisted_name`` is the name in the file, where GitHub lists the workflow
    under its path instead, as it does with files that it cannot read.
    """

    id: int
    name: str
    path: str
    state: str
    types: frozenset[str] | None = frozenset()
    inputs: frozenset[str] | None = None
    run_name: str = ""
    shows_id: bool = False
    fault: str = ""
    skipped: bool = False
    unlisted_name: str = ""

    @property
    def file(self) -> str:
        """The file's name."""
        return self.path.rpartition("/")[2]

    @property
    def active(self) -> bool:
        return self.state == ACTIVE

    def listens(self, call: Call) -> bool:
        """Whether it hears this, if it is enabled."""
        if call.workflow:
            return self.inputs is not None and call.workflow in (self.file, str(self.id))
        return self.types is None or call.event_type in self.types

    def shows(self, dispatch: Dispatch) -> bool:
        """Whether the title of the run that this dispatch starts shows its id for certain."""
        return dispatch.id in _title(self.run_name, dispatch)


def read_as(id: int, name: str, path: str, state: str, file: WorkflowFile) -> Workflow:  # noqa: A002
    """A workflow of which GitHub tells this, and whose file says that."""
    types = file.types if "repository_dispatch" in file.events else frozenset[str]()
    inputs = frozenset(file.inputs) if "workflow_dispatch" in file.events else None
    if types is not None:
        types = frozenset(each for each in types if len(each) <= EVENT_TYPE_MAX)
    return Workflow(
        id=id,
        name=name,
        path=path,
        state=state,
        types=types,
        inputs=inputs,
        run_name=file.run_name,
        shows_id=_shows_id(file.run_name, types, inputs),
        unlisted_name=one_line(file.name, NAME_MAX) if file.name and name == path else "",
    )


@dataclass(frozen=True)
class Listeners:
    """The workflows of ``repository`` (``owner/name`` as it is called now) as they were ``at`` that
    time. ``astray`` are paths that GitHub lists and that are not on the default branch.
    ``locked`` is set where GitHub itself has shut the repository. ``actions`` says whether Actions
    are allowed there, None where the token may not know."""

    repository: str
    default_branch: str
    archived: bool
    locked: bool
    actions: bool | None
    workflows: tuple[Workflow, ...]
    astray: tuple[str, ...]
    at: datetime

    @property
    def silenced(self) -> str:
        """Why nothing runs in this repository at all, and how to mend it; empty where it may."""
        if self.archived:
            return (
                f"{self.repository} is archived, and nothing runs there: unarchive it (Settings, "
                "General, at the bottom), or disable the entry"
            )
        if self.locked:
            return (
                f"GitHub has disabled {self.repository}, and nothing runs there: its owner finds "
                "out why on the repository's page"
            )
        if self.actions is False:
            return (
                f"Actions are switched off in {self.repository}: allow them under Settings, "
                "Actions, General"
            )
        return ""

    def hearing(self, call: Call) -> tuple[Workflow, ...]:
        """Those that it starts: enabled, on the default branch, and listening to it."""
        if self.silenced:
            return ()
        return tuple(each for each in self.workflows if each.active and each.listens(call))

    def diagnosis(self, call: Call, expected: str = "") -> str:
        """Why no run comes of it, and how to mend that, in words for a person; empty where there
        is a listener, so that nothing is known against it. ``expected`` is the file name (or path,
        number or name) of the workflow that is to run, where one is named."""
        if self.silenced:
            return self.silenced
        hearing = self.hearing(call)
        if not hearing:
            return self._unheard(call)
        if expected and not any(_is(each, expected) for each in hearing):
            return self._unexpected(call, expected, hearing)
        if all(each.unlisted_name for each in hearing):
            return self._doubtful(hearing)
        return ""

    def _unheard(self, call: Call) -> str:
        disabled = [each for each in self.workflows if each.listens(call)]
        if disabled:
            return " ".join(self._disabled(each) for each in disabled[:_SHOWN])
        return self._unstartable(call) if call.workflow else self._unlistened(call)

    def _disabled(self, found: Workflow) -> str:
        why = _DISABLED.get(found.state, f"GitHub calls its state {one_line(found.state, 40)!r}")
        return (
            f"{found.file} listens, but is disabled ({why}): enable it on its page under Actions, "
            f"or with `gh workflow enable {found.file} --repo {self.repository}`."
        )

    def _unlistened(self, call: Call) -> str:
        wanted = call.event_type
        said = [
            f"No workflow on the default branch ({self.default_branch}) of {self.repository} "
            f"listens to repository_dispatch of type {wanted!r}."
        ]
        near = self._near(wanted)
        listened = self._listened
        if near:
            theirs = " or ".join(f"{each!r} ({file})" for each, file in near)
            case = any(each.lower() == wanted.lower() for each, _ in near)
            minds = " Upper and lower case count." if case else ""
            said.append(f"Did you mean {theirs}?{minds}")
        elif listened:
            said.append(f"Listened to are: {_list(map(repr, sorted(listened)))}.")
        said.extend(self._unread())
        said.append(
            f"Write `on: {{repository_dispatch: {{types: [{wanted}]}}}}` into a workflow there, "
            "or mend the entry's `event_type`."
        )
        return " ".join(said)

    def _unstartable(self, call: Call) -> str:
        named = [each for each in self.workflows if call.workflow in (each.file, str(each.id))]
        if named and not named[0].fault:
            return (
                f"{named[0].file} in {self.repository} does not listen to workflow_dispatch: add "
                f"`workflow_dispatch:` under its `on:`, on the default branch "
                f"({self.default_branch})."
            )
        files = [each.file for each in self.workflows if each.inputs is not None]
        near = get_close_matches(call.workflow, files, 1)
        meant = f" Did you mean {near[0]}?" if near and not named else ""
        there = f" Startable are: {_list(sorted(files))}." if files and not near else ""
        said = [
            f"There is no workflow {call.workflow!r} on the default branch "
            f"({self.default_branch}) of {self.repository} that can be started.{meant}{there}"
        ]
        return " ".join([*said, *self._unread()])

    def _unexpected(self, call: Call, expected: str, hearing: Iterable[Workflow]) -> str:
        those = _list(each.file for each in hearing)
        found = [each for each in self.workflows if _is(each, expected)]
        if not found:
            why = "there is no such workflow on the default branch"
        elif found[0].fault:
            why = f"it {found[0].fault}"
        elif found[0].listens(call):
            return self._disabled(found[0])
        else:
            why = "it does not"
        return (
            f"The workflow that is expected (`expect_run.workflow`), {expected!r}, does not listen "
            f"to this in {self.repository}: {why}. What listens is: {those}."
        )

    def _doubtful(self, hearing: Iterable[Workflow]) -> str:
        those = _list(f"{each.file} (named {each.unlisted_name!r})" for each in hearing)
        return (
            f"What listens in {self.repository} is {those}, which GitHub lists under its path and "
            "not under its name, as it does with a file that it cannot read: look on its page "
            "under Actions for 'Invalid workflow file'."
        )

    def _unread(self) -> list[str]:
        """What may have been meant to listen, and cannot."""
        told = [
            (f"{each.file} {each.fault}", each.skipped) for each in self.workflows if each.fault
        ]
        faulty = [text for text, skipped in told if not skipped]
        unknown = [text for text, skipped in told if skipped]
        said = [f"GitHub cannot take these files: {_list(faulty)}."] if faulty else []
        if unknown:
            said.append(f"Nothing is known of these files: {_list(unknown)}.")
        if self.astray:
            files = (path.rpartition("/")[2] for path in self.astray)
            said.append(
                f"Not on the default branch, where alone GitHub looks: {_list(files)}; merge them."
            )
        return said

    @cached_property
    def _listened(self) -> frozenset[str]:
        return frozenset().union(*(each.types or () for each in self.workflows))

    def _near(self, wanted: str) -> list[tuple[str, str]]:
        """Types much like the wanted one, each with a file that listens to it."""
        plain: dict[str, str] = {}
        for each in sorted(self._listened):
            plain.setdefault(_plain(each), each)
        near = [plain[each] for each in get_close_matches(_plain(wanted), plain, 3, 0.75)]
        return [(each, self._file_for(each)) for each in near]

    def _file_for(self, event_type: str) -> str:
        return next(each.file for each in self.workflows if event_type in (each.types or ()))


def _plain(event_type: str) -> str:
    """Without what is mixed up most: case, and the signs between words."""
    return "".join(character for character in event_type.lower() if character.isalnum())


def _is(found: Workflow, expected: str) -> bool:
    return expected in (found.file, found.path, str(found.id), found.name)


def _list(names: Iterable[str]) -> str:
    names = [one_line(name) for name in names]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _shows_id(run_name: str, types: frozenset[str] | None, inputs: frozenset[str] | None) -> bool:
    """Whether it does for each of the ways in which the workflow is started."""
    ways = []
    if types is None or types:
        event_type = min(types) if types else "event"
        ways.append(_evaluated(run_name, event_type, {"dispatchd": {"id": _PROBE}}, by_hand=False))
    if inputs is not None and ("dispatchd" in inputs or not ways):
        ways.append(_evaluated(run_name, "", {"dispatchd": _PROBE}, by_hand=True))
    return bool(ways) and all(_PROBE in title for title in ways)


def _title(run_name: str, dispatch: Dispatch) -> str:
    try:
        payload = orjson.loads(dispatch.client_payload)
    except orjson.JSONDecodeError:
        return ""  # that of a dispatch that could not be made is empty
    return _evaluated(run_name, dispatch.event_type, payload, by_hand=bool(dispatch.workflow))


def _evaluated(run_name: str, event_type: str, payload: object, *, by_hand: bool) -> str:
    """The title, as far as it follows from the dispatch alone."""
    github: dict[str, object] = {}
    inputs: object = {}
    if by_hand:
        inputs = payload
        github = {"event_name": "workflow_dispatch", "event": Partial({"inputs": payload})}
    else:
        event = Partial({"action": event_type, "client_payload": payload, "inputs": None})
        github = {"event_name": "repository_dispatch", "event": event}
    return evaluated(run_name, {"github": Partial(github), "inputs": inputs})
