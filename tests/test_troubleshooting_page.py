"""docs/troubleshooting.md is true: every message that it explains is one that people can get."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.app import running
from daemon.call import parse_call
from daemon.catching_up import judge_backlog
from daemon.chain import Descent, place
from daemon.client import GitHub
from daemon.config import Secrets, load
from daemon.cursors import Cursor, take_up
from daemon.errors import DispatchdError
from daemon.event import Delivery, Event, Pause
from daemon.expressions import JSON
from daemon.facts import Facts
from daemon.github import Ambiguous, Failed, Throttled, Unauthorized, interpret
from daemon.github_app import installation_told
from daemon.ids import IdSource
from daemon.judge import judge_delivery
from daemon.render import new_dispatch
from daemon.retry import GiveUp, RetryPolicy
from daemon.schedule import Backlog, Omitted
from daemon.secret import Secret
from daemon.signatures import Request
from daemon.signatures import parse as scheme
from daemon.simulator import Fault, FaultKind, Simulator
from daemon.store import Store
from daemon.surroundings import Surroundings
from tests.harness import wall_clock
from tests.specs import ENVIRON, config, cron, cron_entry, trigger, trigger_entry

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "troubleshooting.md"
NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)

HEADING = re.compile(r"^### (?P<ticks>`+) ?(?P<message>.*?) ?(?P=ticks)$", re.MULTILINE)
MESSAGES = [found["message"] for found in HEADING.finditer(PAGE.read_text(encoding="utf-8"))]

ONLY_LOOKED_UP = {
    "Unauthorized",
    "… was written by a newer dispatchd (its schema is …",
    "no trigger listens on …",
    "… is not allowed here; allowed: …",
    "content type '…' is not supported",
    "malformed JSON body: …",
    "the body is larger than the … bytes allowed here",
    "nothing could be stored, so nothing was taken; send it again",
    "too much is coming in at once, so nothing of this was taken; send it again",
    "more than … connections…; for each new one, …",
    "the request line and the headers did not arrive within … s",
    "this Idempotency-Key was used for another request",
    "the clock was set back from … to …",
    "older than send_within allows: …",
    "the daemon ended before GitHub's answer was recorded",
    "no daemon answers: …",
    "something else answers at …",
    "gave an answer that cannot be used",
    "API_KEY is not set here",
    "the token needs 'webhooks: write' on the … (fine-grained token or GitHub App), or the scope … "
    "(classic token); …",
    "no webhook of GitHub's can be known as ours: …",
    "missed deliveries are being looked for already",
    "'…' is not an id: ids are evt_… or dsp_…",
    "there is no event '…'; it may have aged out",
    "… is not in its allow_from …",
    "above the rate limit; try again in … s",
    "it takes no secret from its sender now: …",
    "the same body came before under another id, which nothing signs: …",
    "… of the firing before is …",
}
"""Messages whose circumstances other tests provoke: here it is enough that the code holds them."""


def fits(message: str, text: str) -> bool:
    """Whether ``message``, in which ``…`` stands for anything, is in ``text``."""
    pieces = re.split("'…'|…", message)  # a literal of the code has no quotes around its values
    return re.search(".*".join(map(re.escape, pieces)), text, re.DOTALL) is not None


@pytest.mark.parametrize("message", [m for m in MESSAGES if m not in ONLY_LOOKED_UP])
def test_a_message_that_is_explained_can_be_provoked(message: str, said: list[str]) -> None:
    assert [text for text in said if fits(message, text)]


@pytest.mark.parametrize("message", sorted(ONLY_LOOKED_UP))
def test_a_message_that_is_explained_is_in_the_code(message: str, literals: list[str]) -> None:
    assert message in MESSAGES
    assert [text for text in literals if fits(message, text)]


@pytest.fixture(scope="module")
def literals() -> list[str]:
    """Every text in the code, with ``…`` for what is put in when it runs."""
    files = (ROOT / "daemon").rglob("*.py")
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    return [text for tree in trees for node in ast.walk(tree) for text in _text(node)]


def _text(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts
            )


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the program says when one does to it what the page is about."""
    home = tmp_path_factory.mktemp("home")
    return [
        *of_the_config(home),
        *of_the_start(home),
        *of_verdicts(),
        *of_githubs_answers(),
        *asyncio.run(of_lost_answers()),
        *of_what_ends_or_is_refused(),
        *of_schedules(),
        *of_chains(),
    ]


