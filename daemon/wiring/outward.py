"""What goes out: dispatches to GitHub, the runs that come of them, and what follows when something
goes wrong."""

from __future__ import annotations

import random
from dataclasses import dataclass

from daemon.client import Sessions, Teller
from daemon.dispatch import State
from daemon.dispatcher import Dispatcher
from daemon.event import Delivery, Outcome
from daemon.facts import (
    DispatchAdded,
    DispatchesReleased,
    DispatchSettled,
    EntryResumed,
    EventRecorded,
    Fact,
    RunNotFound,
    RunSeen,
)
from daemon.following_up import FollowingUp
from daemon.github_reads import Reads
from daemon.github_runs import heard
from daemon.in_force import InForce
from daemon.lane import Lane
from daemon.lanes import lanes_of
from daemon.lost_answers import LostAnswers
from daemon.preflight import Preflight
from daemon.retry import RetryPolicy
from daemon.run_lists import RunLists
from daemon.tracker import Tracker
from daemon.wiring.ground import Ground

WAKING = EventRecorded | DispatchAdded | DispatchSettled | EntryResumed | DispatchesReleased
"""The facts after which there may be something to send."""


@dataclass(frozen=True, slots=True)
class Outward:
    """``github`` asks and sends under each credential, in its lane; ``teller`` tells people."""

    github: Sessions
    lanes: dict[str, Lane]
    reads: Reads
    dispatcher: Dispatcher
    tracker: Tracker
    teller: Teller
    following_up: FollowingUp


async def wire_outward(ground: Ground) -> Outward:
    """Raises UsageError for a token or a proxy that can never work, StoreError."""
    store, clock, facts, stack = ground.store, ground.clock, ground.facts, ground.stack
    in_force, settings = ground.in_force, ground.in_force.settings
    github = await stack.enter_async_context(Sessions(settings, clock, ground.reread))
    lanes = lanes_of(settings, await store.budgets())
    reads = Reads(github.ask, lanes, in_force.lane_of, clock)
    preflight = Preflight(reads.ask)
    run_lists = RunLists(store, reads, clock=clock, facts=facts)
    tracker = Tracker(store, reads, run_lists, preflight, clock=clock, facts=facts)
    lost_answers = LostAnswers(store, reads, run_lists, preflight, clock)
    dispatcher = Dispatcher(
        store,
        github.send,
        lost_answers.find,
        lanes,
        RetryPolicy(),
        clock=clock,
        elapsed=ground.elapsed,
        random=random.random,
        facts=facts,
    )
    stack.callback(facts.subscribe(lambda fact: _wake(dispatcher, fact)))
    stack.callback(facts.subscribe(lambda fact: _track(tracker, in_force, fact)))
    teller = await stack.enter_async_context(Teller(settings.ca_file, clock, ground.reread))
    following_up = FollowingUp(
        in_force.config,
        store,
        teller.tell,
        ids=ground.ids,
        clock=clock,
        random=random.random,
        facts=facts,
        simulated=ground.simulated,
    )
    stack.callback(facts.subscribe(lambda fact: _wake_follow_ups(following_up, fact)))
    return Outward(github, lanes, reads, dispatcher, tracker, teller, following_up)


def _wake(dispatcher: Dispatcher, fact: Fact) -> None:
    if isinstance(fact, WAKING):
        dispatcher.wake()


def _wake_follow_ups(following_up: FollowingUp, fact: Fact) -> None:
    dead = isinstance(fact, DispatchSettled) and fact.dispatch.state is State.DEAD
    failed = isinstance(fact, RunSeen) and fact.run.failed
    if dead or failed or isinstance(fact, RunNotFound):
        following_up.wake()


def _track(tracker: Tracker, in_force: InForce, fact: Fact) -> None:
    """Has the tracker follow what GitHub took, and hear what its webhooks tell of runs."""
    if isinstance(fact, DispatchSettled) and fact.dispatch.state is State.ACCEPTED:
        tracker.wake()
    if not isinstance(fact, EventRecorded) or not isinstance(fact.event.cause, Delivery):
        return
    run = heard(fact.event.cause)
    if run is not None and any(
        verdict.entry in in_force.proving_github and verdict.outcome is not Outcome.UNAUTHORIZED
        for verdict in fact.verdicts
    ):
        tracker.hear(run)
