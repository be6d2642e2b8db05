"""What was turned away is remembered: who, how often and why, and no more than is good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from daemon.facts import RequestRefused
from daemon.refusals import KEPT, PATH_MAX, REASON_MAX, Refusals
from tests.inprocess import serving
from tests.shell import Shell
from tests.specs import SIGNED, trigger_entry

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def ticking() -> Iterator[datetime]:
    now = NOON
    while True:
        yield now
        now += timedelta(seconds=1)


def refused(path: str = "/hook", reason: str = "a wrong signature") -> RequestRefused:
    return RequestRefused("POST", path, "10.0.0.1", 401, reason)


def test_what_comes_again_and_again_is_one_and_leaves_the_others_their_place() -> None:
    refusals = Refusals(ticking().__next__)
    refusals.hear(refused("/a"))
    for _ in range(10 * KEPT):
        refusals.hear(refused("/b"))
    newest, before = refusals.newest(10)
    assert (before.request.path, before.count) == ("/a", 1)
    assert (newest.request.path, newest.count) == ("/b", 10 * KEPT)
    assert newest.last - newest.first == timedelta(seconds=10 * KEPT - 1)
    refusals.hear(refused("/a"))
    assert [each.request.path for each in refusals.newest(1)] == ["/a"]


def test_a_flood_of_different_ones_takes_no_more_room_than_there_is() -> None:
    refusals = Refusals(lambda: NOON)
    for n in range(2 * KEPT):
        refusals.hear(refused(f"/{n}" + "x" * 10_000, "y" * 10_000))
    kept = refusals.newest(10 * KEPT)
    assert [each.request.path[:5] for each in kept[:2]] == ["/999x", "/998x"]
    assert len(kept) == KEPT
    assert {len(each.request.path) for each in kept} == {PATH_MAX}
    assert {len(each.request.reason) for each in kept} == {REASON_MAX}


async def test_the_command_shows_what_the_sender_was_not_told(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    async with serving(tmp_path, triggers=[trigger_entry("push", auth=SIGNED)]) as daemon:
        body = "a body that is nobody's business"
        for _ in range(2):
            assert (await daemon.call("POST", "/hook?token=hidden", key=None, data=body))[0] == 401
        shown = await shell.run("events", "--refused", "--url", daemon.url, "--json")
        (found,) = shown.json["refused"]
        assert found.pop("first") <= found.pop("last")
        reason = found.pop("reason")
        assert "push: " in reason
        assert found == {
            "count": 2,
            "status": 401,
            "method": "POST",
            "path": "/hook",
            "client_ip": "127.0.0.1",
        }
        table = await shell.run("events", "--refused", "--url", daemon.url)
        assert "POST /hook" in table.out
        for each in (shown.out, table.out):
            assert body not in each
            assert "hidden" not in each
        assert (await daemon.call("GET", "/api/v1/refused?limit=0"))[0] == 400
        assert (await daemon.call("GET", "/api/v1/refused", key=None))[0] == 401
        both = await shell.run("events", "--refused", "--outcome", "error")
        assert both.code == 2
    async with asyncio.timeout(20):
        away = await shell.run("events", "--refused")
    assert away.code == 1
