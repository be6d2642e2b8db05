"""The workflow that an entry starts by its file's name: a file for `.github/workflows` that
declares the inputs, reads them safely, and shows the dispatch's id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daemon.errors import UsageError
from daemon.spec import DispatchSpec
from daemon.starter.payload_fields import variables
from daemon.starter.scalars import scalar
from daemon.starter.workflow import double_quoted, show_variables

PREFIX = "INPUT_"


def started(
    entry: str, dispatches: Sequence[DispatchSpec], chosen: str | None
) -> Sequence[DispatchSpec]:
    """The dispatches that start one workflow by name: the one whose file is ``chosen``, or the
    only one; empty where the entry sends events, or ``chosen`` is one of these.

    Raises UsageError where nothing says which of several is meant.
    """
    by_name = [each for each in dispatches if each.workflow]
    if chosen is not None:
        by_name = [each for each in by_name if each.workflow == chosen]
    files = dict.fromkeys((each.repository, each.workflow) for each in by_name)
    mixed = chosen is None and by_name and len(by_name) < len(dispatches)
    if len(files) > 1 or mixed:
        where = ", ".join(f"{file} in {repository}" for repository, file in files)
        others = " and sends events" if mixed else ""
        raise UsageError(f"{entry} starts {where}{others}: choose one with --event-type")
    return by_name


def workflow_by_name(kind: str, entry: str, dispatches: Sequence[DispatchSpec]) -> str:
    """The text of the file. ``kind`` is what the entry is called, ``trigger`` or ``cron``."""
    names = _inputs(dispatches)
    identified = any(each.inject_metadata for each in dispatches)
    shown = [*(["dispatchd"] if identified else []), *names]
    read = {"DISPATCH_ID": "dispatchd"} if identified else {}
    read |= {variable: name for name, variable in variables(names, PREFIX).items()}
    lines = [
        *_head(kind, entry, dispatches, identified=identified),
        *_declared(shown),
        *_rest(entry, identified=identified),
        *_job(entry, read),
    ]
    return "\n".join([*lines, ""])


def _inputs(dispatches: Sequence[DispatchSpec]) -> list[str]:
    roots = (each.client_payload.root for each in dispatches)
    return list(dict.fromkeys(name for root in roots if isinstance(root, dict) for name in root))


def _head(
    kind: str, entry: str, dispatches: Sequence[DispatchSpec], *, identified: bool
) -> Iterator[str]:
    first = dispatches[0]
    refs = " and ".join(dict.fromkeys(each.ref for each in dispatches))
    file = first.workflow if not first.workflow.isdecimal() else f"{entry}.yml"
    yield f"# dispatchd's {kind} {entry} starts this in {first.repository or 'OWNER/REPOSITORY'}."
    yield f"# Save it there as .github/workflows/{file}, on the default branch and on {refs}, from"
    yield "# which it is read when it is started."
    yield f"name: {scalar(entry)}"
    if identified:
        yield "# By this id dispatchd tells which run a dispatch has started."
        yield f"run-name: {double_quoted(entry + ' ${{ inputs.dispatchd || github.run_id }}')}"
    else:
        yield "# The entry has `inject_metadata: false`, so there is no dispatch id to show."
        yield f"run-name: {double_quoted(entry + ' ${{ github.run_id }}')}"
    yield ""


def _declared(names: Sequence[str]) -> Iterator[str]:
    yield "on:"
    if not names:
        yield "  workflow_dispatch:"
        yield ""
        return
    yield "  workflow_dispatch:"
    yield "    # GitHub refuses a dispatch with an input that is not declared here."
    yield "    inputs:"
    for name in names:
        yield f"      {scalar(name)}:"
        if name == "dispatchd":
            yield "        description: The id of the dispatch, left empty by hand"
        yield "        type: string"
        yield '        default: ""'
    yield ""


def _rest(entry: str, *, identified: bool) -> Iterator[str]:
    yield "# The job's token may do nothing. What your steps need goes under `permissions` of the"
    yield "# job, as `contents: read` for actions/checkout, with a comment that says why."
    yield "permissions: {}"
    yield ""
    if identified:
        yield "# A dispatch may be sent twice, and then runs twice: here one after the other."
        group = entry + "-${{ inputs.dispatchd || github.run_id }}"
    else:
        yield "# Runs do not wait for each other. To have one at a time, leave the run's id out."
        group = entry + "-${{ github.run_id }}"
    yield "concurrency:"
    yield f"  group: {double_quoted(group)}"
    yield "  cancel-in-progress: false"
    yield ""


def _job(entry: str, read: dict[str, str]) -> Iterator[str]:
    yield "jobs:"
    yield "  handle:"
    yield f"    name: {double_quoted(f'Handle {entry}')}"
    yield "    runs-on: ubuntu-latest"
    yield "    timeout-minutes: 10"
    yield "    # The inputs come from outside. Steps read them from these variables: an expression"
    yield "    # inside of `run` is pasted into the script, where an input could add commands."
    yield "    env:"
    yield "      RUN_OF: ${{ github.workflow }}"
    yield from (f"      {variable}: ${{{{ inputs.{name} }}}}" for variable, name in read.items())
    yield from show_variables(["RUN_OF", *read])
