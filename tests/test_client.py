"""The GitHub client over real sockets: against the stand-in, and against servers that misbehave on
the wire. What matters most is to tell 'nothing was sent' from 'nobody knows'."""

from __future__ import annotations

import asyncio
import base64
import gzip
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.client import BODY_MAX, Exchange, GitHub
from daemon.dispatch import Dispatch
from daemon.errors import UsageError
from daemon.github import Accepted, Ambiguous, Failed, Throttled, Unreachable
from daemon.secret import Secret
from daemon.simulator import Fault, FaultKind, Simulator

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOKEN = Secret("ghp_dontshowme", "env:GH_TOKEN")
SHORT = timedelta(milliseconds=150)

# A self-signed certificate for 127.0.0.1 that nobody trusts; the key protects nothing.
CERTIFICATE = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgutOaq1EYTvAaYMTU
XJn3M9fJPOD0Jast0YHCLvcJjEShRANCAATzKT9rSN43P9ekWLxhyY+JGCcL0sSO
O7DndSdnEO0jhd7PmQJcsQ8RDESTDXBsXX0SSSMwth1KJCbWs/D4oumi
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBkTCCATagAwIBAgIURpnZoMGVFI+jImIxe3/y5WEu9bgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzA1MzIxOVoYDzIxMjYxMDMw
MDUzMjE5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATzKT9rSN43P9ekWLxhyY+JGCcL0sSOO7DndSdnEO0jhd7PmQJcsQ8R
DESTDXBsXX0SSSMwth1KJCbWs/D4oumio2QwYjAdBgNVHQ4EFgQUzy3kXQL9zir5
bFBD4axBieYkCTMwHwYDVR0jBBgwFoAUzy3kXQL9zir5bFBD4axBieYkCTMwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0kAMEYC
IQDsWa5SRiwrO42mbCneBc0VY3Os5Gr2/x21K0osyu+tBAIhANv3zB/XvLB2V0KS
YAdOcjcomjdb4pen5g3qKcIUVgTm
-----END CERTIFICATE-----
"""


def now() -> datetime:
    return T0


def a_dispatch(attempts: int = 0) -> Dispatch:
    return Dispatch(
        id="dsp_1",
        event_id="evt_1",
        entry="nightly",
        repository="acme/shop",
        event_type="build",
        client_payload='{"dispatchd":{"id":"dsp_1"}}',
        created_at=T0,
        due_at=T0,
        expires_at=T0 + timedelta(days=1),
        attempts=attempts,
    )


async def send(
    url: str,
    within: timedelta = timedelta(seconds=10),
    connect_within: timedelta = timedelta(seconds=10),
) -> Exchange:
    """Sends one dispatch in a session of its own."""
    async with GitHub(url, TOKEN, now, timeout=within, connect_timeout=connect_within) as github:
        return await github.send(a_dispatch())


@dataclass
class Wire:
    """A raw TCP server that answers each request with ``answer``, and what it saw."""

    answer: Callable[[asyncio.StreamWriter], Awaitable[None]]
    url: str = ""
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                length = head.lower().partition("content-length: ")[2].partition("\r")[0]
                self.bodies.append(await reader.readexactly(int(length or 0)))
                await self.answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.closed.set()


@asynccontextmanager
async def wire(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[Wire]:
    wire = Wire(answer)
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield wire
        # Every client is gone by now; a handler of theirs ends once it has noticed.
        if wire.heads:
            await wire.closed.wait()


def saying(raw: bytes) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """An answer that is always these bytes."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return answer


