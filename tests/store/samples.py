"""Events, verdicts and dispatches made up for the tests of the store: each by a number, and the
higher number has the younger id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from daemon.dispatch import Attempt, Dispatch, State
from daemon.event import DedupeKey, Delivery, Event, Firing, Outcome, Verdict
from daemon.ids import encode
from daemon.ports import Horizons
from daemon.run import Run
from daemon.store import Store

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LEASE = timedelta(minutes=2)


def id_of(prefix: str, number: int, at: datetime = NOW) -> str:
    return f"{prefix}_{encode((int(at.timestamp() * 1000) << 80) + number)}"


def delivered(number: int, *, at: datetime = NOW, body: bytes = b"{}") -> Event:
    cause = Delivery(
        route="/hooks/{team}",
        method="POST",
        path="/hooks/red",
        headers={"content-type": "application/json"},
        query={"a": "1"},
        params={"team": "red"},
        body=body,
        client_ip="192.0.2.1",
        received_at=at,
    )
    return Event(id_of("evt", number, at), cause)


def fired(number: int, cron: str, scheduled_at: datetime, *, at: datetime = NOW) -> Event:
    return Event(id_of("evt", number, at), Firing(cron, scheduled_at, at, catch_up=True))


def owed(
    number: int,
    event: Event,
    *,
    entry: str = "push",
    due_at: datetime | None = None,
    expires_at: datetime | None = None,
    state: State = State.PENDING,
) -> Dispatch:
    return Dispatch(
        id=id_of("dsp", number, event.at),
        event_id=event.id,
        entry=entry,
        repository="octo/factory",
        event_type="wat-factory",
        client_payload='{"job":"build"}',
        created_at=event.at,
        due_at=due_at or event.at,
        expires_at=expires_at or event.at + DAY,
        state=state,
    )


def key(
    text: str, *, until: datetime = NOW + DAY, fingerprint: str = "", sticky: bool = False
) -> DedupeKey:
    return DedupeKey(text, until, fingerprint, sticky)


def dispatched(
    number: int, event: Event, *, entry: str = "push", dedupe: DedupeKey | None = None
) -> Verdict:
    dispatch = owed(number, event, entry=entry)
    return Verdict(entry, Outcome.DISPATCHED, "", (dispatch,), dedupe)


def attempted(dispatch: Dispatch, number: int = 1, outcome: str = "accepted") -> Attempt:
    return Attempt(
        dispatch_id=dispatch.id,
        number=number,
        started_at=NOW,
        duration=timedelta(milliseconds=250),
        outcome=outcome,
        status=204,
        request_id="AB12:34",
    )


def as_duplicate(verdict: Verdict, first: Event) -> Verdict:
    return replace(verdict, outcome=Outcome.DUPLICATE, dispatches=(), duplicate_of=first.id)


def a_run(
    number: int,
    *,
    title: str,
    status: str = "queued",
    conclusion: str = "success",
    attempt: int = 1,
    workflow: str = "wat-factory.yml",
    event: str = "repository_dispatch",
    at: datetime = NOW,
    repository: str = "octo/factory",
) -> Run:
    """A run as GitHub tells it at that time."""
    return Run(
        repository=repository,
        id=number,
        attempt=attempt,
        workflow=workflow,
        name="Factory",
        title=title,
        event=event,
        status=status,
        conclusion=conclusion if status == "completed" else "",
        branch="main",
        url=f"https://github.com/{repository}/actions/runs/{number}",
        created_at=at,
        updated_at=at,
    )


async def prune(store: Store, before: datetime, limit: int) -> int:
    """Removes as the daemon does what is older: up to ``limit`` events, and rows of each other
    kind. Returns how many went in all."""
    found = await store.finished(before, before, None, limit)
    removed = await store.remove([id_ for _, id_ in found], before)
    return removed + await store.expire(Horizons(before, before, before), limit)
