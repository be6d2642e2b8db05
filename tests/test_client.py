"""The GitHub client over real sockets: against the stand-in, and against servers that misbehave on
the wire. What matters most is to tell 'nothing was sent' from 'nobody knows'."""

from __future__ import annotations

import asyncio
import gzip
import logging
import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.client import BODY_MAX, GitHub, session
from daemon.errors import UsageError
from daemon.github import Accepted, Ambiguous, Failed, Throttled, Unauthorized, Unreachable
from daemon.secret import Secret
from daemon.simulator import Fault, FaultKind, Simulator
from tests.wires import LONG, SHORT, T0, TOKEN, a_dispatch, now, response, saying, send, wire


async def test_a_dispatch_reaches_github_and_its_attempt_is_recorded(simulator: Simulator) -> None:
    async with GitHub(simulator.url, TOKEN, now) as github:
        answer, attempt, limits = await github.send(a_dispatch(attempts=2))
    assert answer == Accepted()
    (received,) = simulator.received
    assert received.repository == "acme/shop"
    assert received.client_payload == {"dispatchd": {"id": "dsp_1"}}
    assert (attempt.dispatch_id, attempt.number) == ("dsp_1", 3)
    assert (attempt.outcome, attempt.status, attempt.message) == ("accepted", 204, "")
    assert attempt.request_id == received.request_id
    assert attempt.started_at == T0
    assert timedelta() < attempt.duration < timedelta(seconds=10)
    assert limits is not None
    assert (limits.limit, limits.remaining) == (5000, 4999)


@pytest.mark.parametrize(
    ("fault", "kind", "status", "acted"),
    [
        (Fault(FaultKind.STATUS, status=500), Ambiguous, 500, 0),
        (Fault(FaultKind.STATUS, status=502), Ambiguous, 502, 0),
        (Fault(FaultKind.STATUS, status=503, acts=True), Ambiguous, 503, 1),
        (Fault(FaultKind.STATUS, status=422), Failed, 422, 0),
        (Fault(FaultKind.RESET), Ambiguous, None, 0),
        (Fault(FaultKind.RESET, acts=True), Ambiguous, None, 1),
        (Fault(FaultKind.SECONDARY), Throttled, 403, 0),
        (Fault(FaultKind.PRIMARY, status=429), Throttled, 429, 0),
        (Fault(FaultKind.REDIRECT), Accepted, 204, 1),
        (Fault(FaultKind.REDIRECT, status=308), Accepted, 204, 1),
        (Fault(FaultKind.REDIRECT, status=301), Failed, 301, 0),
    ],
)
async def test_what_goes_wrong_at_github_becomes_an_answer_and_is_not_retried_here(
    simulator: Simulator, fault: Fault, kind: type, status: int | None, acted: int
) -> None:
    simulator.inject(fault)
    answer, attempt, _ = await send(simulator.url)
    assert isinstance(answer, kind)
    assert attempt.status == status
    assert attempt.outcome == answer.outcome
    assert attempt.message == getattr(answer, "reason", "")
    assert len(simulator.received) == acted
    assert simulator.requests == (2 if status == 204 else 1)


async def test_a_wrong_token_is_told_as_such_and_not_held_against_the_dispatch(
    simulator: Simulator,
) -> None:
    async with GitHub(simulator.url, Secret("ghp_other", "env:GH_TOKEN"), now) as github:
        answer, _, _ = await github.send(a_dispatch())
    assert isinstance(answer, Unauthorized)
    assert '401: "Bad credentials"' in answer.reason


async def test_a_throttled_answer_carries_the_end_of_the_wait_and_the_limits(
    simulator: Simulator,
) -> None:
    simulator.inject(Fault(FaultKind.PRIMARY, seconds=90))
    answer, _, limits = await send(simulator.url)
    assert isinstance(answer, Throttled)
    assert answer.until == T0 + timedelta(seconds=90)
    assert limits is not None
    assert (limits.remaining, limits.reset) == (0, answer.until)


async def test_the_request_on_the_wire_is_githubs_and_asks_for_no_compression() -> None:
    async with wire(saying(response(204))) as server:
        await send(server.url)
    (head,), (body,) = server.heads, server.bodies
    assert head.startswith("POST /repos/acme/shop/dispatches HTTP/1.1\r\n")
    assert f"Authorization: Bearer {TOKEN.reveal()}\r\n" in head
    assert "User-Agent: dispatchd/" in head
    assert "Accept-Encoding: identity\r\n" in head
    assert body == b'{"event_type":"build","client_payload":{"dispatchd":{"id":"dsp_1"}}}'


