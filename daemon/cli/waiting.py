"""``dispatchd dispatch --wait``: sends a dispatch and stays with it until its run has ended, or
until it is clear that something does not come."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import uuid4

from rich.text import Text

from daemon.cli.answers import AWAITED, BRANCH, SENT
from daemon.cli.awaiting import (
    Branch,
    Stage,
    Standing,
    Wanted,
    branch_named,
    run_words,
    standing,
)
from daemon.cli.connection import Answered, Connection, NoDaemon
from daemon.cli.names import segment
from daemon.cli.progress import Progress
from daemon.cli.tables import plain, warn, word
from daemon.cli.target import Target
from daemon.durations import written
from daemon.errors import DispatchdError
from daemon.run import COMPLETED, Match

AGAIN = 1.0
"""Seconds until a daemon that does not answer is asked again."""

BRANCH_LOOKS = (2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds between looks for the branch, the last ones until the run ends: while there is none, each
counts against GitHub's rate limit."""

UNAVAILABLE = 503

LABELS = 10
"""Columns for what has come."""

T = TypeVar("T")


def send_and_wait(target: Target, wanted: Wanted, *, as_json: bool) -> None:
    """Raises NoDaemon or Answered where nothing was sent, and DispatchdError with the reason where
    anything that is wanted does not come."""
    waiting = Waiting(wanted, Progress(as_json=as_json))
    settings = target.settings()

    async def connected() -> None:
        async with target.daemon(settings) as daemon:
            await waiting.stay(daemon)

    try:
        asyncio.run(connected())
    except KeyboardInterrupt:
        waiting.give_up("interrupted")
    if as_json:
        print(json.dumps(waiting.report(), ensure_ascii=False))
    elif waiting.remark:
        warn(plain(waiting.remark).plain)
    if waiting.failure:
        raise DispatchdError(waiting.failure)


