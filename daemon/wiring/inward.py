"""What has to do with those who send webhooks: the secrets that they hand over, GitHub's addresses,
and the webhooks at GitHub that lead here."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.client import Fetcher
from daemon.facts import EventRecorded
from daemon.hook_places import HookPlaces
from daemon.hook_ranges import RangeRefresher
from daemon.hooks_at_github import HooksAtGithub
from daemon.learning import Learning
from daemon.recovery import Recovery
from daemon.redelivering import Redeliverer
from daemon.wiring.ground import Ground
from daemon.wiring.outward import Outward


@dataclass(frozen=True, slots=True)
class Inward:
    """``fetcher`` fetches what senders point to, and ``recovery`` has GitHub send again what did
    not come."""

    learning: Learning
    fetcher: Fetcher
    hook_ranges: RangeRefresher
    hooks: HooksAtGithub
    hook_places: HookPlaces
    recovery: Recovery


async def wire_inward(ground: Ground, outward: Outward) -> Inward:
    """Raises StoreError."""
    store, clock, facts, stack = ground.store, ground.clock, ground.facts, ground.stack
    in_force, github = ground.in_force, outward.github
    hook_ranges = RangeRefresher(
        lambda known: github.main.hook_ranges(known),  # of today's credentials
        store,
        in_force.settings.gh_api_url,
        clock=clock,
        facts=facts,
    )
    if in_force.asks_for_github:
        await hook_ranges.recall()
    hook_ranges.need(needed=in_force.asks_for_github)
    learning = Learning(store)
    await learning.load()
    hooks = HooksAtGithub(github.ask, github.ask_as_app, clock)
    hook_places = HookPlaces(store, in_force, facts)
    stack.callback(facts.subscribe(hook_places.hear, EventRecorded))
    redeliverer = Redeliverer(hooks, in_force, outward.lanes, clock=clock)
    recovery = Recovery(hooks, redeliverer, hook_places, store, in_force, clock=clock, facts=facts)
    fetcher = await stack.enter_async_context(Fetcher())
    return Inward(learning, fetcher, hook_ranges, hooks, hook_places, recovery)
