"""The workflow that listens to what an entry sends: a file for `.github/workflows` that reads the
payload safely and shows the dispatch's id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daemon.errors import UsageError
from daemon.spec import DispatchSpec
from daemon.starter.payload_fields import Field, event_types, fields
from daemon.starter.scalars import scalar

ID = "github.event.client_payload.dispatchd.id"


@dataclass(frozen=True, slots=True)
class Listened:
    """What one workflow listens to: ``types`` in order, and the dispatches that send them."""

    types: tuple[str, ...]
    dispatches: tuple[DispatchSpec, ...]

    @property
    def repositories(self) -> list[str]:
        return sorted({each.repository or "OWNER/REPOSITORY" for each in self.dispatches})


def listened(
    entry: str, dispatches: Sequence[DispatchSpec], event_type: str | None = None
) -> Listened:
    """What a workflow for ``entry`` listens to: the event types of all its dispatches, or one.

    Raises UsageError where no dispatch sends that one, and where the dispatches go to different
    repositories, since a workflow lives in one.
    """
    if event_type is not None:
        sending = tuple(each for each in dispatches if event_type in event_types(each))
        if not sending:
            known = ", ".join(sorted(frozenset().union(*map(event_types, dispatches)))) or "nothing"
            raise UsageError(f"{entry} does not send {event_type!r}; it sends: {known}")
        return Listened((event_type,), sending)
    types = dict.fromkeys(one for each in dispatches for one in sorted(event_types(each)))
    found = Listened(tuple(types), tuple(dispatches))
    if len(found.repositories) > 1:
        where = "; ".join(
            f"{', '.join(sorted(event_types(each)))} to {each.repository}" for each in dispatches
        )
        raise UsageError(
            f"{entry} dispatches to several repositories ({where}): choose one with --event-type"
        )
    return found


def workflow(kind: str, entry: str, heard: Listened) -> str:
    """The text of the file. ``kind`` is what the entry is called, ``trigger`` or ``cron``."""
    return "\n".join([*_head(kind, entry, heard), *_job(entry, heard), ""])


def _head(kind: str, entry: str, heard: Listened) -> Iterator[str]:
    repositories = " and ".join(heard.repositories)
    yield f"# Listens to what dispatchd's {kind} {entry} sends to {repositories}."
    yield f"# Save it there as .github/workflows/{entry}.yml, on the default branch: GitHub starts"
    yield "# workflows for repository_dispatch from no other branch."
    yield f"name: {scalar(entry)}"
    if _identified(heard) == "no":
        yield "# The entry has `inject_metadata: false`, so there is no dispatch id to show."
        shown = f"{entry}: ${{{{ github.event.action }}}}"
    else:
        if _identified(heard) == "some":
            yield "# Some dispatches have `inject_metadata: false`, and so no id to show."
        else:
            yield "# By this id dispatchd tells which run a dispatch has started."
        shown = f"{entry} ${{{{ {ID} }}}}"
    yield f"run-name: {double_quoted(shown)}"
    yield ""
    yield "on:"
    yield "  repository_dispatch:"
    yield "    types:"
    yield from (f"      - {scalar(one)}" for one in heard.types)
    yield ""
    yield "# The job's token may do nothing. What your steps need goes under `permissions` of the"
    yield "# job, as `contents: read` for actions/checkout, with a comment that says why."
    yield "permissions: {}"
    yield ""
    if _identified(heard) != "no":
        yield "# A dispatch may be sent twice, and then runs twice: here one after the other. To"
        yield "# have one run at a time of all dispatches, leave the id out; but then GitHub keeps"
        yield "# only the newest of those that wait, and cancels the others."
        group = f"{entry}-${{{{ {ID} || github.run_id }}}}"
    else:
        yield "# Runs do not wait for each other. To have one at a time, leave the run's id out;"
        yield "# but then GitHub keeps only the newest of those that wait, and cancels the others."
        group = f"{entry}-${{{{ github.run_id }}}}"
    yield "concurrency:"
    yield f"  group: {double_quoted(group)}"
    yield "  cancel-in-progress: false"
    yield ""


def _job(entry: str, heard: Listened) -> Iterator[str]:
    payload = fields(heard.dispatches)
    yield "jobs:"
    yield "  handle:"
    yield f"    name: {double_quoted(f'Handle {entry}')}"
    yield "    runs-on: ubuntu-latest"
    yield "    timeout-minutes: 10"
    yield "    # The payload comes from outside. Steps read it from these variables: an expression"
    yield "    # inside of `run` is pasted into the script, where a payload could add commands."
    yield "    env:"
    yield (
        f"      DISPATCH_ID: ${{{{ {ID} }}}}"
        if _identified(heard) != "no"
        else ("      EVENT_TYPE: ${{ github.event.action }}")
    )
    for each in payload:
        yield from (f"      # {note}" for note in _notes(each, heard))
        yield f"      {each.variable}: {_value(each.expression)}"
    if not payload:
        yield "      # The entry sends no `client_payload` of its own."
    first = "DISPATCH_ID" if _identified(heard) != "no" else "EVENT_TYPE"
    yield from show_variables([first, *(each.variable for each in payload)])


def show_variables(names: Sequence[str]) -> Iterator[str]:
    """The steps of a job that prints its environment variables ``names``, safely."""
    yield "    steps:"
    yield "      - name: Show what came"
    yield "        run: |"
    yield "          # Until the token comes again, no line of the log is taken for a command."
    yield "          token=$(openssl rand -hex 16)"
    yield '          echo "::stop-commands::$token"'
    yield "          printf '%s: %s\\n' \\"
    for name in names[:-1]:
        yield f'            {name} "${name}" \\'
    yield f'            {names[-1]} "${names[-1]}"'
    yield '          echo "::$token::"'


def _notes(field: Field, heard: Listened) -> Iterator[str]:
    """What a reader of the file should know of one field."""
    if field.event_types != frozenset(heard.types):
        listed = ", ".join(scalar(one) for one in sorted(field.event_types))
        yield f"Empty but for {listed}: the payload of other events lacks this key."
    if field.nested:
        yield "An object or an array, as JSON."
    if field.alike:
        listed = ", ".join(scalar(one) for one in (field.key, *field.alike))
        yield f"GitHub's expressions do not tell these keys apart: {listed}."


def _identified(heard: Listened) -> str:
    """Whether ``all`` dispatches carry their id, ``some`` or ``no`` one."""
    carried = {each.inject_metadata for each in heard.dispatches}
    return "all" if carried == {True} else "some" if True in carried else "no"


def _value(expression: str) -> str:
    text = f"${{{{ {expression} }}}}"
    # Plain where nothing in it could end the value, or begin a comment.
    plain = all((one.isalnum() and one.isascii()) or one in "._-()" for one in expression)
    return text if plain else double_quoted(text)


def double_quoted(text: str) -> str:
    quoted = scalar(text)
    return quoted if quoted.startswith('"') else f'"{quoted}"'
