"""A flood of bad requests fills neither a disk nor a log, hides nothing that was acknowledged, and
is told of in numbers."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from daemon.event import Event, Outcome, Verdict
from daemon.facts import EventRecorded, RequestRefused, Stopping, Trouble
from daemon.journal import Journal, journal, open_log
from daemon.journal.pace import Allowance, Pace
from tests.harness import API_KEY, PUSH, WEBHOOK_SECRET, Daemon, Sender, stand_in
from tests.log_facts import DELIVERY, DISPATCH

FLOOD = 20_000


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A journal, and the lines that it wrote."""

    def __init__(self) -> None:
        self.stream, self.clock = io.StringIO(), Clock()
        self.journal = Journal(open_log(self.stream), elapsed=self.clock)

    @property
    def size(self) -> int:
        return len(self.stream.getvalue().encode())

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.stream.getvalue().splitlines())
        return [line for line in lines if line["event"] == event]


def refusal(number: int, *, status: int = 404, text: str = "x" * 8000) -> RequestRefused:
    client = f"203.0.{number // 250 % 250}.{number % 250}"
    return RequestRefused("POST", f"/{number}{text}", client, status, text)


@pytest.mark.parametrize("text", ["x" * 8000, "\x1b[2J" * 2000, "\U000e0001" * 8000, "中" * 8000])
def test_twenty_thousand_bad_requests_take_few_bytes(text: str) -> None:
    """Whatever they hold, from however many addresses, within a minute."""
    told = Told()
    for number in range(FLOOD):
        told.clock.now = number * 60 / FLOOD
        told.journal.hear(refusal(number, status=400 + number % 30, text=text))
    told.journal.hear(Stopping(0))
    assert told.size < 1_000_000
    assert len(told.lines("request refused")) <= 120 + 60
    kept = sum(line["count"] for line in told.lines("lines kept back"))
    assert kept + len(told.lines("request refused")) == FLOOD


def test_a_flood_that_lasts_takes_less_than_a_hundred_megabytes_a_day() -> None:
    """Each request with the longest path and reason; here for an hour."""
    told = Told()
    for second in range(60 * 60):
        told.clock.now = float(second)
        for number in range(2):
            told.journal.hear(refusal(second * 2 + number, status=400 + second % 5))
    assert told.size < 100_000_000 / 24


def test_one_address_does_not_use_up_what_others_have() -> None:
    told = Told()
    for _ in range(FLOOD):
        told.journal.hear(RequestRefused("POST", "/hook", "203.0.113.5", 401, "wrong signature"))
    told.journal.hear(RequestRefused("POST", "/hook", "198.51.100.7", 401, "wrong signature"))
    clients = Counter(line["client_ip"] for line in told.lines("request refused"))
    assert clients == {"203.0.113.5": 20, "198.51.100.7": 1}


def test_the_addresses_of_one_customer_count_as_one() -> None:
    told = Told()
    for number in range(1000):
        client = f"2001:db8:0:1::{number:x}"
        told.journal.hear(RequestRefused("POST", "/hook", client, 401, "wrong signature"))
    assert len(told.lines("request refused")) == 20


def test_it_is_told_how_many_were_kept_back_and_of_whom() -> None:
    told = Told()
    for _ in range(100):
        told.journal.hear(RequestRefused("POST", "/hook", "203.0.113.5", 401, "wrong signature"))
    told.journal.hear(RequestRefused("POST", "/hook", "198.51.100.7", 401, "wrong signature"))
    told.clock.now = 61
    told.journal.hear(Trouble("store", "the disk is full"))
    (line,) = told.lines("lines kept back")
    assert (line["level"], line["of"], line["count"]) == ("warning", "request refused", 80)
    assert (line["seconds"], line["most"]) == (61, ["401 203.0.113.5: 80"])


async def test_it_is_told_also_where_nothing_else_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SUMMED_UP_EVERY", 0.01)
    told = Told()
    for number in range(100):
        told.journal.hear(replace(refusal(number), client_ip="203.0.113.5"))
    written = asyncio.Event()
    monkeypatch.setattr(told.stream, "flush", written.set)
    async with asyncio.timeout(5):
        await written.wait()
    assert told.lines("lines kept back")[0]["count"] == 80