class Waiting:
    """One dispatch, from the call to the end of its runs. ``failure`` is why not all came, once
    that is clear; ``remark`` what else the person should know."""

    def __init__(self, wanted: Wanted, progress: Progress) -> None:
        self._wanted = wanted
        self._progress = progress
        self._began = time.monotonic()
        self._at: dict[Stage, float] = {}
        self._told: set[object] = set()
        self._away = False
        self._asking = False
        self._dispatch_id = ""
        self._dispatch: dict[str, Any] = {}
        self._branch: Branch | None = None
        self._looks = iter(BRANCH_LOOKS)
        self._look_at = 0.0
        self._looked_at = -1.0
        self._standing = Standing(frozenset(), "GitHub's 204")
        self.failure = ""
        self.remark = ""

    async def stay(self, daemon: Connection) -> None:
        """Until all has come, or ``failure`` says what has not. Raises Answered where the daemon
        refuses the call."""
        self._began = time.monotonic()
        with self._progress:
            try:
                async with asyncio.timeout(self._wanted.timeout.total_seconds()):
                    await self._send(daemon)
                    await self._follow(daemon)
            except TimeoutError:
                self.give_up(f"timed out after {written(self._wanted.timeout)}")

    def give_up(self, why: str) -> None:
        """Nobody waits any more; the daemon goes on."""
        if not self._asking:
            self.failure = f"{why}; nothing was sent"
        elif not self._dispatch_id:
            self.failure = (
                f"{why}, waiting for the daemon's answer. If it took the call, `dispatchd "
                "dispatches` shows the dispatch"
            )
        else:
            self.failure = (
                f"{why}, waiting for {self._standing.waits_for}. The daemon goes on: "
                f"`dispatchd dispatches {self._dispatch_id}`"
            )

    def report(self) -> dict[str, Any]:
        """All that is known, with stable keys."""
        seen = self._dispatch
        branch = self._branch
        return {
            "success": not self.failure,
            "reason": self.failure or None,
            "waited_for": (self._standing.waits_for or None) if self.failure else None,
            "dispatch_id": self._dispatch_id or None,
            "event_type": self._wanted.event_type,
            "repository": seen.get("repository"),
            "state": seen.get("state"),
            "match": seen.get("match"),
            "diagnosis": seen.get("diagnosis") or None,
            "run_outcome": seen.get("run_outcome"),
            "runs": seen.get("runs", []),
            "branch": branch and {"name": branch.name, "sha": branch.sha or None},
            "seconds": {
                **{stage.value: self._at.get(stage) for stage in Stage},
                "all": self._elapsed(),
            },
        }

    async def _send(self, daemon: Connection) -> None:
        wanted = self._wanted
        body = {"event_type": wanted.event_type, "client_payload": wanted.client_payload}
        if wanted.repository:
            body["repository"] = wanted.repository
        # So that asking again, where the answer was lost, sends nothing twice.
        headers = {"Idempotency-Key": uuid4().hex, "Prefer": "respond-async"}
        self._asking = True
        try:
            answer = await self._asked(
                daemon, lambda: daemon.post("/dispatch", SENT, body, headers)
            )
        except Answered as error:
            answer = dict(error.answer)
            if not isinstance(answer.get("dispatch_id"), str):
                raise
        self._dispatch_id = answer["dispatch_id"]
        if wanted.branch:
            name = branch_named(wanted.branch, wanted.client_payload, self._dispatch_id)
            self._branch = Branch(name)
        self._progress.line(plain(f"{wanted.event_type}: {self._dispatch_id}"))

    async def _follow(self, daemon: Connection) -> None:
        path = f"/api/v1/dispatches/{segment(self._dispatch_id)}"
        while True:
            self._dispatch = await self._asked(daemon, lambda: daemon.get(path, AWAITED))
            self._stand()
            await self._look_for_branch(daemon, path)
            self._stand()
            self._tell()
            if self._standing.failure or not self._standing.waits_for:
                break
            await asyncio.sleep(self._pause())
        self.failure = self._standing.failure
        if self._dispatch["match"] == Match.PROBABLE and not self.failure:
            self.remark = f"the run is probably its own: {self._dispatch['diagnosis']}"

    async def _asked(self, daemon: Connection, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, of the first time that one comes. Raises Answered."""
        while True:
            try:
                if self._away:
                    await daemon.reconnect()
                answer = await ask()
            except NoDaemon as error:
                self._gone(str(error))
            except Answered as error:
                if error.status != UNAVAILABLE:
                    self._back()
                    raise
                self._gone(str(error))
            else:
                self._back()
                return answer
            self._tell()
            await asyncio.sleep(AGAIN)

    def _gone(self, why: str) -> None:
        if not self._away:
            self._away = True
            self._progress.line(plain(f"{why}; trying again"))

    def _back(self) -> None:
        if self._away:
            self._away = False
            self._progress.line(Text("the daemon answers again"))

    async def _look_for_branch(self, daemon: Connection, path: str) -> None:
        """Looks for the branch where that is due: once there is a run, more and more seldom, and
        as soon as all runs have ended."""
        branch, came = self._branch, self._standing.came
        if branch is None or branch.sha or Stage.RUN not in came:
            return
        ended = Stage.CONCLUSION in came
        if self._elapsed() < self._look_at and not (ended and self._looked_after() < 0):
            return
        wait = BRANCH_LOOKS[0] if ended else next(self._looks, BRANCH_LOOKS[-1])
        began = self._elapsed()
        self._look_at = began + wait
        try:
            answer = await daemon.get(f"{path}/branch", BRANCH, {"name": branch.name})
        except (Answered, NoDaemon) as error:
            self._branch = Branch(branch.name, trouble=str(error))
            if isinstance(error, NoDaemon) or error.status == UNAVAILABLE:
                return
        else:
            self._branch = Branch(branch.name, str(answer["sha"]) if answer["found"] else "")
        self._looked_at = began

    def _looked_after(self) -> float:
        """Seconds from the end of all runs to the last look for the branch; negative before."""
        ended_at = self._at.get(Stage.CONCLUSION)
        return -1.0 if ended_at is None else self._looked_at - ended_at

    def _stand(self) -> None:
        """Takes note of what has come."""
        now = self._elapsed()
        self._standing = standing(
            self._dispatch,
            self._branch,
            accepted_for=now - self._at.get(Stage.ACCEPTED, now),
            looked_after=self._looked_after(),
        )
        for stage in self._standing.came:
            self._at.setdefault(stage, now)
        if Stage.CONCLUSION not in self._standing.came:  # one of several is run again
            self._at.pop(Stage.CONCLUSION, None)

    def _tell(self) -> None:
        """Tells what is new, and what is waited for."""
        came = self._standing.came
        if Stage.ACCEPTED in came:
            took = any(each["status"] == 204 for each in self._dispatch["tries"])
            self._tell_once(Stage.ACCEPTED, "204" if took else "accepted", "")
        runs = self._dispatch.get("runs", []) if Stage.RUN in came else []
        for run in runs:
            which = (run["id"], run["attempt"])
            self._tell_once(which, "run", f"{run_words(run)} ({self._dispatch['match']})")
        if self._branch and self._branch.sha:
            found = f"{self._branch.name} at {self._branch.sha[:7]}"
            self._tell_once(Stage.BRANCH, "branch", found)
        for run in runs:
            if run["status"] == COMPLETED:
                how = (run["id"], run["attempt"], run["conclusion"])
                self._tell_once(how, str(run["conclusion"]), run_words(run))
        words = "the daemon to answer again" if self._away else self._standing.waits_for
        self._progress.now(plain(f"{self._elapsed():.0f} s  waiting for {words}"))

    def _tell_once(self, what: object, label: str, words: str) -> None:
        if what not in self._told:
            self._told.add(what)
            line = word(label)
            line.pad_right(max(0, LABELS - line.cell_len))
            after = f" after {self._elapsed():5.1f} s  "
            self._progress.line(Text() + line + Text(after) + plain(words))

    def _elapsed(self) -> float:
        """Seconds since the call."""
        return round(time.monotonic() - self._began, 3)

    def _pause(self) -> float:
        """Seconds until the next look: there is more to see at first."""
        elapsed = self._elapsed()
        return 0.1 if elapsed < 2 else 0.5 if elapsed < 30 else 1.0
