"""Workflow runs as values: each attempt goes from queued to completed by the clock, so that a run
can be looked at as of any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from daemon.run_names import evaluated
from daemon.simulator.workflows import Workflow

CONCLUSIONS = (
    "success",
    "failure",
    "cancelled",
    "timed_out",
    "startup_failure",
    "action_required",
    "neutral",
    "skipped",
    "stale",
)
STATUSES = ("queued", "in_progress", "completed")


@dataclass(frozen=True, slots=True)
class Course:
    """How the runs to come go: queued so long, in progress so long (None: until they are told
    otherwise), and then with this conclusion."""

    queued_for: timedelta | None = timedelta(seconds=2)
    running_for: timedelta | None = timedelta(seconds=5)
    conclusion: str = "success"


@dataclass(frozen=True, slots=True)
class RunAttempt:
    """One attempt of a run. ``running_at`` and ``ended_at`` are None where nothing says yet when
    that will be."""

    started_at: datetime
    running_at: datetime | None
    ended_at: datetime | None
    conclusion: str

    @classmethod
    def begun(cls, at: datetime, course: Course) -> RunAttempt:
        running = None if course.queued_for is None else at + course.queued_for
        ended = None
        if running is not None and course.running_for is not None:
            ended = running + course.running_for
        return cls(at, running, ended, course.conclusion)

    def status(self, now: datetime) -> str:
        if self.ended_at is not None and now >= self.ended_at:
            return "completed"
        running = self.running_at is not None and now >= self.running_at
        return "in_progress" if running else "queued"

    def updated_at(self, now: datetime) -> datetime:
        stages = (self.started_at, self.running_at, self.ended_at)
        return max((at for at in stages if at is not None and at <= now), default=self.started_at)

    def ended(self, now: datetime, conclusion: str) -> RunAttempt:
        """The attempt as ended now, or with another conclusion where it has ended already."""
        if self.status(now) == "completed":
            return replace(self, conclusion=conclusion)
        running = self.running_at if self.running_at and self.running_at <= now else now
        return replace(self, running_at=running, ended_at=now, conclusion=conclusion)


@dataclass(frozen=True, slots=True)
class Run:
    """One workflow run. ``repository`` and ``workflow`` are as they were when the run was started;
    ``event`` is the kind of event, and ``job_branch`` the branch that it pushes, if it does. What
    it was started with is not kept: that can be large."""

    id: int
    number: int
    repository: str
    repository_number: int
    workflow: Workflow
    event: str
    display_title: str
    head_branch: str
    created_at: datetime
    attempts: tuple[RunAttempt, ...]
    job_branch: str | None = None

    def attempt(self, now: datetime) -> tuple[int, RunAttempt]:
        """The latest attempt as of ``now``, with its number."""
        begun = [one for one in self.attempts if one.started_at <= now] or [self.attempts[0]]
        return len(begun), begun[-1]

    def status(self, now: datetime) -> str:
        return self.attempt(now)[1].status(now)

    def conclusion(self, now: datetime) -> str | None:
        _, attempt = self.attempt(now)
        return attempt.conclusion if attempt.status(now) == "completed" else None

    def settled(self, now: datetime, conclusion: str) -> Run:
        """The run with its latest attempt ended."""
        ended = self.attempts[-1].ended(now, conclusion)
        return replace(self, attempts=(*self.attempts[:-1], ended))

    def again(self, now: datetime, course: Course) -> Run:
        """The run with a further attempt."""
        return replace(self, attempts=(*self.attempts, RunAttempt.begun(now, course)))

    def until_attempt(self, number: int) -> Run:
        """The run as it was while this was its latest attempt."""
        return replace(self, attempts=self.attempts[:number])

    def has_run(self, now: datetime) -> bool:
        """Whether its jobs were under way at any time up to ``now``."""
        return any(one.running_at is not None and one.running_at <= now for one in self.attempts)

    def in_short(self, now: datetime) -> dict[str, object]:
        """The run for whoever watches the stand-in; GitHub's own shape is in ``shapes``."""
        number, _ = self.attempt(now)
        return {
            "id": self.id,
            "repository": self.repository,
            "name": self.workflow.name,
            "path": self.workflow.path,
            "display_title": self.display_title,
            "event": self.event,
            "head_branch": self.head_branch,
            "run_number": self.number,
            "run_attempt": number,
            "status": self.status(now),
            "conclusion": self.conclusion(now),
            "created_at": timestamp(self.created_at),
        }


def title(
    workflow: Workflow, repository: str, branch: str, event: str, payload: Mapping[str, object]
) -> str:
    """What GitHub shows of a run: its ``run-name``, else the event type or the workflow's name."""
    definition = workflow.definition
    inputs = payload.get("inputs", {})
    contexts = {
        "github": {
            "event": payload,
            "event_name": event,
            "repository": repository,
            "workflow": workflow.name,
            "ref": f"refs/heads/{branch}",
            "ref_name": branch,
            "actor": "dispatchd",
        },
        "inputs": inputs,
        "vars": {},
    }
    named = evaluated(definition.run_name, contexts).strip() if definition else ""
    fallback = payload.get("action") if event == "repository_dispatch" else workflow.name
    return named or str(fallback)


def job_branch(workflow: Workflow, payload: Mapping[str, object]) -> str | None:
    """The branch that a run of the wat-factory pushes once it is running. ``payload`` is what the
    workflow reads as ``github.event``."""
    carried = payload.get("client_payload", payload.get("inputs"))
    job_id = carried.get("job_id") if isinstance(carried, Mapping) else None
    factory = payload.get("action") == "wat-factory" or (
        workflow.file.partition(".")[0] == "wat-factory"
    )
    return f"job/{job_id}" if factory and isinstance(job_id, str) and job_id else None


def timestamp(at: datetime) -> str:
    """An instant as GitHub writes it, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
