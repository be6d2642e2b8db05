"""What watches over the rest and tells how it stands: health, metrics, the heartbeat, notices, what
systemd hears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from daemon.dispatch import State
from daemon.facts import DispatchSettled, IncidentNoticed, RunNotFound
from daemon.health import Health
from daemon.heartbeat import Heartbeat
from daemon.metrics import Counting, LoopLag, Reading, Scrape
from daemon.notifying import Notifying
from daemon.pauses import Pauses
from daemon.ports import Loaded
from daemon.renewal import Renewal
from daemon.reporter import Reporter
from daemon.systemd import Notifier, watchdog_seconds
from daemon.wiring.ground import Ground
from daemon.wiring.outward import Outward


@dataclass(frozen=True, slots=True)
class Watch:
    """``certificate`` is None where plain HTTP is served."""

    health: Health
    scrape: Scrape
    lag: LoopLag
    heartbeat: Heartbeat
    notifying: Notifying
    certificate: Renewal | None
    reporter: Reporter


def wire_watch(
    ground: Ground,
    outward: Outward,
    counting: Counting,
    pauses: Pauses,
    *,
    behind: Callable[[], timedelta],
    reloaded: Callable[[], Loaded],
) -> Watch:
    """Raises UsageError for a certificate that cannot be shown."""
    store, clock, facts, stack = ground.store, ground.clock, ground.facts, ground.stack
    in_force, environ = ground.in_force, ground.surroundings.environ
    certificate = (
        Renewal(lambda: in_force.settings.tls, clock=clock, facts=facts)
        if in_force.settings.tls is not None
        else None
    )
    health = Health(
        in_force,
        store,
        outward.lanes,
        behind=behind,
        reloaded=reloaded,
        pauses=pauses.standing,
        clock=clock,
        facts=facts,
        simulated=ground.simulated,
        beside=certificate.reasons if certificate else None,
    )
    lag = LoopLag()
    reading = Reading(
        in_force,
        store,
        outward.lanes,
        lag,
        pauses=pauses.standing,
        clock=clock,
        simulated=ground.simulated,
        certificate_ends=(lambda: certificate.ends) if certificate else None,
    )
    heartbeat = Heartbeat(
        # What is simulated must not cover up for a daemon that is dead.
        lambda: None if ground.simulated else in_force.settings.heartbeat_url,
        outward.teller.call,
        health.condition,
        facts,
    )
    notifying = Notifying(
        store,
        lambda: in_force.settings.notify,
        outward.teller.tell,
        health.condition,
        clock=clock,
        facts=facts,
        simulated=ground.simulated,
    )
    going_wrong = (DispatchSettled, RunNotFound, IncidentNoticed)
    stack.callback(facts.subscribe(partial(_wake_notifying, notifying), *going_wrong))
    reporter = Reporter(
        Notifier(environ),
        {"store": store.ping, "dispatcher": outward.dispatcher.turn},
        store.counts,
        watchdog=watchdog_seconds(environ),
        facts=facts,
    )
    stack.callback(facts.subscribe(reporter.hear))
    scrape = Scrape(counting, reading)
    return Watch(health, scrape, lag, heartbeat, notifying, certificate, reporter)


def _wake_notifying(
    notifying: Notifying, fact: DispatchSettled | RunNotFound | IncidentNoticed
) -> None:
    if not isinstance(fact, DispatchSettled) or fact.dispatch.state is State.DEAD:
        notifying.wake()
