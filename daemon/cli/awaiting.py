"""What ``dispatch --wait`` waits for, as rules over what the daemon tells: what has come, what is
still to come, and when it is clear that it will not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from daemon.binding import SETTLED
from daemon.dispatch import State
from daemon.durations import duration
from daemon.errors import UsageError
from daemon.github import PAYLOAD_KEYS_MAX
from daemon.github_branches import branch_fault
from daemon.ids import LENGTH
from daemon.run import COMPLETED, FOUND, Match

UNHEARD_AFTER = SETTLED.total_seconds()
"""Seconds after GitHub's 204 in which a run may still show, whatever speaks against it."""

PUSHED_AFTER = 5.0
"""Seconds after the end of a run in which its branch may still show."""

HARMLESS = frozenset({"success", "skipped", "neutral"})
"""Conclusions that may stand beside a success: a workflow that listens may find nothing to do."""

_ANY_ID = f"dsp_{'0' * LENGTH}"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")

Answer = Mapping[str, Any]


class Stage(StrEnum):
    """What a dispatch goes through that all is well with, in this order but for the branch."""

    ACCEPTED = "accepted"
    RUN = "run"
    BRANCH = "branch"
    CONCLUSION = "conclusion"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be sent, and how long what comes of it is waited for. ``branch`` is a template, or
    empty."""

    event_type: str
    client_payload: Mapping[str, Any]
    repository: str | None
    branch: str
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class Branch:
    """The branch that is expected, as it was looked for last. ``trouble`` is why that could not be
    done."""

    name: str
    sha: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Which stages have come; what is waited for now, in words (empty: nothing more); and why it
    is clear that something will not come (empty: it may)."""

    came: frozenset[Stage]
    waits_for: str = ""
    failure: str = ""


def branch_named(template: str, payload: Mapping[str, Any], dispatch_id: str) -> str:
    """The name with each ``{key}`` replaced by that key of the payload, and ``{dispatch_id}`` by
    the id. Raises UsageError."""
    values = {**payload, "dispatch_id": dispatch_id}

    def value(found: re.Match[str]) -> str:
        key = found[1]
        if key not in values:
            known = ", ".join(f"{{{each}}}" for each in values)
            raise UsageError(f"--expect-branch: the payload has no key {key!r}; there are: {known}")
        if isinstance(values[key], bool) or not isinstance(values[key], str | int | float):
            raise UsageError(f"--expect-branch: {key!r} in the payload is neither text nor number")
        return str(values[key])

    if set("{}") & set(_PLACEHOLDER.sub("", template)):
        raise UsageError(f"--expect-branch {template!r}: write keys of the payload as {{key}}")
    name = _PLACEHOLDER.sub(value, template)
    if fault := branch_fault(name):
        raise UsageError(f"--expect-branch: {name!r} {fault}")
    return name


def wanted(
    event_type: str, payload: object, repository: str | None, branch: str | None, timeout: str
) -> Wanted:
    """What the options say, before anything is sent. Raises UsageError for a payload without room
    for the id that the run is found by, for a branch that cannot be named, whatever the dispatch's
    id, and for a timeout that is no duration."""
    if not isinstance(payload, dict):
        raise UsageError("--payload is not a JSON object")
    if len(payload) >= PAYLOAD_KEYS_MAX:
        raise UsageError(
            f"--wait finds the run by the id in the payload: leave room for its key, one of the "
            f"{PAYLOAD_KEYS_MAX} that GitHub allows"
        )
    if branch is not None:
        branch_named(branch, payload, _ANY_ID)
    try:
        span = duration(timeout)
    except ValueError as error:
        raise UsageError(f"--timeout: {error}") from None
    return Wanted(event_type, payload, repository, branch or "", span)


def standing(
    dispatch: Answer, branch: Branch | None, *, accepted_for: float, looked_after: float
) -> Standing:
    """How things stand. ``branch`` is None where none is expected, and without a ``sha`` until it
    is there. ``accepted_for`` are the seconds since GitHub took the dispatch, ``looked_after``
    those from the end of its runs to the last look for the branch, both as they were seen."""
    state, runs = dispatch["state"], dispatch["runs"]
    if state != State.ACCEPTED:
        return _unsent(dispatch)
    came = {Stage.ACCEPTED}
    ended = bool(runs) and all(run["status"] == COMPLETED for run in runs)
    if dispatch["match"] in FOUND:
        came |= {Stage.RUN, *([Stage.CONCLUSION] if ended else [])}
    if branch and branch.sha:
        came.add(Stage.BRANCH)
    seen = frozenset(came)
    if Stage.RUN not in seen:
        return Standing(seen, "a run", _no_run(dispatch, accepted_for))
    lacks_branch = branch is not None and not branch.sha
    if not ended:
        who = "the run" if len(runs) == 1 else f"all {len(runs)} runs"
        how = dispatch["run_outcome"] or "under way"
        more = f", and for the branch {branch.name}" if branch and lacks_branch else ""
        return Standing(seen, f"{who} to end ({how}){more}")
    if failure := _unsuccessful(runs):
        return Standing(seen, "", failure)
    if branch is None or not lacks_branch:
        return Standing(seen)
    words = f"the branch {branch.name}"
    if looked_after < PUSHED_AFTER:
        return Standing(seen, words)
    why = f"cannot be looked for: {branch.trouble}" if branch.trouble else "is not there"
    return Standing(seen, words, f"the run succeeded, but {words} {why}")


def run_words(run: Answer) -> str:
    """A run for a reader: where it is to be found, or what it is called."""
    return str(run["url"] or run["title"] or run["id"])


def _unsent(dispatch: Answer) -> Standing:
    state, reason = dispatch["state"], dispatch["reason"]
    why = f": {reason}" if reason else ""
    if state == State.HELD:
        hint = f"`dispatchd release {dispatch['id']}` sends it"
        return Standing(frozenset(), "GitHub's 204", f"it is held{why}; {hint}")
    if state in [each for each in State if each.final]:
        return Standing(frozenset(), "GitHub's 204", f"it is {state}{why}")
    return Standing(frozenset(), f"GitHub's 204 ({state}{why})")


def _no_run(dispatch: Answer, accepted_for: float) -> str:
    """Why no run is to be expected, if that is so."""
    match, diagnosis = dispatch["match"], dispatch["diagnosis"]
    if match == Match.UNTRACKED:
        return f"its run is not looked for: {diagnosis or 'the payload carries no id'}"
    if match in (Match.MISSING, Match.AMBIGUOUS):
        return f"its run is {match}: {diagnosis}"
    if diagnosis and accepted_for >= UNHEARD_AFTER:
        return f"no run: {diagnosis}"
    return ""


def _unsuccessful(runs: Sequence[Answer]) -> str:
    bad = [run for run in runs if run["conclusion"] not in HARMLESS]
    if not bad and not any(run["conclusion"] == "success" for run in runs):
        bad = list(runs)
    return "; ".join(f"{run_words(run)} ended as {run['conclusion']}" for run in bad)