def of_the_config(home: Path) -> Iterator[str]:
    def secret(reference: str, name: str) -> dict[str, Any]:
        return trigger_entry(name, auth={"scheme": "github", "secret": reference})

    triggers: list[dict[str, Any]] = [
        secret("env:UNSET", "unset"),
        secret("file:/nowhere/at/all", "absent"),
        secret("credential:NAME", "credential"),
        secret("hunter2", "literal"),
        trigger_entry("unknown-key", wen="true"),
        trigger_entry("unknown-name", when="dispatch_id == ''"),
        trigger_entry(
            "wide", dispatch={"event_type": "x", "client_payload": dict.fromkeys("abcdefghij", 1)}
        ),
    ]
    crons = [cron_entry(timezone="Europe/Berlim")]
    (home / "TRIGGERS.json").write_text(json.dumps(triggers))
    (home / "CRONS.json").write_text(json.dumps(crons))
    yield from sayings(lambda: load(home, {}, secrets=Secrets.REQUIRED))
    later = {"notify": "https://ntfy.example.com"}
    yield from sayings(lambda: config(settings=later))
    older = {"name": "old", "watch_path": "/old", "actions": [{"job": "Look"}]}
    yield from config([older]).warnings
    yield from config(environ=ENVIRON | {"API_KEY": "short"}).warnings
    key = {"credentials": {"acme": {"app_id": 7, "private_key": "env:KEY"}}}
    yield from sayings(lambda: config(environ=ENVIRON | {"KEY": "not PEM"}, settings=key))
    tokens = {"credentials": {"acme": {"token": "env:KEY"}}}
    alone = {"KEY": "ghp_x", "GH_REPO": "octo/site"}
    yield from sayings(lambda: config(crons=[cron_entry()], environ=alone, settings=tokens))
    discord = trigger_entry(auth={"scheme": "discord", "secret": "env:KEY"})
    yield from sayings(lambda: config([discord], environ=ENVIRON | {"KEY": "nothex"}))


def of_the_start(home: Path) -> Iterator[str]:
    async def start(**environ: str) -> None:
        database = f"sqlite:///{home}/state.sqlite"
        settings = {**ENVIRON, "DISPATCHD_DATABASE_URL": database, **environ}
        loaded = config(environ={name: value for name, value in settings.items() if value})
        async with running(loaded, Facts(), Surroundings({})):
            raise AssertionError("it started")

    async def taken() -> None:
        store = Store.open(f"sqlite:///{home}/state.sqlite", owner="first", now=NOW)
        try:
            await start()
        finally:
            await store.close()

    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        yield from sayings(lambda: asyncio.run(start(DISPATCHD_LISTEN=listen)))
    yield from sayings(lambda: asyncio.run(start(GH_TOKEN="")))
    yield from sayings(lambda: asyncio.run(taken()))
    (home / "other.sqlite").write_text("not a database, but long enough to be taken for one" * 20)
    yield from sayings(lambda: Store.open(f"sqlite:///{home}/other.sqlite", owner="first", now=NOW))
    yield from sayings(lambda: GitHub("https://api.github.com", Secret("a b", "t"), wall_clock))


def of_verdicts() -> Iterator[str]:
    ids = IdSource()
    body: dict[str, Any] = {"load": 1.5, "kind": "c"}
    delivery = Delivery("/hook", "POST", "/hook", {}, {}, {}, b"", "", NOW)
    kinds = {"event_type": "{{ body.kind }}", "event_types": ["a", "b"]}
    for keys in (
        {"when": "body.load > 2.0"},
        {"when": "body.nope == 1"},
        {"when": "body.load + 1 > 2"},
        {"dispatch": kinds},
        {"dispatch": {"event_type": "x", "client_payload": {"all": "{{ 'x'.format([]) }}"}}},
    ):
        event = Event("evt_1", delivery)
        (judgement,) = judge_delivery(
            event, delivery, body, [trigger(**keys)], lambda: ids.dispatch(NOW)
        )
        verdict = judgement.verdict
        yield from [verdict.reason, *(each.reason for each in verdict.dispatches)]


