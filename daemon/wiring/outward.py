"""What goes out: dispatches to GitHub, the runs that come of them, and what follows when something
goes wrong."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial

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
    # After these there may be something to send.
    waking = (EventRecorded, DispatchAdded, DispatchSettled, EntryResumed, DispatchesReleased)
    stack.callback(facts.subscribe(lambda _: dispatcher.wake(), *waking))
    stack.callback(facts.subscribe(partial(_track, tracker), DispatchSettled))
    stack.callback(facts.subscribe(partial(_hear_of_runs, tracker, in_force), EventRecorded))
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
    going_wrong = (DispatchSettled, RunSeen, RunNotFound)
    stack.callback(facts.subscribe(partial(_wake_follow_ups, following_up), *going_wrong))
    return Outward(github, lanes, reads, dispatcher, tracker, teller, following_up)


def _wake_follow_ups(
    following_up: FollowingUp, fact: DispatchSettled | RunSeen | RunNotFound
) -> None:
    dead = isinstance(fact, DispatchSettled) and fact.dispatch.state is State.DEAD
    failed = isinstance(fact, RunSeen) and fact.run.failed
    if dead or failed or isinstance(fact, RunNotFound):
        following_up.wake()


def _track(tracker: Tracker, fact: DispatchSettled) -> None:
    """Has the tracker follow what GitHub took."""
    if fact.dispatch.state is State.ACCEPTED:
        tracker.wake()


def _hear_of_runs(tracker: Tracker, in_force: InForce, fact: EventRecorded) -> None:
    """Has the tracker hear what GitHub's webhooks tell of runs."""
    delivery = fact.event.cause
    run = heard(delivery) if isinstance(delivery, Delivery) else None
    if run is not None and any(
        verdict.entry in in_force.proving_github and verdict.outcome is not Outcome.UNAUTHORIZED
        for verdict in fact.verdicts
    ):
        tracker.hear(run)
