"""What the stand-in remembers: repositories, the dispatches they received, and the runs that these
started. Time is an argument, and a run's status follows from its age."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from daemon.simulator.repositories import ReceivedDispatch, Repository
from daemon.simulator.runs import Course, Run, RunAttempt, job_branch, title
from daemon.simulator.workflows import ANY_EVENT, Listener, Workflow, written

KEPT = 10_000
"""How many dispatches and how many runs are kept unless said otherwise; older ones are
forgotten."""
KEPT_BYTES = 32 * 1024 * 1024
"""Bytes of JSON that the dispatches may have together; as values they take a few times that."""

FOUNDED = datetime(2020, 1, 1, tzinfo=UTC)
"""When the repositories and their first workflows were made."""


class World:
    """The repositories and all that happened to them.

    ``repositories`` (``owner/name``) are those that exist; None: any. ``listeners`` gives each
    its workflows; None: ``ANY_EVENT`` in every one, and whatever file a ``workflow_dispatch``
    names. Names compare without case, as on GitHub. ``received`` and the runs are the newest
    ``keep`` each, the former at most ``KEPT_BYTES``. ``course`` is how the runs to come go;
    ``touched`` has the numbers of runs that were started or changed, and ``dropped`` counts
    those that a limit kept from being started.
    """

    def __init__(
        self,
        repositories: Collection[str] | None,
        listeners: Mapping[str, Sequence[Listener]] | None,
        course: Course,
        keep: int = KEPT,
    ) -> None:
        self._listeners = (
            None
            if listeners is None
            else {name.lower(): tuple(found) for name, found in listeners.items()}
        )
        self._found_all = repositories is None
        self._repositories: dict[str, Repository] = {}
        self._numbered: dict[int, Repository] = {}
        self._former: dict[str, Repository] = {}
        self._run_numbers: dict[int, int] = {}
        self._last_run_id = 10_000_000_000  # real ones have eleven digits too
        self._keep = keep
        self._sizes: deque[int] = deque()
        self._bytes = 0
        self._runs: dict[int, Run] = {}
        self._made: set[str] = set()
        self.course = course
        self.received: deque[ReceivedDispatch] = deque()
        self.touched: deque[int] = deque(maxlen=keep)
        self.dropped = 0
        for name in repositories or ():
            self._found(name)

    @property
    def runs(self) -> list[Run]:
        """Oldest first."""
        return list(self._runs.values())

    def repository(self, name: str) -> Repository | None:
        """The one that bears this name now."""
        known = self._repositories.get(name.lower())
        if known is not None or not self._found_all or name.lower() in self._former:
            return known
        return self._found(name)

    def formerly(self, name: str) -> Repository | None:
        """The one that bore this name until it was renamed."""
        return self._former.get(name.lower())

    def organisation(self, name: str) -> str | None:
        """The name as written, where there is such an owner of repositories."""
        owners = {known.partition("/")[0] for known in self._repositories}
        return name if self._found_all or name.lower() in owners else None

    def numbered(self, number: int) -> Repository | None:
        return self._numbered.get(number)

    def rename(self, repository: Repository, name: str) -> None:
        """Raises ValueError where the new name is another repository's."""
        taken = self._repositories.get(name.lower(), repository)
        if taken is not repository:
            raise ValueError(f"there is a repository {taken.full_name} already")
        del self._repositories[repository.full_name.lower()]
        self._former[repository.full_name.lower()] = repository
        self._former.pop(name.lower(), None)
        self._repositories[name.lower()] = repository
        repository.full_name = name

    def _found(self, name: str) -> Repository:
        listeners = (
            (ANY_EVENT,) if self._listeners is None else self._listeners.get(name.lower(), ())
        )
        repository = Repository(name, len(self._numbered) + 1, FOUNDED, listeners)
        self._repositories[name.lower()] = repository
        self._numbered[repository.number] = repository
        return repository

    def receive(self, dispatch: ReceivedDispatch, repository: Repository, size: int) -> None:
        """Acts on a ``repository_dispatch``, which came as ``size`` bytes: one run for each
        workflow that listens, as far as the limits of GitHub allow."""
        self._remember(dispatch, size)
        heard = [each for each in repository.workflows if each.hears(dispatch.event_type)]
        if not repository.actions_enabled:
            return
        if not repository.events.admits(dispatch.at):
            self.dropped += len(heard)
            return
        payload = {
            "action": dispatch.event_type,
            "branch": repository.default_branch,
            "client_payload": dispatch.client_payload,
        }
        for workflow in heard:
            self._start(
                repository,
                workflow,
                "repository_dispatch",
                payload,
                repository.default_branch,
                dispatch.at,
            )

    def start_workflow(
        self, dispatch: ReceivedDispatch, repository: Repository, workflow: Workflow, size: int
    ) -> Run | None:
        """Acts on a ``workflow_dispatch``, whose inputs are complete: the run, None where the
        limits of GitHub dropped it."""
        self._remember(dispatch, size)
        if not repository.events.admits(dispatch.at):
            self.dropped += 1
            return None
        payload = {"inputs": dispatch.client_payload, "ref": f"refs/heads/{dispatch.ref}"}
        return self._start(
            repository, workflow, "workflow_dispatch", payload, dispatch.ref, dispatch.at
        )

    def workflow_named(
        self, repository: Repository, key: str, inputs: Iterable[str]
    ) -> Workflow | None:
        """The workflow to start by hand. Where nobody said which there are, any file is there and
        takes what it is given."""
        known = repository.workflow(key)
        if known is not None and known.text not in self._made:
            return known
        if self._listeners is not None or not key.endswith((".yml", ".yaml")):
            return known
        declared = {name: {"type": "string"} for name in inputs}
        run_name = "Started [${{ inputs.dispatchd }}]" if "dispatchd" in declared else ""
        text = written(key.partition(".")[0], run_name, {"workflow_dispatch": {"inputs": declared}})
        self._made.add(text)
        return repository.put(key, text, FOUNDED)

    def _start(
        self,
        repository: Repository,
        workflow: Workflow,
        event: str,
        payload: Mapping[str, object],
        branch: str,
        now: datetime,
    ) -> Run | None:
        if not repository.queued.admits(now):
            self.dropped += 1
            return None
        self._last_run_id += 1
        number = self._run_numbers[workflow.id] = self._run_numbers.get(workflow.id, 0) + 1
        run = Run(
            id=self._last_run_id,
            number=number,
            repository=repository.full_name,
            repository_number=repository.number,
            workflow=workflow,
            event=event,
            display_title=title(workflow, repository.full_name, branch, event, payload),
            head_branch=branch,
            created_at=now,
            attempts=(RunAttempt.begun(now, self.course),),
            job_branch=job_branch(workflow, payload),
        )
        self.change(run)
        if len(self._runs) > self._keep:
            del self._runs[next(iter(self._runs))]
        return run

    def _remember(self, dispatch: ReceivedDispatch, size: int) -> None:
        self.received.append(dispatch)
        self._sizes.append(size)
        self._bytes += size
        while len(self.received) > self._keep or self._bytes > KEPT_BYTES:
            self.received.popleft()
            self._bytes -= self._sizes.popleft()

    def runs_of(self, repository: Repository) -> list[Run]:
        """The runs of a repository, newest first."""
        number = repository.number
        return [run for run in reversed(self._runs.values()) if run.repository_number == number]

    def run(self, repository: Repository, run_id: int) -> Run | None:
        found = self._runs.get(run_id)
        mine = found is not None and found.repository_number == repository.number
        return found if mine else None

    def run_by_id(self, run_id: int) -> Run | None:
        return self._runs.get(run_id)

    def change(self, run: Run) -> None:
        """Puts the run in the place of what it was."""
        self._runs[run.id] = run
        self.touched.append(run.id)

    def branches(self, repository: Repository, now: datetime) -> list[str]:
        """Those that somebody made, and then those that runs have pushed."""
        runs = (run for run in self.runs_of(repository) if run.job_branch and run.has_run(now))
        pushed = (str(run.job_branch) for run in runs)
        return list(dict.fromkeys([*repository.branches, *pushed]))
