"""What became of cron instants: ``firings`` and ``incidents`` show it, ``backfill`` makes up for
it."""

from __future__ import annotations

from typing import Any

from daemon.cli.acting import show
from daemon.cli.answers import BACKFILLED, FIRINGS, INCIDENTS
from daemon.cli.connection import Connection
from daemon.cli.layout import Listing
from daemon.cli.names import segment
from daemon.cli.offline import exact_instant, instant
from daemon.cli.showing import given, look, member, print_answer
from daemon.cli.tables import moment, plain, put, warn, word
from daemon.cli.target import Target, ask
from daemon.event import FiringOutcome
from daemon.expressions import rfc3339
from daemon.store import Store
from daemon.views import firing_view, incident_view

Answer = dict[str, Any]


def show_firings(
    target: Target,
    cron: str | None,
    limit: int,
    outcome: str | None,
    before: str | None,
    *,
    as_json: bool,
) -> None:
    """Raises UsageError for an unknown outcome, NoDaemon where nothing can be read."""
    wanted: FiringOutcome | None = member(FiringOutcome, outcome, "--outcome")
    until = instant(before, "--before") if before else None

    async def from_daemon(daemon: Connection) -> Answer:
        query = given(
            limit=str(limit),
            cron=cron,
            outcome=outcome,
            before=rfc3339(until) if until else None,
        )
        return await daemon.get("/api/v1/firings", FIRINGS, query)

    async def from_store(store: Store) -> Answer:
        found = await store.firings(limit, cron, wanted, until)
        return {"firings": [firing_view(each) for each in found]}

    print_answer(look(target, from_daemon, from_store), as_json, _firing_rows)


def show_incidents(target: Target, entry: str | None, limit: int, *, as_json: bool) -> None:
    """Raises NoDaemon where nothing can be read."""

    async def from_daemon(daemon: Connection) -> Answer:
        query = given(limit=str(limit), entry=entry)
        return await daemon.get("/api/v1/incidents", INCIDENTS, query)

    async def from_store(store: Store) -> Answer:
        found = await store.incidents(limit, entry)
        return {"incidents": [incident_view(each) for each in found]}

    print_answer(look(target, from_daemon, from_store), as_json, _incident_rows)


def backfill(
    target: Target, cron: str, first: str, last: str | None, *, dry_run: bool, as_json: bool
) -> None:
    """Raises UsageError for an instant that cannot be read."""
    body: Answer = {"from": rfc3339(exact_instant(first, "--from")), "dry_run": dry_run}
    if last:
        body["to"] = rfc3339(exact_instant(last, "--to"))
    path = f"/api/v1/crons/{segment(cron)}/backfill"
    answer = ask(target, lambda daemon: daemon.post(path, BACKFILLED, body))
    if warning := answer.get("warning"):
        warn(warning)
    instants = answer["instants"]
    if instants and not as_json:
        rows = Listing(("scheduled for", "outcome", "event"))
        for each in instants:
            rows.add(moment(each["scheduled_at"]), word(each["outcome"]), plain(each["event_id"]))
        put(rows)
    new = sum(each["outcome"] in ("fired", "would fire") for each in instants)
    verb = "would fire" if dry_run else "fired"
    show(answer, as_json, f"{cron}: of {len(instants)} instants {new} {verb}")


def _firing_rows(answer: Answer) -> Listing:
    rows = Listing(("scheduled for", "cron", "outcome", "event", "why"))
    for each in answer["firings"]:
        many = f" ({each['count']} since {moment(each['first'])})" if each["first"] else ""
        rows.add(
            moment(each["scheduled_at"]),
            plain(each["cron"]),
            word(each["outcome"]),
            plain(each["event_id"]),
            plain(each["reason"] + many),
        )
    return rows


def _incident_rows(answer: Answer) -> Listing:
    rows = Listing(("at", "entry", "kind", "instants", "last", "why"))
    for each in answer["incidents"]:
        rows.add(
            moment(each["at"]),
            plain(each["entry"]),
            word(each["kind"]),
            str(each["count"]),
            moment(each["last"]),
            plain(each["text"]),
        )
    return rows
