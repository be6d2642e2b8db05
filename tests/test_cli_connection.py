"""Whom a command takes for the daemon, and to whom it gives the key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from tests.shell import Shell
from tests.specs import API_KEY

PONG = json.dumps({"message": "Pong!"})


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@dataclass
class Impostor:
    """An HTTP server that answers each path with status, body and ``Location`` as it is told."""

    url: str = ""
    answers: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    otherwise: tuple[int, str, str] = (404, "", "")
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, request.headers.copy()))
        status, text, location = self.answers.get(request.path, self.otherwise)
        headers = {"Location": location} if location else {}
        return web.Response(status=status, text=text, headers=headers)

    @property
    def got_the_key(self) -> bool:
        return any(API_KEY in headers.values() for _, headers in self.asked)


@pytest_asyncio.fixture
async def impostor() -> AsyncIterator[Impostor]:
    made = Impostor()
    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", made.answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.mark.parametrize(
    "pong",
    [(200, '{"status": "ok"}', ""), (200, "Pong!", ""), (200, "[" * 100_000, ""), (200, "[]", ""),
     (404, PONG, ""), (200, "\ufffd", ""), (302, PONG, "/elsewhere")],
)  # fmt: skip
async def test_what_does_not_answer_like_a_daemon_is_none_and_gets_no_key(
    shell: Shell, impostor: Impostor, pong: tuple[int, str, str]
) -> None:
    impostor.answers = {"/ping": pong, "/elsewhere": (200, PONG, "")}
    ran = await shell.run("status", "--url", impostor.url)
    assert ran.code == 1
    assert f"no daemon answers: something else answers at {impostor.url}: status" in ran.err
    assert [path for path, _ in impostor.asked] == ["/ping"]
    assert not impostor.got_the_key


async def test_where_it_listens_by_default_it_is_not_trusted_either(
    shell: Shell, impostor: Impostor
) -> None:
    listen = impostor.url.removeprefix("http://")
    ran = await shell.run("fire", "nightly", DISPATCHD_LISTEN=listen)
    assert (ran.code, "something else answers" in ran.err) == (1, True)
    assert not impostor.got_the_key


async def test_the_key_follows_the_ping_and_no_redirect(shell: Shell, impostor: Impostor) -> None:
    away = "http://127.0.0.1:9/elsewhere"
    impostor.answers = {"/ping": (200, PONG, "")}
    for status in (301, 302, 307, 308):
        impostor.asked.clear()
        impostor.otherwise = (status, "{}", away)
        ran = await shell.run("dispatch", "x", "--url", impostor.url)
        assert (ran.code, f"is no daemon: status {status}, on to" in ran.err) == (1, True)
        (ping, greeted), (dispatch, sent) = impostor.asked
        assert (ping, dispatch) == ("/ping", "/dispatch")
        assert "x-api-key" not in greeted
        assert sent["x-api-key"] == API_KEY


COMMANDS: list[list[str]] = [
    ["status"], ["events"], ["events", "evt_1"], ["dispatches"], ["dispatches", "dsp_1"],
    ["fire", "x"], ["dispatch", "x"], ["replay", "evt_1"], ["replay", "--failed", "--since", "1h"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
async def test_an_answer_that_is_none_is_told_and_nothing_falls_over_it(
    shell: Shell, impostor: Impostor, command: list[str]
) -> None:
    impostor.answers = {"/ping": (200, PONG, "")}
    for status, body in [
        (200, ""), (200, "<html>"), (200, "null"), (200, "[" * 100_000), (502, "<html>"),
        (200, "{}"), (200, '{"id": 5, "dispatch_id": 5, "events": 5, "dispatches": 5}'),
        (200, '{"events": [5], "dispatches": [5]}'),
        (200, '{"events": [{"id": "evt_1"}], "dispatches": [{"id": "dsp_1"}]}'),
        (200, '{"dispatches": {}, "triggers": [], "crons": {}}'),
    ]:  # fmt: skip
        impostor.otherwise = (status, body, "")
        for options in ([], ["--json"]):
            ran = await shell.run(*command, *options, "--url", impostor.url)
            assert (ran.code, ran.out) == (1, ""), body
            assert "is no daemon" in ran.err or "an answer that cannot be used" in ran.err, body


async def test_a_password_in_the_url_is_not_shown(shell: Shell, impostor: Impostor) -> None:
    url = impostor.url.replace("://", "://me:hidden-word@")
    ran = await shell.run("status", "--url", url)
    assert (ran.code, "hidden-word" in ran.err) == (1, False)


async def test_a_database_that_is_named_is_no_other_daemons(
    shell: Shell, impostor: Impostor, tmp_path: Path
) -> None:
    """With ``--database`` nothing is asked over HTTP: what listens there may have another one."""
    named = ["--database", f"sqlite:///{tmp_path}/other.sqlite"]
    impostor.answers = {"/ping": (200, PONG, "")}
    listen = impostor.url.removeprefix("http://")
    for command in COMMANDS:
        ran = await shell.run(*command, *named, DISPATCHD_LISTEN=listen)
        assert (ran.code, "other.sqlite.sock is not there" in ran.err) == (1, True), command
    long = ["--database", f"sqlite:///{tmp_path}/{'x' * 120}.sqlite"]
    ran = await shell.run("fire", "x", *long, DISPATCHD_LISTEN=listen)
    assert (ran.code, "socket would be too long" in ran.err) == (1, True)
    assert not impostor.asked


async def test_where_nothing_listens_it_says_what_to_start(shell: Shell) -> None:
    ran = await shell.run("status", "--url", "http://127.0.0.1:9")
    assert ran.code == 1
    assert "http://127.0.0.1:9: nothing listens there; start `dispatchd run`" in ran.err


async def test_an_address_without_http_is_mended(shell: Shell) -> None:
    ran = await shell.run("status", "--url", "127.0.0.1:8080")
    assert (ran.code, "write http://127.0.0.1:8080\n" in ran.err) == (2, True)


async def test_a_dispatch_that_waits_still_is_told_with_where_to_look(
    shell: Shell, impostor: Impostor
) -> None:
    answer = json.dumps({"dispatch_id": "dsp_1"})
    impostor.answers = {"/ping": (200, PONG, ""), "/dispatch": (202, answer, "")}
    ran = await shell.run("dispatch", "x", "--url", impostor.url)
    told = "x: queued; `dispatchd dispatches dsp_1` shows why it is not settled yet\n"
    assert (ran.code, ran.out) == (0, told)
