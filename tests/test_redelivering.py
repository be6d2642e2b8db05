"""How fast GitHub is asked for deliveries once more: by the pacing of the credential, of which half
of the hour is left to dispatches, and never against a rate limit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from daemon.github import Question, Reply
from daemon.github_hooks import Hook, HookDelivery
from daemon.hooks_at_github import Denied, HooksAtGithub
from daemon.in_force import InForce
from daemon.lane import Lane
from daemon.pacing import Budget
from daemon.redelivering import Redeliverer
from tests.github_caller import T0, Clock
from tests.specs import ENVIRON, config

HOOK = Hook("acme/shop", 12, "https://x/", frozenset({"push"}), active=True, content_type="json")
LIMITED = (403, b'{"message": "You have exceeded a secondary rate limit."}')
TAKEN = (202, b"{}")
REFUSED = (404, b'{"message": "Not Found"}')


class Stage:
    """GitHub gives these ``answers``, and after them takes everything. ``asked`` is when."""

    def __init__(self, *answers: tuple[int, bytes], **environ: str) -> None:
        self.clock = Clock()
        self.asked: list[datetime] = []
        self._answers: Iterator[tuple[int, bytes]] = iter(answers)
        in_force = InForce(config((), (), {**ENVIRON, **environ}))
        pace = in_force.settings.pace
        budget = Budget(pace.writes_per_second, pace.burst, pace.writes_per_hour)
        self.lane = Lane("GH_TOKEN", budget)
        hooks = HooksAtGithub(self._ask, self._ask, self.clock)
        self.redeliverer = Redeliverer(
            hooks, in_force, {self.lane.name: self.lane}, clock=self.clock, sleep=self._sleep
        )

    async def ask_for(self, count: int) -> None:
        for number in range(count):
            one = HookDelivery(number + 1, str(number), "push", "", T0, 502, "timed out")
            await self.redeliverer.ask_for(HOOK, one)

    async def _ask(self, place: str, question: Question) -> Reply:
        self.asked.append(self.clock())
        status, body = next(self._answers, TAKEN)
        headers = {"x-github-request-id": "1"}
        if status == 403:
            headers["retry-after"] = "90"
        return Reply(status, headers, body, None, self.clock())

    async def _sleep(self, seconds: float) -> None:
        self.clock.move(seconds)


async def test_with_the_defaults_a_burst_goes_then_one_a_second_and_250_in_an_hour() -> None:
    stage = Stage()
    await stage.ask_for(300)
    since = [(at - T0).total_seconds() for at in stage.asked]
    assert since[9] == 0
    assert all(1 <= b - a < 1.2 for a, b in pairwise(since[9:250]))
    assert since[249] < 300
    assert since[250] >= 3600
    # What is left of the hour's 500 is for dispatches.
    assert stage.lane.budget.in_hour(T0) <= 250


async def test_dispatches_count_as_well_so_that_both_together_keep_to_the_pace() -> None:
    stage = Stage(GH_WRITES_PER_HOUR="0")
    stage.lane.budget.spend(T0, 10)
    await stage.ask_for(3)
    assert [round((at - T0).total_seconds()) for at in stage.asked] == [1, 2, 3]


async def test_a_rate_limit_holds_up_what_is_asked_for_and_the_dispatches_too() -> None:
    stage = Stage(TAKEN, LIMITED)
    await stage.ask_for(1)
    assert stage.lane.budget.blocked_until(stage.clock()) is None
    await stage.ask_for(1)
    assert [(at - T0).total_seconds() for at in stage.asked] == [0, 0, 90]
    assert stage.lane.budget.throttles == 1


async def test_a_lane_that_is_closed_is_waited_for() -> None:
    stage = Stage()
    stage.lane.budget.throttle(T0, T0 + timedelta(hours=1))
    await stage.ask_for(1)
    assert stage.asked == [T0 + timedelta(hours=1)]


async def test_a_refusal_is_raised_and_not_asked_again() -> None:
    stage = Stage(REFUSED)
    with pytest.raises(Denied, match="webhooks: write"):
        await stage.ask_for(1)
    assert len(stage.asked) == 1
