"""Holds what may have run away: dispatches too deep in a chain, and those of an entry that made too
many. They are recorded and wait for a person."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from sqlalchemy import Connection

from daemon.chain import UNGUARDED, Guards
from daemon.dispatch import TO_SEND, Dispatch, Hold, State
from daemon.event import Event, Firing, Outcome, Verdict
from daemon.incident import Incident, IncidentKind
from daemon.ports import Recording
from daemon.store.tallies import Tallies


def guards_of(connection: Connection) -> Guards:
    """What the store was opened with."""
    found: Guards = connection.get_execution_options().get("guards", UNGUARDED)
    return found


class Guarding:
    """Watches over the events of one commit, one after the other."""

    def __init__(self, connection: Connection, recordings: Sequence[Recording]) -> None:
        self._guards = guards_of(connection)
        self._tallies: Tallies | None = None
        breaker = self._guards.breaker
        if breaker is None:
            return
        watched = [
            (event, verdict.entry)
            for event, verdicts in recordings
            for verdict in verdicts
            if verdict.dispatches and not _asked_for(event)
        ]
        if watched:
            earliest = min([event.at for event, _ in watched])
            self._tallies = Tallies(connection, breaker, {e for _, e in watched}, earliest)

    def watched(self, event: Event, verdict: Verdict) -> Verdict:
        """The verdict, which is held where one of its dispatches may have run away. What somebody
        asked for by hand never is, and does not count."""
        if not verdict.dispatches or _asked_for(event):
            return verdict
        owed = [each for each in verdict.dispatches if each.state in TO_SEND]
        if not owed:
            return verdict
        told: list[Incident] = []
        deep = self._guards.too_deep(owed[0].depth)  # they all descend from the same
        many = ""
        if self._tallies is not None:
            tally = self._tallies.of(verdict.entry)
            # An event that comes in the place of others of the same burst adds nothing.
            made = len(owed) - len(verdict.supersedes)
            many = self._guards.too_many(tally.made + made)
            if deep and not tally.deep:
                told.append(self._incident(IncidentKind.CHAIN, event, owed[0]))
            if many and not tally.held:
                told.append(self._incident(IncidentKind.BREAKER, event, owed[0]))
            self._tallies.add(
                verdict.entry,
                event.at,
                made=made,
                held=len(owed) if many else 0,
                deep=len(owed) if deep else 0,
            )
        elif deep:
            told.append(self._incident(IncidentKind.CHAIN, event, owed[0]))
        if not deep and not many:
            return verdict
        reason = "; ".join(filter(None, (deep, many)))
        by = Hold.DEPTH if deep else Hold.BREAKER
        return replace(
            verdict,
            outcome=Outcome.HELD,
            reason="; ".join(filter(None, (reason, verdict.reason))),
            dispatches=tuple(
                _held(each, by, reason) if each.state in TO_SEND else each
                for each in verdict.dispatches
            ),
            incidents=tuple(told),
        )

    def write(self) -> None:
        """Keeps what was counted."""
        if self._tallies is not None:
            self._tallies.write()

    def _incident(self, kind: IncidentKind, event: Event, first: Dispatch) -> Incident:
        entry = first.entry
        what = (
            f"a chain of dispatches got {first.depth} deep, which is past max_chain_depth "
            f"({self._guards.max_chain_depth}): {first.id} is held, and so is all that goes on "
            f"from there. `dispatchd dispatches --tree {first.id}` shows the chain"
            if kind is IncidentKind.CHAIN
            else f"made more dispatches than its breaker lets through ({self._guards.breaker}): "
            "what it makes is held until that is no longer so. "
            f"`dispatchd dispatches --state held --entry {entry}` shows it"
        )
        text = f"{what}; `dispatchd release --entry {entry}` sends what is held"
        return Incident(entry, kind, event.at, event.at, 1, event.at, text)


def _held(dispatch: Dispatch, by: Hold, reason: str) -> Dispatch:
    before = dispatch.reason if dispatch.state is State.HELD else ""
    words = "; ".join(filter(None, (reason, before)))
    return replace(dispatch, state=State.HELD, held_by=by, reason=words)


def _asked_for(event: Event) -> bool:
    by_hand = isinstance(event.cause, Firing) and event.cause.by_hand
    return by_hand or event.replay_of is not None
