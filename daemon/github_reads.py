"""Reads from GitHub so that writes never have to wait for it: what is asked counts against a small
share of each credential's requests, and nothing is asked while GitHub wants us to wait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from daemon.errors import FetchError
from daemon.github import Question, Reply, Throttled, interpret, refusal
from daemon.lane import Lane
from daemon.pacing import Budget
from daemon.retry import UNTIMED

Ask = Callable[[str, Question], Awaitable[Reply]]
"""Asks GitHub about a repository. Raises FetchError."""

PER_HOUR = 500
"""Requests of one credential: a tenth of the 5,000 that GitHub allows a token at least. What has
not changed is answered 304 and not counted, by GitHub or here."""

BURST = 50
"""Of these at once."""


class Reads:
    """Asks through ``ask``. ``lanes`` are the ways to GitHub by the names of their credentials, of
    which ``lane_of`` gives a repository's: they hear of the limits that GitHub tells here."""

    def __init__(
        self,
        ask: Ask,
        lanes: Mapping[str, Lane],
        lane_of: Callable[[str], str],
        clock: Callable[[], datetime],
    ) -> None:
        self._ask = ask
        self._lanes = lanes
        self._lane_of = lane_of
        self._clock = clock
        self._budgets: dict[str, Budget] = defaultdict(
            lambda: Budget(PER_HOUR / 3600, BURST, PER_HOUR)
        )
        self.counted = 0
        """How many requests counted against GitHub's limits."""

    def closed_until(self, repository: str) -> datetime | None:
        """Before when nothing may be asked about the repository; None: it may be now."""
        now = self._clock()
        name = self._lane_of(repository)
        lane = self._lanes[name]
        held_up = lane.held_up_until(now) if lane.closed(now) else None
        until = max(self._budgets[name].next_at(now), held_up or now)
        return until if until > now else None

    async def ask(self, repository: str, question: Question) -> Reply:
        """GitHub's answer. Raises FetchError where none comes, or one that tells to wait."""
        name = self._lane_of(repository)
        lane, budget = self._lanes[name], self._budgets[name]
        budget.spend(self._clock())
        try:
            reply = await self._ask(repository, question)
        except FetchError:
            budget.take_back(self._clock())
            raise
        now = self._clock()
        if reply.status == 304:
            budget.take_back(now)
        else:
            self.counted += 1
        if reply.limits is not None:
            lane.budget.observe(now, reply.limits)
        if reply.status < 400:
            return reply  # a list has megabytes: it is not searched for words of a refusal
        answer = interpret(reply.status, reply.headers, reply.body, url=question.path, now=now)
        if isinstance(answer, Throttled):
            lane.budget.throttle(now, answer.until or now + UNTIMED)
            raise FetchError(refusal(reply, question.path, now))
        return reply