def test_what_was_acknowledged_is_told_however_much_of_it_there_is() -> None:
    told = Told()
    verdicts = (Verdict("push", Outcome.DISPATCHED, dispatches=(DISPATCH,)),)
    mixed = (*verdicts, Verdict("other", Outcome.LIMITED, "too many"))
    for number in range(2000):
        told.journal.hear(EventRecorded(Event(f"evt_{number}", DELIVERY), mixed))
    assert len(told.lines("verdict dispatched")) == len(told.lines("verdict limited")) == 2000


def test_what_was_answered_429_is_told_now_and_then() -> None:
    told = Told()
    verdict = Verdict("push", Outcome.LIMITED, "too many")
    for number in range(2000):
        told.journal.hear(EventRecorded(Event(f"evt_{number}", DELIVERY), (verdict,)))
    assert len(told.lines("verdict limited")) == 20


@given(
    st.lists(st.tuples(st.floats(0, 100), st.sampled_from("abc"), st.sampled_from("xyz"))),
    st.integers(1, 5),
    st.floats(0, 60),
)
def test_no_kind_has_more_lines_than_its_allowance(
    steps: list[tuple[float, str, str]], burst: int, per_minute: float
) -> None:
    twice, once = Allowance(2 * burst, 2 * per_minute), Allowance(burst, per_minute)
    pace = Pace({"e": [twice, once, once]})
    now, written, total = 0.0, Counter[str](), 0
    for wait, kind, narrow in steps:
        now += wait
        if pace.allows("e", (kind, narrow), now):
            written[kind] += 1
            total += 1
    most = burst + now * per_minute / 60 + 0.001
    assert total <= 2 * most
    assert all(count <= most for count in written.values())
    kept = pace.summaries()
    assert total + (kept["e"].count if kept else 0) == len(steps)


async def test_a_flood_over_http_is_bounded_and_holds_no_secret_and_no_body(
    tmp_path: Path,
) -> None:
    """Wrong signatures, unknown routes, wrong keys, bad JSON, junk that is no HTTP; and what was
    taken meanwhile is all told."""
    secrets = {"hunter2": "in-a-query", "authorization": "in-a-header", "body": "in-a-body"}
    headers = {"authorization": f"Bearer {secrets['authorization']}", "x-api-key": "in-a-header"}
    async with (
        asyncio.timeout(60),
        stand_in() as github,
        Daemon(tmp_path, github.url, triggers=[PUSH]) as daemon,
        Sender() as sender,
        aiohttp.ClientSession() as session,
    ):
        await daemon.start()
        paths = ("/hooks/github", "/nowhere/\x1b[31m\u202e", "/dispatch", "/api/v1/status")
        for number in range(150):
            for path in paths:
                async with session.post(
                    f"{daemon.url}{path}?hunter2=in-a-query",
                    data=b'{"in-a-body": \xff\x1b[2J',
                    headers=headers,
                ) as answer:
                    assert 400 <= answer.status < 500
            if number % 30 == 0:
                assert await sender.push(daemon.url, f"good-{number}") == 202
        reader, writer = await asyncio.open_connection("127.0.0.1", int(daemon.url.split(":")[-1]))
        writer.write(b"\x16\x03\x01 in-a-header \x1b[2J\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
        await sender.until_received(github)
        assert await daemon.terminate() == 0
    text = "\n".join(daemon.log)
    assert all(line.isprintable() and line.startswith("{") for line in daemon.log), text
    for secret in ("in-a-", API_KEY, WEBHOOK_SECRET, "hunter2"):
        assert secret not in text
    assert len(daemon.said("request refused")) < 150
    assert len(text) < 100_000
    kept = sum(line["count"] for line in daemon.said("lines kept back"))
    assert kept + len(daemon.said("request refused")) >= 600
    assert len(daemon.said("verdict dispatched")) == 5