async def test_redirects_in_a_circle_end_after_three_and_nothing_was_done() -> None:
    async with wire(saying(response(307, b"", "Location: /again"))) as server:
        answer, attempt, _ = await send(server.url)
    assert isinstance(answer, Unreachable)
    assert "in a circle" in answer.reason
    assert (attempt.outcome, attempt.status) == ("unreachable", 307)
    assert [head.split()[1] for head in server.heads] == [
        "/repos/acme/shop/dispatches",
        "/again",
        "/again",
        "/again",
    ]
    assert len(set(server.bodies)) == 1
    assert all("Authorization" in head for head in server.heads)


async def test_a_redirect_to_another_host_is_not_followed() -> None:
    async with wire(saying(response(204))) as elsewhere:
        moved = response(307, b"", f"Location: {elsewhere.url}/repos/acme/shop/dispatches")
        async with wire(saying(moved)) as server:
            answer, _, _ = await send(server.url)
    assert isinstance(answer, Failed)
    assert elsewhere.heads == []


async def test_an_entry_in_netrc_for_the_host_does_not_get_in_the_way(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp with trust_env would refuse to send: two credentials for one request."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    assert (await send(simulator.url)).answer == Accepted()


class TestNobodyKnows:
    async def test_a_connection_that_is_closed_without_an_answer(self) -> None:
        async def hang_up(writer: asyncio.StreamWriter) -> None:
            writer.close()

        async with wire(hang_up) as server:
            answer, attempt, _ = await send(server.url)
        assert isinstance(answer, Ambiguous)
        assert "the connection was closed" in answer.reason
        assert (attempt.outcome, attempt.status) == ("ambiguous", None)
        assert len(server.heads) == 1

    async def test_a_reused_connection_that_is_closed_is_not_tried_again(self) -> None:
        """Between a keep-alive that ran out and an answer that was lost, nobody can tell."""

        async def answer_once(writer: asyncio.StreamWriter) -> None:
            if len(server.heads) > 1:
                writer.close()
            else:
                await saying(response(204))(writer)

        async with wire(answer_once) as server:
            async with GitHub(server.url, TOKEN, now) as github:
                assert (await github.send(a_dispatch())).answer == Accepted()
                assert isinstance((await github.send(a_dispatch())).answer, Ambiguous)
            assert len(server.heads) == 2

    async def test_an_answer_that_was_there_before_the_request_counts_for_nothing(self) -> None:
        """A second 204 to the request before would pass for GitHub's word on this one, and a
        dispatch that was never taken would be accepted."""
        async with wire(saying(response(204))) as server, GitHub(server.url, TOKEN, now) as github:
            assert (await github.send(a_dispatch())).answer == Accepted()
            await server.say(response(204))
            server.answer = saying(response(500))
            assert not isinstance((await github.send(a_dispatch())).answer, Accepted)
            again = (await github.send(a_dispatch())).answer
        assert isinstance(again, Ambiguous)
        assert "GitHub answered 500" in again.reason

    async def test_a_stalled_answer_times_out(self, simulator: Simulator) -> None:
        simulator.inject(Fault(FaultKind.STALL))
        answer, attempt, _ = await send(simulator.url, within=SHORT)
        assert isinstance(answer, Ambiguous)
        assert "timed out" in answer.reason
        assert attempt.duration >= SHORT
        assert len(simulator.received) == 1

    @pytest.mark.parametrize(
        "raw",
        [
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
            b"HTTP/1.1 204 No Con",
        ],
        ids=["not HTTP", "a monstrous header", "cut off"],
    )
    async def test_an_answer_that_cannot_be_read(self, raw: bytes) -> None:
        async def answer_and_close(writer: asyncio.StreamWriter) -> None:
            writer.write(raw)
            writer.close()

        async with wire(answer_and_close) as server:
            answer = (await send(server.url)).answer
        assert isinstance(answer, Ambiguous)
        assert len(answer.reason) < 600


class TestTheBodyOfAnAnswer:
    async def test_an_endless_one_is_cut_off_and_its_connection_closed(self) -> None:
        async def pour(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 422 No\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
            while True:  # until the client hangs up
                writer.write(chunk)
                await writer.drain()

        async with wire(pour) as server, GitHub(server.url, TOKEN, now) as github:
            await github.send(a_dispatch())  # what is held from the first one on does not count
            server.closed.clear()
            tracemalloc.start()
            try:
                answer = (await github.send(a_dispatch())).answer
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            await server.closed.wait()
        assert isinstance(answer, Failed)
        assert "xxx" in answer.reason
        assert len(answer.reason) < 1000
        assert peak < 32 * BODY_MAX  # of both sides, and of aiohttp's and asyncio's buffers

    @pytest.mark.parametrize("gives_up", ["on the body", "on the dispatch"])
    async def test_one_that_stalls_does_not_take_the_status_away(
        self, gives_up: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is waited for, but not for as long as for the status."""
        if gives_up == "on the body":
            monkeypatch.setattr(session, "BODY_TIMEOUT", SHORT.total_seconds())
        within = LONG if gives_up == "on the body" else SHORT
        start = b'HTTP/1.1 422 No\r\nContent-Length: 900\r\n\r\n{"message": "Inv'
        async with wire(saying(start)) as server:
            answer, attempt, _ = await send(server.url, within=within)
        assert isinstance(answer, Failed)
        assert '{"message": "Inv' in answer.reason
        assert attempt.status == 422
        assert SHORT <= attempt.duration < LONG / 2

    async def test_one_that_breaks_off_does_not_take_the_status_away(self) -> None:
        async def break_off(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 404 No\r\nContent-Length: 900\r\n\r\nabc")
            writer.close()

        async with wire(break_off) as server:
            answer = (await send(server.url)).answer
        assert isinstance(answer, Failed)
        assert '404: "abc"' in answer.reason

    async def test_one_that_is_compressed_unasked_is_not_unpacked(self) -> None:
        bomb = gzip.compress(b"x" * (100 * BODY_MAX))
        async with wire(saying(response(422, bomb, "Content-Encoding: gzip"))) as server:
            answer = (await send(server.url)).answer
        assert isinstance(answer, Failed)
        assert answer.reason.isprintable()


class TestTheToken:
    async def test_it_is_in_no_answer_no_log_and_no_repr(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Even where the server sends it back."""
        secret = TOKEN.reveal()
        caplog.set_level(logging.DEBUG)
        echo = response(
            301,
            f'{{"message": "you sent {secret}"}}'.encode(),
            f"Location: http://{secret}.example/",
            f"X-GitHub-Request-Id: {secret}",
        )
        async with wire(saying(echo)) as server, GitHub(server.url, TOKEN, now) as github:
            exchange = await github.send(a_dispatch())
            shown = f"{exchange} {github!r} {github}"
        assert "you sent <token>" in shown
        assert secret not in shown
        assert secret not in caplog.text

    @pytest.mark.parametrize("value", ["", "ghp_x\n", "ghp x", "ghp_ä", "ghp_\r\nX-Evil: 1"])
    async def test_one_that_cannot_be_a_header_is_refused_at_the_start(self, value: str) -> None:
        with pytest.raises(UsageError, match="env:GH_TOKEN") as caught:
            GitHub("https://api.github.com", Secret(value, "env:GH_TOKEN"), now)
        assert not value or value not in str(caught.value)


async def test_a_send_that_is_cancelled_leaves_the_session_fit_for_use(
    simulator: Simulator,
) -> None:
    async with GitHub(simulator.url, TOKEN, now) as github:
        simulator.inject(Fault(FaultKind.STALL))
        sending = asyncio.create_task(github.send(a_dispatch()))
        await simulator.until(lambda: simulator.stalled == 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (await github.send(a_dispatch())).answer == Accepted()


async def test_several_dispatches_can_be_in_flight_at_once(simulator: Simulator) -> None:
    simulator.inject(Fault(FaultKind.STALL, times=5))
    async with GitHub(simulator.url, TOKEN, now) as github:
        sending = [asyncio.create_task(github.send(a_dispatch())) for _ in range(5)]
        await simulator.until(lambda: simulator.stalled == 5)
        simulator.release()
        answers = [exchange.answer for exchange in await asyncio.gather(*sending)]
    assert answers == [Accepted()] * 5


async def test_whoever_waits_is_told_when_the_request_has_gone_and_not_before() -> None:
    gone = asyncio.Event()

    async def answer_once_it_is_known(writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.write(response(204))

    async with wire(answer_once_it_is_known) as server, GitHub(server.url, TOKEN, now) as github:
        assert (await github.send(a_dispatch(), gone.set)).answer == Accepted()
    gone.clear()
    async with GitHub(server.url, TOKEN, now) as github:
        assert isinstance((await github.send(a_dispatch(), gone.set)).answer, Unreachable)
    assert not gone.is_set()


async def test_it_is_used_within_its_context_only() -> None:
    github = GitHub("https://api.github.com", TOKEN, now)
    with pytest.raises(RuntimeError, match="async with"):
        await github.send(a_dispatch())