def of_githubs_answers() -> Iterator[str]:
    for status, words, headers in (
        (401, "Bad credentials", {}),
        (410, "Gone", {}),
        (403, "Resource not accessible by personal access token", {}),
        (404, "Not Found", {}),
        (422, "Invalid request.", {}),
        (429, "Too many requests", {"retry-after": "30"}),
        (502, "Bad Gateway", {}),
    ):
        answer = interpret(
            status, headers, json.dumps({"message": words}).encode(), url="https://x", now=NOW
        )
        assert isinstance(answer, Failed | Throttled | Ambiguous | Unauthorized)
        yield answer.reason
    for status, kind in ((401, Unauthorized), (404, Failed)):
        told = installation_told(status, {}, b"{}", repository="acme/shop", now=NOW)
        assert isinstance(told, kind)
        yield told.reason


async def of_lost_answers() -> list[str]:
    dispatch = new_dispatch(
        dispatch_id="dsp_1",
        event_id="evt_1",
        entry="push",
        repository="acme/shop",
        event_type="build",
        client_payload="{}",
        now=NOW,
        send_within=timedelta(hours=1),
    )
    simulator = Simulator(wall_clock)
    simulator.inject(Fault(FaultKind.RESET))
    async with simulator, GitHub(simulator.url, Secret("token", "t"), wall_clock) as github:
        lost = await github.send(dispatch)
        await simulator.stop()
        unreachable = await github.send(dispatch)
    return [lost.attempt.message, unreachable.attempt.message]


def of_schedules() -> Iterator[str]:
    hour = timedelta(hours=1)
    backlog = Backlog((NOW - 2 * hour, NOW - hour), Omitted(NOW - 9 * hour, NOW - 3 * hour, 7))
    pause = Pause("cron", NOW, "alice")
    for spec, rest in (
        (cron(), None),
        (cron(max_lateness="10m"), None),
        (cron(catch_up="all", alert_after="5m"), None),
        (cron(), pause),
    ):
        due = judge_backlog(spec, backlog, NOW, rest)
        yield from (each.reason for each in due.missed)
        yield from (each.text for each in due.incidents)
    standing = Cursor("cron", "0 * * * * UTC", NOW - 2 * hour)
    for left in take_up([cron()], {"cron": standing}, NOW).left:
        yield from (each.reason for each in left.missed)


def of_chains() -> Iterator[str]:
    guards = config(environ=ENVIRON).settings.guards
    yield guards.too_deep(11)
    yield guards.too_many(501)
    yield place(Descent(("dsp_1",)), {}, {}).remark


def of_what_ends_or_is_refused() -> Iterator[str]:
    end = RetryPolicy().after_throttle(
        NOW, now=NOW, retry_until=None, expires_at=NOW - timedelta(1)
    )
    assert isinstance(end, GiveUp)
    yield f"gave up: {end.reason}"
    call: JSON = {"event_type": "x", "repository": "acme/other"}
    yield from sayings(lambda: parse_call(call, "dsp_1", "acme/shop", ["acme/shop"]))
    large: JSON = {"event_type": "x", "client_payload": {"log": "x" * 70_000}}
    yield from sayings(lambda: parse_call(large, "dsp_1", "acme/shop", ["acme/shop"]))
    request = Request("POST", "/", {}, {}, b"")
    mismatch = scheme({"scheme": "github"}).verify(request, [], NOW)
    assert mismatch is not None
    yield mismatch.reason


def sayings(work: Callable[[], object]) -> list[str]:
    """What the error says that ``work`` raises."""
    with pytest.raises(DispatchdError) as caught:
        work()
    return [str(caught.value)]
