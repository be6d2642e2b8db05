"""Watches the runs for the hooks: each step of a run (requested, in_progress, completed) becomes a
``workflow_run`` webhook."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime

from daemon.simulator import shapes
from daemon.simulator.hooks import Hooks
from daemon.simulator.runs import Run
from daemon.simulator.world import World

LOOK = 0.02
"""Seconds between two looks at the clock, which may be a clock that somebody sets."""

EVENT = "workflow_run"
STEPS = ("requested", "in_progress", "completed")


class RunWatch:
    """Tells the hooks of each run's steps once. ``here`` is what the addresses begin with."""

    def __init__(
        self, world: World, hooks: Hooks, clock: Callable[[], datetime], here: Callable[[], str]
    ) -> None:
        self._world = world
        self._hooks = hooks
        self._clock = clock
        self._here = here
        self._told: dict[int, int] = {}
        self._unfinished: set[int] = set()

    async def run(self) -> None:
        """Until cancelled. Without a hook it rests, and what happened meanwhile is not told."""
        while True:
            if not self._hooks.registered.is_set():
                await self._hooks.registered.wait()
                self._world.touched.clear()
            self.look()
            await asyncio.sleep(LOOK)

    def look(self) -> None:
        """Tells what has happened since the last look."""
        self._unfinished.update(self._world.touched)
        self._world.touched.clear()
        now = self._clock()
        for run_id in sorted(self._unfinished):
            run = self._world.run_by_id(run_id)
            if run is None:  # forgotten, as too many others came after it
                self._unfinished.discard(run_id)
                self._told.pop(run_id, None)
                continue
            steps = list(_steps(run, now))
            for action, attempt, at in steps[self._told.get(run_id, 0) :]:
                self._tell(run.until_attempt(attempt), action, at)
            self._told[run_id] = len(steps)
            if run.attempts[-1].status(now) == "completed":
                self._unfinished.discard(run_id)

    def _tell(self, run: Run, action: str, at: datetime) -> None:
        repository = self._world.numbered(run.repository_number)
        # GitHub sends nothing of a run that it could not start.
        if repository is None or run.attempts[-1].conclusion == "startup_failure":
            return
        here = self._here()
        payload = {
            "action": action,
            "workflow_run": shapes.run(run, repository, here, at),
            "workflow": shapes.workflow(run.workflow, repository, here),
            "repository": shapes.repository_in_short(repository, here),
            "sender": shapes.user(shapes.USER, here),
        }
        self._hooks.publish(repository, EVENT, payload)


def _steps(run: Run, now: datetime) -> Iterator[tuple[str, int, datetime]]:
    """What has happened to the run up to ``now``: which step of which attempt, and when."""
    for number, attempt in enumerate(run.attempts, 1):
        instants = (attempt.started_at, attempt.running_at, attempt.ended_at)
        for action, at in zip(STEPS, instants, strict=True):
            if at is not None and at <= now:
                yield action, number, at
