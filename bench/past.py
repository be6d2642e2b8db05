"""Gives a database a past, or work to do: deliveries with all that hangs on them, written faster
than they could ever come in."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.home import Home
from bench.plan import say
from daemon.ids import IdSource
from daemon.store import Store

SPAN = timedelta(days=29)
"""How far the past goes back: a day less than the daemon keeps."""

DEDUPE_WINDOW = timedelta(hours=24)
SEND_WITHIN = timedelta(hours=24)
BATCH = 10_000

HEADERS = json.dumps({"content-type": "application/json", "x-github-event": "push"})
BODY = json.dumps({"ref": "refs/heads/main", "filler": "x" * 1000}).encode()

INSERTS = {
    "events": "INSERT INTO events (id, kind, source, at, method, path, headers, query, params,"
    " body, client_ip) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "verdicts": "INSERT INTO verdicts (event_id, position, entry, outcome, reason)"
    " VALUES (?, ?, ?, ?, ?)",
    "dispatches": "INSERT INTO dispatches (id, event_id, entry, repository, event_type,"
    " client_payload, created_at, due_at, expires_at, state, reason, attempts, retry_until,"
    " settled_at, wake_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "attempts": "INSERT INTO attempts (dispatch_id, number, started_at, duration, outcome, status,"
    " message, request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "dedupe": "INSERT INTO dedupe (entry, key, event_id, fingerprint, sticky, expires_at)"
    " VALUES (?, ?, ?, ?, ?, ?)",
}


@dataclass(slots=True)
class Rows:
    """Rows on their way into the tables, in the order of ``INSERTS``."""

    database: sqlite3.Connection
    waiting: dict[str, list[Sequence[Any]]] = field(
        default_factory=lambda: {table: [] for table in INSERTS}
    )

    def write(self) -> None:
        for table, rows in self.waiting.items():
            self.database.executemany(INSERTS[table], rows)
            rows.clear()
        self.database.commit()


def owe(home: Home, count: int) -> None:
    """Adds ``count`` deliveries of now whose dispatches wait to be sent. The daemon must not be
    running."""
    now = datetime.now(UTC)
    with closing(_opened(home, now)) as database:
        rows, ids = Rows(database), IdSource()
        for number in range(count):
            _add(rows, ids, now, f"waiting-{number}", sent=False)
        rows.write()


def remember(home: Home, count: int) -> None:
    """Adds ``count`` deliveries that were dispatched and accepted, spread over `SPAN`: four rows
    each, and two de-duplication keys for those whose window is open. The daemon must not be
    running.
    """
    now = datetime.now(UTC)
    with closing(_opened(home, now)) as database:
        database.execute("PRAGMA synchronous = OFF")
        rows, ids = Rows(database), IdSource()
        for number in range(count):
            at = now - SPAN * (1 - number / count)
            key = f"past-{number}"
            event_id = _add(rows, ids, at, key, sent=True)
            if (expires_at := at + DEDUPE_WINDOW) > now:
                signed = f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
                for taken in (key, signed):  # its id, and what was signed
                    row = ("push", taken, event_id, "", False, _micros(expires_at))
                    rows.waiting["dedupe"].append(row)
            if number % BATCH == 0:
                rows.write()
            if number % (10 * BATCH) == 0:
                say(f"history: {number:,} of {count:,} deliveries written")
        rows.write()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _opened(home: Home, now: datetime) -> sqlite3.Connection:
    """The daemon's database, with its schema."""

    async def create() -> None:
        store = Store.open(home.environ["DISPATCHD_DATABASE_URL"], owner="bench", now=now)
        await store.close()

    asyncio.run(create())
    return sqlite3.connect(home.database)


def _add(rows: Rows, ids: IdSource, at: datetime, key: str, *, sent: bool) -> str:
    """Puts one delivery into the rows; returns the event's id."""
    event_id, dispatch_id, when = ids.event(at), ids.dispatch(at), _micros(at)
    settled = when + 250_000
    payload = json.dumps(
        {
            "delivery": key,
            "repository": "acme/shop",
            "sha": "0" * 40,
            "dispatchd": {"id": dispatch_id, "entry": "push", "depth": 1},
        }
    )
    waiting = rows.waiting
    path = "/hooks/github"
    waiting["events"].append(
        (event_id, "delivery", path, when, "POST", path, HEADERS, "{}", "{}", BODY, "127.0.0.1")
    )
    waiting["verdicts"].append((event_id, 0, "push", "dispatched", ""))
    waiting["dispatches"].append(
        (
            *(dispatch_id, event_id, "push", "acme/shop", "push-received", payload, when, when),
            _micros(at + SEND_WITHIN),
            *(("accepted", "", 1, settled, settled, None) if sent else ("pending", "", 0)),
            *(() if sent else (None, None, when)),
        )
    )
    if sent:
        request_id = "51D0:0A1B2C:SIMULATED"
        waiting["attempts"].append((dispatch_id, 1, when, 200_000, "accepted", 204, "", request_id))
    return event_id


def _micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)
