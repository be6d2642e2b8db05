"""Counts the facts. Each costs a few additions; whatever else there is to do is done when the
figures are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from daemon.dispatch import State
from daemon.event import API_ENTRY, Delivery, FiringOutcome, Outcome
from daemon.facts import (
    AttemptMade,
    ConfigRefused,
    ConfigReloaded,
    DispatchAdded,
    DispatchSettled,
    EventRecorded,
    Fact,
    FiringAccounted,
    FollowUpSettled,
    IncidentNoticed,
    RequestRefused,
    RunNotFound,
    RunSeen,
    Started,
    Trouble,
)
from daemon.incident import IncidentKind
from daemon.measures import Histogram
from daemon.metrics import families, labels
from daemon.metrics.families import Measured
from daemon.metrics.labels import Known
from daemon.spec import Config

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LATENESS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)
ANSWER = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0)
WAIT = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
START = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)

Counts = Counter[tuple[str, ...]]


class Counting:
    """Subscribes to the facts. What matters most of an entry is there from the start, as 0: of a
    series that begins with 1, Prometheus sees no increase."""

    def __init__(self, config: Config, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._generation = 0
        self._reloads = _zeros(("taken_over", "refused"))
        self._config_refused = False
        self._deliveries = Counts()
        self._refused = _zeros(("400", "401", "403", "404", "413", "429", "503"))
        self._firings, self._incidents = Counts(), Counts()
        self._made, self._settled, self._runs = Counts(), Counts(), Counts()
        self._attempts = Counts({("accepted", "204"): 0})
        self._follow_ups = Counts()
        self._matches = _zeros(("verified", "probable", "ambiguous", "missing"))
        self._troubles = _zeros(("dispatcher", "http", "scheduler", "store"))
        self._intake = Histogram(QUICK)
        self._lateness = Histogram(LATENESS)
        self._attempt_duration = Histogram(ANSWER)
        self._acceptance = Histogram(WAIT)
        self._run_start = Histogram(START)
        self._counting: Mapping[type[Fact], Callable[[Any], None]] = {
            EventRecorded: self._record,
            DispatchAdded: self._add,
            RequestRefused: self._refuse,
            FiringAccounted: self._account,
            IncidentNoticed: self._notice,
            AttemptMade: self._attempt,
            DispatchSettled: self._settle,
            FollowUpSettled: self._follow_up,
            RunSeen: self._see,
            RunNotFound: self._miss,
            Trouble: self._trouble,
            Started: self._start,
            ConfigReloaded: self._reload,
            ConfigRefused: self._refuse_config,
        }
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """From now on the entries of this config have series, and what was counted of others has
        none any more."""
        self._known = known = Known(config)
        triggers, crons = (*known.triggers, API_ENTRY), known.crons
        entries = (*crons, *triggers)
        of_entries = [
            (self._deliveries, _zeros(triggers, (Outcome.DISPATCHED, Outcome.ERROR))),
            (self._firings, _zeros(crons, FiringOutcome)),
            (self._incidents, _zeros(crons, (IncidentKind.MISSED, IncidentKind.LATE))),
            (self._made, _zeros(entries)),
            (self._settled, _zeros(entries, (State.ACCEPTED, State.DEAD))),
            (self._runs, _zeros(entries, ("success", "failure"))),
        ]
        for counts, zeros in of_entries:
            kept = {key: n for key, n in counts.items() if known[key[0]] == key[0]}
            counts.clear()
            counts.update(zeros | kept)

    def hear(self, fact: Fact) -> None:
        if (count := self._counting.get(type(fact))) is not None:
            count(fact)

    def _record(self, fact: EventRecorded) -> None:
        cause, verdicts, known = fact.event.cause, fact.verdicts, self._known
        if isinstance(cause, Delivery):
            deliveries = self._deliveries
            for verdict in verdicts:
                deliveries[known[verdict.entry], verdict.outcome] += 1
            self._intake.observe(_seconds(self._clock() - cause.received_at))
        elif not cause.catch_up and not cause.by_hand and fact.event.replay_of is None:
            self._lateness.observe(_seconds(self._clock() - cause.scheduled_at))
        for verdict in verdicts:
            if verdict.dispatches:
                self._made[known[verdict.entry],] += len(verdict.dispatches)
            if verdict.supersedes:
                superseded = known[verdict.entry], State.SUPERSEDED
                self._settled[superseded] += len(verdict.supersedes)

    def _add(self, fact: DispatchAdded) -> None:
        self._made[self._known[fact.dispatch.entry],] += 1

    def _refuse(self, fact: RequestRefused) -> None:
        self._refused[labels.status(fact.status),] += 1

    def _account(self, fact: FiringAccounted) -> None:
        self._firings[self._known[fact.cron], fact.outcome] += fact.count

    def _notice(self, fact: IncidentNoticed) -> None:
        incident = fact.incident
        self._incidents[self._known[incident.entry], incident.kind] += incident.count

    def _attempt(self, fact: AttemptMade) -> None:
        attempt = fact.attempt
        self._attempts[attempt.outcome, labels.status(attempt.status)] += 1
        self._attempt_duration.observe(attempt.duration.total_seconds())

    def _settle(self, fact: DispatchSettled) -> None:
        dispatch = fact.dispatch
        self._settled[self._known[dispatch.entry], dispatch.state] += 1
        if dispatch.state is State.ACCEPTED and dispatch.settled_at is not None:
            self._acceptance.observe(_seconds(dispatch.settled_at - dispatch.created_at))

    def _follow_up(self, fact: FollowUpSettled) -> None:
        self._follow_ups[fact.follow_up.cause, fact.follow_up.state] += 1

    def _see(self, fact: RunSeen) -> None:
        dispatch, run, before = fact.dispatch, fact.run, fact.before
        if before is None:
            self._matches[dispatch.match,] += 1
            self._run_start.observe(_seconds(run.created_at - dispatch.created_at))
        if run.ended and (before is None or not before.ended or before.attempt != run.attempt):
            self._runs[self._known[dispatch.entry], labels.conclusion(run.conclusion)] += 1

    def _miss(self, fact: RunNotFound) -> None:
        self._matches[fact.dispatch.match,] += 1

    def _trouble(self, fact: Trouble) -> None:
        self._troubles[labels.part(fact.part),] += 1

    def _start(self, _: Started) -> None:
        self._generation = 1

    def _reload(self, fact: ConfigReloaded) -> None:
        self._generation = fact.generation
        self._reloads["taken_over",] += 1
        self._config_refused = False

    def _refuse_config(self, _: ConfigRefused) -> None:
        self._reloads["refused",] += 1
        self._config_refused = True

    def measured(self) -> list[Measured]:
        """All that was counted up to now."""
        return [
            (families.DELIVERIES, self._deliveries),
            (families.REFUSED, self._refused),
            (families.INTAKE, {(): self._intake}),
            (families.FIRINGS, self._firings),
            (families.LATENESS, {(): self._lateness}),
            (families.INCIDENTS, self._incidents),
            (families.MADE, self._made),
            (families.SETTLED, self._settled),
            (families.ATTEMPTS, self._attempts),
            (families.ATTEMPT_DURATION, {(): self._attempt_duration}),
            (families.ACCEPTANCE, {(): self._acceptance}),
            (families.FOLLOW_UPS, self._follow_ups),
            (families.RUN_MATCHES, self._matches),
            (families.RUNS, self._runs),
            (families.RUN_START, {(): self._run_start}),
            (families.TROUBLES, self._troubles),
            (families.GENERATION, {(): self._generation}),
            (families.RELOADS, self._reloads),
            (families.CONFIG_REFUSED, {(): self._config_refused}),
        ]


def _zeros(*values: tuple[str, ...] | type[FiringOutcome]) -> Counts:
    return Counts(dict.fromkeys(product(*values), 0))


def _seconds(span: timedelta) -> float:
    """A clock that was set back makes no negative time."""
    return max(span.total_seconds(), 0.0)
