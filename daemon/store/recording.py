"""Intake: events with their verdicts, the dispatches they owe, and the keys by which a repeated
delivery is known. All recordings of one commit are written together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, select

from daemon.chain import NOWHERE, Descent, Place
from daemon.dispatch import TO_SEND, Dispatch, State
from daemon.event import Burst, DedupeKey, Event, Outcome, RateLimit, Verdict
from daemon.expressions import rfc3339
from daemon.incident import Incident
from daemon.render import descended
from daemon.store import incidents, outbox, schema
from daemon.store.bulk import insert_all, rows_of
from daemon.store.bursts import Bursts
from daemon.store.chains import places
from daemon.store.engine import Upsert, chunks, insert
from daemon.store.guarding import Guarding
from daemon.store.rates import Rates
from daemon.store.rows import EVENT_ROW, event_row

Recording = tuple[Event, tuple[Verdict, ...]]
Key = tuple[str, str]  # an entry, and a de-duplication key of its own

EVENTS = schema.events.insert()
VERDICTS = schema.verdicts.insert()
VERDICT_ROW = ("event_id", "position", "entry", "outcome", "reason", "duplicate_of")
KEY_ROW = ("entry", "key", "event_id", "fingerprint", "sticky", "expires_at")

TAKEN = (
    select(*(schema.dedupe.c[name] for name in KEY_ROW))
    .where(
        schema.dedupe.c.entry.in_(bindparam("entries", expanding=True)),
        schema.dedupe.c.key.in_(bindparam("keys", expanding=True)),
    )
    .with_for_update()
)
GAVE_UP = frozenset({State.DEAD, State.CANCELLED})


class First(Struct, frozen=True):
    """The event that took a key. ``void`` says that all it owed was given up, so that the next
    delivery may take its place."""

    event_id: str
    fingerprint: str
    sticky: bool
    expires_at: datetime
    void: bool = False

    def bars(self, at: datetime) -> bool:
        """Whether a delivery that came in at ``at`` under the same key is a duplicate."""
        return at < self.expires_at and (self.sticky or not self.void)


def record(connection: Connection, recordings: Sequence[Recording]) -> list[tuple[Verdict, ...]]:
    """Writes the events and all that hangs on them; returns the verdicts as they were written: a
    repeated delivery has become a duplicate, one above its rate limit is limited, and neither owes
    anything; one of a burst waits for its end, and what may have run away is held."""
    entries: set[str] = set()
    keys: set[str] = set()
    descents: set[Descent] = set()
    for _, verdicts in recordings:
        for verdict in verdicts:
            if verdict.dedupe is not None:
                entries.add(verdict.entry)
                keys.update(verdict.dedupe.keys)
            if verdict.descent is not None and verdict.dispatches:
                descents.add(verdict.descent)
    past = _Past(
        _firsts(connection, entries, keys),
        Rates(connection),
        Bursts(connection),
        places(connection, descents),
        Guarding(connection, recordings),
    )
    final = [past.settled(event, verdicts) for event, verdicts in recordings]
    if past.overtaken:
        final = [tuple(past.overtaking(verdict) for verdict in verdicts) for verdicts in final]
    _insert(connection, [event for event, _ in recordings], final)
    _take(connection, past.taken)
    past.rates.write()
    past.bursts.write()
    past.guarding.write()
    incidents.record(connection, past.incidents)
    outbox.save(connection, past.superseded)
    return final


@dataclass(slots=True)
class _Past:
    """What came before the events of one commit, each of which becomes part of it for the next:
    who has which key, by key and entry (``taken``: since this commit), what was admitted and waits,
    and what is to be heard of. Of the dispatches that are superseded, ``overtaken`` are those of
    this very commit, by id."""

    firsts: dict[str, dict[str, First]]
    rates: Rates
    bursts: Bursts
    places: Mapping[Descent, Place]
    guarding: Guarding
    taken: dict[Key, First] = field(default_factory=dict)
    superseded: list[Dispatch] = field(default_factory=list)
    overtaken: dict[str, Dispatch] = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)

    def settled(self, event: Event, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """The verdicts on the event as they stand after all that was before."""
        at = event.at
        return tuple([self._settled(event, at, verdict) for verdict in verdicts])

    def _settled(self, event: Event, at: datetime, verdict: Verdict) -> Verdict:
        dedupe, limit = verdict.dedupe, verdict.limit
        if dedupe is not None:
            for key in dedupe.keys:
                first = self.firsts[key].get(verdict.entry) if key in self.firsts else None
                if first is not None and first.bars(at):
                    return _duplicate(verdict, dedupe, key, first)
        if limit is not None and any(each.state in TO_SEND for each in verdict.dispatches):
            retry_at = self.rates.admit(verdict.entry, limit, event)
            if retry_at is not None:
                return _limited(verdict, limit, retry_at)
        if verdict.descent is not None:
            verdict = _descended(verdict, self.places.get(verdict.descent, NOWHERE))
        if verdict.burst is not None:
            verdict = self._joined(event, verdict, verdict.burst)
        if verdict.dispatches:
            verdict = self.guarding.watched(event, verdict)
            self.incidents += verdict.incidents
        if dedupe is not None and verdict.outcome.counts_as_first:
            self._take(event, verdict, dedupe)
        return verdict

    def overtaking(self, verdict: Verdict) -> Verdict:
        """The verdict with those of its dispatches superseded that a later event of the same
        commit goes instead of."""
        if not any(dispatch.id in self.overtaken for dispatch in verdict.dispatches):
            return verdict
        dispatches = (self.overtaken.get(each.id, each) for each in verdict.dispatches)
        return replace(verdict, dispatches=tuple(dispatches))

    def _joined(self, event: Event, verdict: Verdict, burst: Burst) -> Verdict:
        place = self.bursts.join(verdict.entry, burst, event, verdict.dispatches)
        if place.in_commit:
            self.overtaken |= {dispatch.id: dispatch for dispatch in place.superseded}
        else:
            self.superseded += place.superseded
        supersedes = tuple(dispatch.id for dispatch in place.superseded)
        return replace(verdict, dispatches=place.dispatches, supersedes=supersedes)

    def _take(self, event: Event, verdict: Verdict, dedupe: DedupeKey) -> None:
        first = First(
            event.id,
            dedupe.fingerprint,
            dedupe.sticky,
            dedupe.expires_at,
            _gave_up([dispatch.state for dispatch in verdict.dispatches]),
        )
        for key in dedupe.keys:
            self.firsts.setdefault(key, {})[verdict.entry] = first
            self.taken[verdict.entry, key] = first


def _descended(verdict: Verdict, place: Place) -> Verdict:
    if place == NOWHERE:
        return verdict
    dispatches = tuple(descended(each, place) for each in verdict.dispatches)
    reason = "; ".join(filter(None, (verdict.reason, place.remark)))
    return replace(verdict, dispatches=dispatches, reason=reason)


def _limited(verdict: Verdict, limit: RateLimit, retry_at: datetime) -> Verdict:
    return replace(
        verdict,
        outcome=Outcome.LIMITED,
        reason=f"above its rate limit of {limit.max}, which has room again at {rfc3339(retry_at)}",
        dispatches=(),
        retry_at=retry_at,
    )


def _duplicate(verdict: Verdict, dedupe: DedupeKey, key: str, first: First) -> Verdict:
    prints = (dedupe.fingerprint, first.fingerprint)
    conflict = all(prints) and prints[0] != prints[1]
    reason = ""
    if conflict:
        reason = "the first request under this key was another one"
    elif key == dedupe.also:
        reason = (
            "the same body came before under another id, which nothing signs: it may have been "
            "captured and sent again (where equal bodies are no repetition, set `dedupe`)"
        )
    return replace(
        verdict,
        outcome=Outcome.DUPLICATE,
        reason=reason,
        dispatches=(),
        duplicate_of=first.event_id,
        conflict=conflict,
    )


def _gave_up(states: Collection[State]) -> bool:
    """An event that owes nothing at all has given up nothing."""
    return bool(states) and GAVE_UP.issuperset(states)


def _firsts(
    connection: Connection, entries: Collection[str], keys: Collection[str]
) -> dict[str, dict[str, First]]:
    """Who has the keys, by key and entry, as far as anybody has."""
    found: list[Sequence[Any]] = []
    # As a rule a delivery has the same key for every entry: to ask for all keys of all entries is
    # one statement that is always the same, where one for each pair would be made anew every time.
    for some_entries in chunks(entries):
        for some in chunks(keys):
            found += rows_of(connection, TAKEN, {"entries": some_entries, "keys": some})
    if not found:  # nearly always
        return {}
    # What became of their dispatches matters for keys that a failure sets free, only.
    firsts: dict[str, dict[str, First]] = {}
    loose = {event_id for _, _, event_id, _, sticky, _ in found if not sticky}
    states = _states(connection, loose)
    for entry, key, event_id, fingerprint, sticky, expires_at in found:
        void = _gave_up(states.get((event_id, entry), []))
        first = First(event_id, fingerprint, sticky, expires_at, void)
        firsts.setdefault(key, {})[entry] = first
    return firsts


def _states(connection: Connection, event_ids: Collection[str]) -> dict[Key, list[State]]:
    """The states of the events' dispatches, by event and entry."""
    table = schema.dispatches
    states: dict[Key, list[State]] = {}
    for some in chunks(event_ids):
        for row in connection.execute(
            select(table.c.event_id, table.c.entry, table.c.state).where(table.c.event_id.in_(some))
        ):
            states.setdefault((row.event_id, row.entry), []).append(row.state)
    return states


