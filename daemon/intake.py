"""The one door by which events come in: deliveries, firings, and both again on replay. It commits
them, and only then tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from daemon.agenda import next_instants
from daemon.body import parse_json
from daemon.call import judge_call, parse_call
from daemon.catching_up import BACKFILL_MAX
from daemon.dispatch import Dispatch, State
from daemon.errors import Refused
from daemon.event import (
    API_ENTRY,
    Delivery,
    Due,
    Event,
    Firing,
    FiringOutcome,
    FiringRecord,
    Outcome,
    Verdict,
)
from daemon.expressions import rfc3339
from daemon.facts import (
    DispatchAdded,
    DispatchSettled,
    EventRecorded,
    Facts,
    FiringAccounted,
    IncidentNoticed,
)
from daemon.ids import IdSource
from daemon.judge import judge_firing
from daemon.ports import Ledger, Recording, Records
from daemon.rejudging import judged_again
from daemon.render import again
from daemon.routes import Routes
from daemon.schedule import TICK
from daemon.spec import Config, CronSpec

AHEAD_MAX = timedelta(days=366)
"""How far ahead a firing can be asked for."""

BACKFILL_BATCH = 100
"""As many are judged and recorded at a time, so that the event loop has a moment in between."""


class Intake:
    """Judges what has no sender to answer (firings, replays), commits, and publishes."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        records: Records,
        *,
        ids: IdSource,
        clock: Callable[[], datetime],
        facts: Facts,
    ) -> None:
        self._crons = {cron.name: cron for cron in config.crons}
        self._routes = Routes(trigger for trigger in config.triggers if trigger.enabled)
        self._default_repository = config.settings.default_repository
        self._repositories = config.settings.repositories
        self._retention = config.settings.retention
        self._ledger = ledger
        self._records = records
        self._ids = ids
        self._clock = clock
        self._facts = facts

    async def record(self, event: Event, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """Commits an event; returns its verdicts as they stand. Raises StoreUnavailable, and then
        nothing was kept."""
        final = await self._ledger.record(event, verdicts)
        self._tell(event, final)
        return final

    async def account(self, dues: Sequence[Due]) -> None:
        """Commits cron instants with the events of those that fire, in one transaction."""
        events = [self._judged(firing) for due in dues for firing in due.firings]
        accounted = await self._ledger.account(dues, events)
        missed = [(due.cron, each) for due in dues for each in due.missed]
        for cron, each in (*missed, *accounted.missed):
            self._facts.publish(
                FiringAccounted(
                    cron, each.last, FiringOutcome.MISSED, each.reason, each.count, each.wanted
                )
            )
        for event, verdicts in accounted.events:
            self._tell_fired(event)
            self._tell(event, verdicts)
        for incident in accounted.incidents:
            self._facts.publish(IncidentNoticed(incident))

    async def fire(self, name: str, at: datetime | None = None, *, by: str) -> Recording:
        """Fires a cron entry because ``by`` asks for it: now, as if for the instant ``at`` where
        one is given, and not before that. Where its schedule has that instant it counts as fired.
        Raises Refused: 404, or 400 for an instant that is too far ahead."""
        cron = self._cron(name)
        now = self._clock()
        if at is not None and at > now + AHEAD_MAX:
            raise Refused(400, f"{rfc3339(at)} is more than a year ahead")
        event, verdicts = self._judged(Firing(name, at or now, now, by_hand=True), by)
        if at is not None and cron.schedule.next_after(at - TICK) == at:
            for recording in await self._ledger.make_up(name, cron.schedule, [(event, verdicts)]):
                self._tell_fired(event)
                self._tell(*recording)
                return recording
            # It fired before, and is wanted once more.
        return event, await self.record(event, verdicts)

    async def backfill(
        self, name: str, first: datetime, last: datetime | None, *, dry_run: bool, by: str
    ) -> list[tuple[datetime, Event | FiringRecord | None]]:
        """Fires what the entry's schedule has from ``first`` to ``last`` (both included; None: now)
        and did not fire, oldest first, and counts it as fired. For each instant the event that it
        became, or the record of how it fired before; None in a ``dry_run``, which fires nothing.

        Raises Refused: 404 for an unknown entry, 400 for a span that is empty, still to come, older
        than what is known of firings, or holds more than `BACKFILL_MAX` instants.
        """
        cron = self._cron(name)
        now = self._clock()
        last = last or now
        if last < first:
            raise Refused(400, "`to` lies before `from`")
        if last > now:
            raise Refused(400, "`to` is still to come: a backfill makes up for what has passed")
        known_from = now - self._retention
        if first < known_from:
            raise Refused(
                400,
                f"what fired before {rfc3339(known_from)} is not known any more (`retention`), and "
                "might fire twice; `dispatchd fire --at` fires single instants",
            )
        upcoming = await asyncio.to_thread(next_instants, [cron], first - TICK, BACKFILL_MAX + 1)
        instants = [at for at in upcoming[name] if at <= last]
        if len(instants) > BACKFILL_MAX:
            raise Refused(400, f"a backfill takes {BACKFILL_MAX} instants at most: narrow it")
        before = {
            row.scheduled_at: row
            for row in await self._records.booked(name, first, last)
            if row.outcome is FiringOutcome.FIRED
        }
        became: dict[datetime, Event | FiringRecord | None] = dict.fromkeys(instants)
        became |= {at: row for at, row in before.items() if at in became}
        wanted = [at for at in instants if at not in before]
        for start in range(0, 0 if dry_run else len(wanted), BACKFILL_BATCH):
            now = self._clock()
            some = [
                self._judged(Firing(name, at, now, catch_up=True, by_hand=True), by)
                for at in wanted[start : start + BACKFILL_BATCH]
            ]
            for event, verdicts in await self._ledger.make_up(name, cron.schedule, some):
                if isinstance(event.cause, Firing):
                    became[event.cause.scheduled_at] = event
                self._tell_fired(event)
                self._tell(event, verdicts)
        if not dry_run and None in became.values():  # somebody else made up for them meanwhile
            booked = await self._records.booked(name, first, last)
            rows = {row.scheduled_at: row for row in booked}
            became = {at: what or rows.get(at) for at, what in became.items()}
        return list(became.items())

    def _cron(self, name: str) -> CronSpec:
        if name not in self._crons:
            known = ", ".join(sorted(self._crons)) or "none"
            raise Refused(404, f"there is no cron entry {name!r:.100}; there are: {known}")
        return self._crons[name]

    async def replay_event(self, event_id: str, *, by: str) -> Recording:
        """Judges a stored event again under today's config, without authentication and without
        de-duplication. Raises Refused: 404 where it is unknown, 409 where nothing of today's
        config concerns it."""
        original = await self._records.event(event_id)
        if original is None:
            raise Refused(404, f"there is no event {event_id!r:.100}; it may have aged out")
        if isinstance(original.cause, Firing):
            return await self._replay_firing(original, original.cause, by)
        return await self._replay_delivery(original, original.cause, by)

    async def replay_dispatch(self, dispatch_id: str, *, by: str) -> Dispatch:
        """Sends the same request again under a new id. Raises Refused: 404 where it is unknown,
        409 where its request never came about."""
        original = await self._records.dispatch(dispatch_id)
        if original is None:
            raise Refused(404, f"there is no dispatch {dispatch_id!r:.100}; it may have aged out")
        if not original.client_payload:
            raise Refused(
                409,
                f"the request of {original.id} could not be made ({original.reason}); "
                f"mend the entry and replay its event {original.event_id}",
            )
        now = self._clock()
        dispatch = again(original, self._ids.dispatch(now), now)
        await self._ledger.add_dispatches([dispatch])
        self._facts.publish(DispatchAdded(dispatch, by))
        return dispatch

    async def cancel(self, ids: Sequence[str], *, by: str) -> list[tuple[str, State | None]]:
        """Cancels what is not sent yet. For each id the state that it is in now; None: unknown."""
        results = await self._ledger.cancel(ids, self._clock(), f"cancelled by {by}")
        for dispatch_id, state in results:
            dispatch = await self._records.dispatch(dispatch_id)
            if state is State.CANCELLED and dispatch is not None:
                self._facts.publish(DispatchSettled(dispatch))
        return list(results)

    def _judged(self, firing: Firing, by: str = "") -> Recording:
        event = Event(self._ids.event(firing.fired_at), firing, by=by)
        return event, (self._judge_firing(event, firing),)

    def _judge_firing(self, event: Event, firing: Firing) -> Verdict:
        return judge_firing(
            event, firing, self._crons[firing.cron], lambda: self._ids.dispatch(event.at)
        )

    async def _replay_firing(self, original: Event, firing: Firing, by: str) -> Recording:
        if firing.cron not in self._crons:
            raise Refused(409, f"the cron entry {firing.cron!r} of {original.id} is gone")
        now = self._clock()
        event = Event(self._ids.event(now), replace(firing, fired_at=now), original.id, by)
        return event, await self.record(event, (self._judge_firing(event, firing),))

    async def _replay_delivery(self, original: Event, delivery: Delivery, by: str) -> Recording:
        now = self._clock()
        event = Event(self._ids.event(now), replace(delivery, received_at=now), original.id, by)
        if delivery.route == API_ENTRY:
            body = parse_json(delivery.headers, delivery.body)
            call = parse_call(
                body, self._ids.dispatch(now), self._default_repository, self._repositories
            )
            verdict = judge_call(event, call)
            return event, await self.record(event, (verdict,))
        distrusting = await self._distrusting(original)
        judgements = judged_again(
            event, delivery, self._routes, distrusting, lambda: self._ids.dispatch(now)
        )
        if not judgements:
            raise Refused(409, f"no enabled trigger listens on {delivery.path:.200} any more")
        return event, await self.record(event, [each.verdict for each in judgements])

    async def _distrusting(self, event: Event) -> frozenset[str]:
        """The triggers that did not believe the sender then: they do not get to see its body now.
        They are named in the verdicts on the delivery itself, at the root of its replays. Raises
        Refused (409) where that cannot be told any more, or it was a handshake."""
        root = event
        while root.replay_of is not None:
            before = await self._records.event(root.replay_of)
            if before is None:
                raise Refused(
                    409,
                    f"the delivery that {event.id} replayed has aged out, so nobody can tell any "
                    "more which triggers believed its sender",
                )
            root = before
        verdicts = (await self._records.verdicts([root.id])).get(root.id, ())
        if any(verdict.outcome is Outcome.HANDSHAKE for verdict in verdicts):
            raise Refused(409, f"{root.id} is a sender's check of the address, and no delivery")
        return frozenset(v.entry for v in verdicts if v.outcome is Outcome.UNAUTHORIZED)

    def _tell_fired(self, event: Event) -> None:
        if isinstance(event.cause, Firing):
            fired, cause = FiringOutcome.FIRED, event.cause
            self._facts.publish(
                FiringAccounted(cause.cron, cause.scheduled_at, fired, event_id=event.id)
            )

    def _tell(self, event: Event, verdicts: tuple[Verdict, ...]) -> None:
        self._facts.publish(EventRecorded(event, verdicts))
        for verdict in verdicts:
            for incident in verdict.incidents:
                self._facts.publish(IncidentNoticed(incident))
            for dispatch in verdict.dispatches:
                if dispatch.state.final:
                    self._facts.publish(DispatchSettled(dispatch))
