"""The least that the work of `intake-push` takes: a program for this one trigger, by the libraries
that dispatchd uses too. It checks the signature, evaluates the condition, renders the payload, and
commits the event, its verdict, its dispatch and the key of a repetition before it answers, many at
once, with the COMMIT on a thread; then it logs a line. It has none of the rules of dispatchd:
no limits, pauses, rate limits, entries or chains, no metrics, and nobody sends what it keeps.

    python -m bench.peers.least DATABASE
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from cel_expr_python import cel

from bench.home import WEBHOOK_SECRET
from bench.peers.serving import listen
from bench.rows.intake import PUSH

TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE events (
    id TEXT PRIMARY KEY, source TEXT, at INTEGER, method TEXT, path TEXT, headers TEXT, query TEXT,
    params TEXT, body BLOB, client_ip TEXT
);
CREATE TABLE verdicts (
    event_id TEXT, position INTEGER, entry TEXT, outcome TEXT, reason TEXT,
    PRIMARY KEY (event_id, position)
) WITHOUT ROWID;
CREATE TABLE dispatches (
    id TEXT PRIMARY KEY, event_id TEXT, entry TEXT, repository TEXT, event_type TEXT,
    client_payload TEXT, created_at INTEGER, due_at INTEGER, expires_at INTEGER, state TEXT,
    reason TEXT, attempts INTEGER, lane TEXT, urgent INTEGER, wake_at INTEGER
);
CREATE INDEX due ON dispatches (lane, urgent, wake_at, id) WHERE wake_at IS NOT NULL;
CREATE INDEX of_event ON dispatches (event_id);
CREATE TABLE seen (
    entry TEXT, key TEXT, event_id TEXT, expires_at INTEGER, PRIMARY KEY (entry, key)
) WITHOUT ROWID;
"""

INSERTS = [
    "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?)",
    "INSERT INTO dispatches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)",
]
SEEN = """
SELECT key FROM seen WHERE entry = 'push' AND key IN (SELECT value FROM json_each(?))
"""
DAY = 86_400_000_000  # in µs

Rows = tuple[tuple[Any, ...], ...]
"""What a delivery is written down as: a row for each of `INSERTS`."""


class Recorder:
    """Group commit."""

    def __init__(self, database: Path) -> None:
        self._connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._connection.executescript(TABLES)
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[tuple[Rows, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None

    async def record(self, rows: Rows) -> None:
        recorded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, recorded))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        await recorded

    async def _commit_all(self) -> None:
        execute = self._connection.execute
        while self._waiting:
            batch, self._waiting = self._waiting, []
            execute("BEGIN IMMEDIATE")
            execute(SEEN, [orjson.dumps([rows[3][1] for rows, _ in batch]).decode()]).fetchall()
            tables = zip(*[rows for rows, _ in batch], strict=True)
            for insert, table in zip(INSERTS, tables, strict=True):
                self._connection.executemany(insert, table)
            await asyncio.get_running_loop().run_in_executor(self._thread, execute, "COMMIT")
            for _, recorded in batch:
                recorded.set_result(None)
            await asyncio.sleep(0)
        self._committing = None


class Receiver:
    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        kinds = {"body": cel.Type.DYN, "headers": cel.Type.DYN}
        self._condition = cel.NewEnv(variables=kinds).compile(PUSH["when"])

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        signature = "sha256=" + hmac.digest(WEBHOOK_SECRET.encode(), body, "sha256").hex()
        if not hmac.compare_digest(signature, headers["x-hub-signature-256"]):
            return web.Response(status=401)
        document = orjson.loads(body)
        if not self._wanted(document, headers):
            return web.Response()
        at = time.time_ns() // 1000
        event_id, dispatch_id = _id("evt_"), _id("dsp_")
        payload = {
            "repository": document["repository"]["full_name"],
            "sha": document["after"],
            "pusher": document["pusher"]["name"],
            "dispatchd": {"id": dispatch_id, "entry": "push", "depth": 0},
        }
        key = f"{headers['x-github-delivery']} {hashlib.sha256(body).hexdigest()}"
        head = orjson.dumps(headers).decode()
        rows = (
            (event_id, "push", at, "POST", request.path, head, "{}", "{}", body, request.remote),
            (event_id, 0, "push", "dispatched", ""),
            (
                *(dispatch_id, event_id, "push", "octocat/hello-world", "push-received"),
                *(orjson.dumps(payload).decode(), at, at, at + DAY),
                *("pending", "", 0, "lane", 0, at),
            ),
            ("push", key, event_id, at + DAY),
        )
        await self._recorder.record(rows)
        answer = {"event_id": event_id, "matched": ["push"], "dispatches": [dispatch_id]}
        print(orjson.dumps({"event": "dispatched", "at": at} | answer).decode(), flush=True)
        return web.json_response(body=orjson.dumps(answer), status=202)

    def _wanted(self, document: dict[str, Any], headers: dict[str, str]) -> bool:
        """The condition sees what it reaches: the whole body would take it 38 µs."""
        repository = {"default_branch": document["repository"]["default_branch"]}
        seen = {
            "body": {"ref": document["ref"], "repository": repository},
            "headers": {"x-github-event": headers["x-github-event"]},
        }
        return self._condition.eval(data=seen).value() is True


def _id(prefix: str) -> str:
    return f"{prefix}{time.time_ns() // 1_000_000:012x}{random.getrandbits(80):020x}"


async def serve(database: Path) -> None:
    app = web.Application()
    app.router.add_post(PUSH["path"], Receiver(Recorder(database)).receive)
    await listen(app)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