def _insert(
    connection: Connection, events: Sequence[Event], verdicts: Sequence[Sequence[Verdict]]
) -> None:
    verdict_rows = [
        (
            *(event.id, position, verdict.entry, verdict.outcome),
            *(verdict.reason, verdict.duplicate_of),
        )
        for event, several in zip(events, verdicts, strict=True)
        for position, verdict in enumerate(several)
    ]
    insert_all(connection, EVENTS, EVENT_ROW, [event_row(event) for event in events])
    insert_all(connection, VERDICTS, VERDICT_ROW, verdict_rows)
    outbox.add(connection, [verdict.dispatches for several in verdicts for verdict in several])


def _take(connection: Connection, taken: Mapping[Key, First]) -> None:
    """Writes the keys to their new owners, over those that expired or gave up."""
    rows = [
        (*key, first.event_id, first.fingerprint, first.sticky, first.expires_at)
        for key, first in taken.items()
    ]
    insert_all(connection, _taking(connection.dialect.name), KEY_ROW, rows)


@cache
def _taking(dialect: str) -> Upsert:
    statement = insert(dialect, schema.dedupe)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["entry", "key"],
        set_={
            "event_id": new.event_id,
            "fingerprint": new.fingerprint,
            "sticky": new.sticky,
            "expires_at": new.expires_at,
        },
    )
