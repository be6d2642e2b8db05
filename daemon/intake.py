"""The one door by which events come in: deliveries, firings, and both again on replay. It commits
them, and only then tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from daemon.body import parse_json
from daemon.call import judge_call, parse_call
from daemon.dispatch import Dispatch, State
from daemon.errors import Refused
from daemon.event import API_ENTRY, Delivery, Due, Event, Firing, FiringOutcome, Outcome, Verdict
from daemon.facts import DispatchAdded, DispatchSettled, EventRecorded, Facts, FiringAccounted
from daemon.ids import IdSource
from daemon.judge import body_of, judge_delivery, judge_firing
from daemon.ports import Ledger, Records
from daemon.render import again
from daemon.routes import Routes
from daemon.spec import Config


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
        recorded = await self._ledger.account(dues, events)
        for due in dues:
            for missed in due.missed:
                self._facts.publish(
                    FiringAccounted(due.cron, missed.last, FiringOutcome.MISSED, missed.reason)
                )
        for event, verdicts in recorded:
            if isinstance(event.cause, Firing):
                self._facts.publish(
                    FiringAccounted(event.cause.cron, event.cause.scheduled_at, FiringOutcome.FIRED)
                )
            self._tell(event, verdicts)

    async def fire(self, name: str) -> tuple[Event, tuple[Verdict, ...]]:
        """Fires a cron entry now, by hand; its schedule is not touched. Raises Refused 404."""
        if name not in self._crons:
            known = ", ".join(sorted(self._crons)) or "none"
            raise Refused(404, f"there is no cron entry {name!r:.100}; there are: {known}")
        now = self._clock()
        event, verdicts = self._judged(Firing(name, now, now, by_hand=True))
        return event, await self.record(event, verdicts)

    async def replay_event(self, event_id: str) -> tuple[Event, tuple[Verdict, ...]]:
        """Judges a stored event again under today's config, without authentication and without
        de-duplication. Raises Refused: 404 where it is unknown, 409 where nothing of today's
        config concerns it."""
        original = await self._records.event(event_id)
        if original is None:
            raise Refused(404, f"there is no event {event_id!r:.100}; it may have aged out")
        if isinstance(original.cause, Firing):
            return await self._replay_firing(original, original.cause)
        return await self._replay_delivery(original, original.cause)

    async def replay_dispatch(self, dispatch_id: str) -> Dispatch:
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
        self._facts.publish(DispatchAdded(dispatch))
        return dispatch

    async def cancel(self, ids: Sequence[str]) -> list[tuple[str, State | None]]:
        """Cancels what is not sent yet. For each id the state that it is in now; None: unknown."""
        results = await self._ledger.cancel(ids, self._clock(), "cancelled by hand")
        for dispatch_id, state in results:
            dispatch = await self._records.dispatch(dispatch_id)
            if state is State.CANCELLED and dispatch is not None:
                self._facts.publish(DispatchSettled(dispatch))
        return list(results)

    def _judged(self, firing: Firing) -> tuple[Event, tuple[Verdict, ...]]:
        event = Event(self._ids.event(firing.fired_at), firing)
        return event, (self._judge_firing(event, firing),)

    def _judge_firing(self, event: Event, firing: Firing) -> Verdict:
        return judge_firing(
            event, firing, self._crons[firing.cron], lambda: self._ids.dispatch(event.at)
        )

    async def _replay_firing(
        self, original: Event, firing: Firing
    ) -> tuple[Event, tuple[Verdict, ...]]:
        if firing.cron not in self._crons:
            raise Refused(409, f"the cron entry {firing.cron!r} of {original.id} is gone")
        now = self._clock()
        event = Event(self._ids.event(now), replace(firing, fired_at=now), original.id)
        return event, await self.record(event, (self._judge_firing(event, firing),))

    async def _replay_delivery(
        self, original: Event, delivery: Delivery
    ) -> tuple[Event, tuple[Verdict, ...]]:
        now = self._clock()
        event = Event(self._ids.event(now), replace(delivery, received_at=now), original.id)
        if delivery.route == API_ENTRY:
            body = parse_json(delivery.headers, delivery.body)
            call = parse_call(
                body, self._ids.dispatch(now), self._default_repository, self._repositories
            )
            verdict = judge_call(event, call)
            return event, await self.record(event, (verdict,))
        match = self._routes.match(delivery.path)
        panel = match.route.panels.get(delivery.method) if match else None
        distrusting = await self._distrusting(original)
        triggers = [
            trigger
            for trigger in (panel.triggers if panel else ())
            if trigger.name not in distrusting
        ]
        if match is None or not triggers:
            raise Refused(409, f"no enabled trigger listens on {delivery.path:.200} any more")
        judgements = judge_delivery(
            event,
            replace(delivery, route=match.route.path, params=match.params),
            body_of(delivery, triggers),
            triggers,
            lambda: self._ids.dispatch(now),
            by_hand=True,
        )
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

    def _tell(self, event: Event, verdicts: tuple[Verdict, ...]) -> None:
        self._facts.publish(EventRecorded(event, verdicts))
        for verdict in verdicts:
            for dispatch in verdict.dispatches:
                if dispatch.state.final:
                    self._facts.publish(DispatchSettled(dispatch))
