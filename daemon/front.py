"""What answers requests by one config. It keeps nothing: of the next config another one is made,
and whatever this one began to answer it answers to the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from aiohttp import web

from daemon.admission import Admission
from daemon.api import Api, Handler, Overseer, Scrape
from daemon.arming import Arming
from daemon.branches import Branches
from daemon.by_hand import ByHand
from daemon.client import Fetcher
from daemon.dispatch_route import DispatchRoute
from daemon.facts import Facts
from daemon.hook_places import HookPlaces
from daemon.hook_ranges import RangeRefresher
from daemon.hooking import Hooking
from daemon.hooks_at_github import HooksAtGithub
from daemon.ids import IdSource
from daemon.in_force import InForce
from daemon.intake import Intake
from daemon.learning import Learning
from daemon.pauses import Pauses
from daemon.pausing import Pausing
from daemon.receiver import Receiver
from daemon.recovery import Recovery
from daemon.refusals import Refusals
from daemon.releasing import Releasing
from daemon.reloading import Reloading
from daemon.scheduler import Scheduler
from daemon.settlements import Settlements
from daemon.store import Store
from daemon.throttle import Throttle


@dataclass(frozen=True, slots=True)
class Lasting:
    """What every front works with, and what a reload leaves alone."""

    store: Store
    ids: IdSource
    clock: Callable[[], datetime]
    elapsed: Callable[[], float]
    facts: Facts
    throttle: Throttle
    pauses: Pauses
    learning: Learning
    fetcher: Fetcher
    hook_ranges: RangeRefresher
    hooks: HooksAtGithub
    hook_places: HookPlaces
    recovery: Recovery
    branches: Branches
    settlements: Settlements
    refusals: Refusals
    overseer: Overseer
    scrape: Scrape
    reloading: Reloading


class Route(NamedTuple):
    """One of the daemon's own; ``options`` are aiohttp's."""

    handler: Handler
    options: Mapping[str, Any]


ANYTHING = "/{path:(?s:.*)}"
"""A route's pattern for every path that there can be, with a line feed in it as well."""

Routes = Mapping[tuple[str, str], Route]
"""By method and path, which are the same of every config."""


@dataclass(frozen=True, slots=True)
class Front:
    """``public`` are the routes for everybody and ``private`` those for admins."""

    intake: Intake
    public: Routes
    private: Routes


def front_of(in_force: InForce, scheduler: Scheduler, lasting: Lasting) -> Front:
    """Made of a config whose secrets all resolved. Opens nothing."""
    config, settings = in_force.config, in_force.settings
    store, ids, clock, facts = lasting.store, lasting.ids, lasting.clock, lasting.facts
    intake = Intake(config, store, store, ids=ids, clock=clock, facts=facts)
    receiver = Receiver(
        config.triggers,
        intake.record,
        learning=lasting.learning,
        fetch=lasting.fetcher.fetch,
        hook_ranges=lasting.hook_ranges.known,
        paused=lasting.pauses.of,
        public_url=settings.public_url,
        ids=ids,
        clock=clock,
        facts=facts,
    )
    api = Api(
        Admission(settings.every_api_key, lasting.throttle, clock=clock, elapsed=lasting.elapsed),
        DispatchRoute(
            settings, intake.record, store, ids=ids, clock=clock, settlements=lasting.settlements
        ).handle,
        Arming(config.triggers, lasting.learning, clock),
        Pausing(config, lasting.pauses, scheduler.catch_up),
        ByHand(intake, lasting.pauses.of),
        Hooking(config, lasting.hooks, in_force.hook_urls, lasting.hook_places, lasting.recovery),
        Releasing(config, store, clock, facts),
        lasting.reloading,
        lasting.branches,
        intake,
        store,
        lasting.overseer,
        lasting.refusals,
        lasting.scrape,
        facts,
    )
    return Front(
        intake,
        _by_route(api.routes(trusted=False), receiver.handle),
        _by_route(api.routes(trusted=True), api.nowhere),
    )


def _by_route(routes: list[web.RouteDef], whatever_else: Handler) -> Routes:
    own = {
        (route.method, route.path): Route(cast("Handler", route.handler), route.kwargs)
        for route in routes
    }
    return {**own, ("*", ANYTHING): Route(whatever_else, {})}