def response(status: int, body: bytes = b"", *headers: str) -> bytes:
    """The bytes of an answer of GitHub's."""
    lines = [
        f"HTTP/1.1 {status} Whatever",
        f"Content-Length: {len(body)}",
        "X-GitHub-Request-Id: C0DE:1",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(now, tokens={TOKEN.reveal()}) as simulator:
        yield simulator


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


async def test_a_wrong_token_fails_at_once(simulator: Simulator) -> None:
    async with GitHub(simulator.url, Secret("ghp_other", "env:GH_TOKEN"), now) as github:
        answer, _, _ = await github.send(a_dispatch())
    assert isinstance(answer, Failed)
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


async def test_redirects_in_a_circle_end_after_three() -> None:
    async with wire(saying(response(307, b"", "Location: /again"))) as server:
        answer, attempt, _ = await send(server.url)
    assert isinstance(answer, Failed)
    assert "in a circle" in answer.reason
    assert attempt.status == 307
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


class TestNothingWasSent:
    async def test_a_refused_connection(self) -> None:
        async with wire(saying(b"")) as server:
            pass
        answer, attempt, limits = await send(server.url)
        assert isinstance(answer, Unreachable)
        assert server.url.removeprefix("http://") in answer.reason
        assert (attempt.outcome, attempt.status, limits) == ("unreachable", None, None)

    async def test_a_name_that_does_not_resolve(self) -> None:
        answer = (await send("https://no-such-host.invalid")).answer
        assert isinstance(answer, Unreachable)
        assert "the name no-such-host.invalid does not resolve" in answer.reason

    async def test_a_certificate_that_is_not_trusted(self, tmp_path: Path) -> None:
        pem = tmp_path / "self-signed.pem"
        pem.write_text(CERTIFICATE, encoding="utf-8")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        seen = Wire(saying(response(204)))
        server = await asyncio.start_server(seen.serve, "127.0.0.1", 0, ssl=context)
        async with server:
            answer = (await send(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")).answer
        assert isinstance(answer, Unreachable)
        assert "certificate is not trusted" in answer.reason
        assert "SSL_CERT_FILE" in answer.reason
        assert seen.heads == []

    async def test_a_port_that_does_not_speak_tls(self) -> None:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH\r\n")
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            answer = (await send(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")).answer
        assert isinstance(answer, Unreachable)

    @pytest.mark.parametrize(
        ("within", "connect_within"),
        [(timedelta(seconds=10), SHORT), (SHORT, timedelta(seconds=10))],
    )
    async def test_a_handshake_that_never_ends(
        self, within: timedelta, connect_within: timedelta
    ) -> None:
        async with wire(saying(b"")) as server:  # which waits for a head that never comes
            url = server.url.replace("http:", "https:")
            answer = (await send(url, within, connect_within)).answer
        assert isinstance(answer, Unreachable)
        assert answer.reason.endswith("timed out")


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
    async def test_an_endless_one_is_cut_off(self) -> None:
        async def pour(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 422 No\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
            while True:  # until the client hangs up
                writer.write(chunk)
                await writer.drain()

        async with wire(pour) as server:
            answer = (await send(server.url)).answer
        assert isinstance(answer, Failed)
        assert "xxx" in answer.reason
        assert len(answer.reason) < 1000

    async def test_one_that_stalls_does_not_take_the_status_away(self) -> None:
        start = b'HTTP/1.1 422 No\r\nContent-Length: 900\r\n\r\n{"message": "Inv'
        async with wire(saying(start)) as server:
            answer, attempt, _ = await send(server.url, within=SHORT)
        assert isinstance(answer, Failed)
        assert '{"message": "Inv' in answer.reason
        assert attempt.status == 422

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


class TestProxies:
    async def test_the_environments_proxy_is_asked_with_its_credentials(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
        async with wire(saying(refusal)) as proxy:
            address = proxy.url.replace("//", "//me:p%40ss@")
            monkeypatch.setenv("https_proxy", address)
            answer = (await send("https://api.github.com")).answer
        assert proxy.heads[0].startswith("CONNECT api.github.com:443 HTTP/1.1\r\n")
        credentials = base64.b64encode(b"me:p@ss").decode()
        assert f"Proxy-Authorization: Basic {credentials}\r\n" in proxy.heads[0]
        assert TOKEN.reveal() not in proxy.heads[0]
        assert isinstance(answer, Unreachable)
        assert "the proxy refused with status 407" in answer.reason
        assert "p%40ss" not in answer.reason

    async def test_a_proxy_that_is_down_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with wire(saying(b"")) as proxy:
            pass
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removeprefix("http://"))
        answer = (await send("https://api.github.com")).answer
        assert isinstance(answer, Unreachable)
        assert f"the proxy {proxy.url.removeprefix('http://')} does not answer" in answer.reason

    async def test_a_loopback_address_is_never_reached_through_a_proxy(
        self, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert (await send(simulator.url)).answer == Accepted()

    async def test_no_proxy_is_heeded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with wire(saying(b"")) as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            monkeypatch.setenv("no_proxy", "no-such-host.invalid")
            answer = (await send("https://no-such-host.invalid")).answer
        assert isinstance(answer, Unreachable)
        assert proxy.heads == []

    def test_a_proxy_of_another_kind_is_refused_at_the_start(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("https_proxy", "socks5://me:secret@127.0.0.1:1080")
        with pytest.raises(UsageError, match="https_proxy") as caught:
            GitHub("https://api.github.com", TOKEN, now)
        assert "secret" not in str(caught.value)


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


async def test_it_is_used_within_its_context_only() -> None:
    github = GitHub("https://api.github.com", TOKEN, now)
    with pytest.raises(RuntimeError, match="async with"):
        await github.send(a_dispatch())
