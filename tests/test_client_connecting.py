"""The GitHub client's way to a connection: names, addresses, TLS and proxies. Whatever goes wrong
there, nothing was sent, and the dispatch may go again without a doubt."""

from __future__ import annotations

import asyncio
import base64
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.client import GitHub
from daemon.errors import UsageError
from daemon.github import Accepted, Unreachable
from daemon.simulator import Simulator
from tests.tls import Authority, tls_front
from tests.wires import LONG, SHORT, TOKEN, now, saying, send, wire

SILENT_NAME_SERVER = """
import asyncio, socket, time
from tests.wires import LONG, SHORT, send

async def main():
    for _ in range(2):
        print((await send("https://github.test", LONG, SHORT)).answer.reason)

socket.getaddrinfo = lambda *_, **__: time.sleep(60)
asyncio.run(main())
"""


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives the name ``localhost`` these addresses, in this order."""
    system = socket.getaddrinfo

    def resolve(*addresses: str) -> None:
        def look_up(host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
            if host != "localhost":
                return system(host, port, *arguments, **options)
            return [found for one in addresses for found in system(one, port, *arguments)]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)

    return resolve


@contextmanager
def black_hole(port: int) -> Iterator[None]:
    """A port of [::1] at which nothing answers, not even with a refusal: somebody listens there and
    takes nobody in, and the queue before the door is full."""
    with socket.socket(socket.AF_INET6) as door, socket.socket(socket.AF_INET6) as first:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind(("::1", port))
        except OSError as error:
            pytest.skip(f"this machine has no IPv6: {error}")
        door.listen(0)
        first.connect(("::1", port))
        yield


class TestNames:
    async def test_one_that_does_not_resolve(self) -> None:
        answer = (await send("https://no-such-host.invalid")).answer
        assert isinstance(answer, Unreachable)
        assert "the name no-such-host.invalid does not resolve" in answer.reason

    async def test_one_that_cannot_be_a_name(self) -> None:
        answer = (await send(f"https://{'x' * 64}.example")).answer
        assert isinstance(answer, Unreachable)
        assert "does not resolve" in answer.reason

    async def test_a_name_server_that_does_not_answer_holds_up_neither_us_nor_our_end(self) -> None:
        """In a process of its own: the threads of an executor would keep it from ending."""
        async with asyncio.timeout(20):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", SILENT_NAME_SERVER),
                cwd=Path(__file__).parents[1],
                stdout=asyncio.subprocess.PIPE,
            )
            printed, _ = await process.communicate()
        assert printed.decode() == "GitHub could not be reached at github.test: timed out\n" * 2
        assert process.returncode == 0


class TestAddresses:
    async def test_a_refused_connection(self) -> None:
        async with wire(saying(b"")) as server:
            pass
        answer, attempt, limits = await send(server.url)
        address = server.url.removeprefix("http://")
        assert answer == Unreachable(
            f"GitHub could not be reached at {address}: Connection refused"
        )
        assert (attempt.outcome, attempt.status, limits) == ("unreachable", None, None)

    async def test_where_ipv6_is_refused_ipv4_is_taken(
        self, simulator: Simulator, resolve: Callable[..., None]
    ) -> None:
        resolve("::1", "127.0.0.1")
        url = simulator.url.replace("127.0.0.1", "localhost")
        assert (await send(url)).answer == Accepted()

    async def test_where_ipv6_is_a_black_hole_ipv4_is_taken_at_once(
        self, simulator: Simulator, resolve: Callable[..., None]
    ) -> None:
        """Happy eyeballs (RFC 8305): far from waiting out the time for a connection."""
        resolve("::1", "::1", "::1", "127.0.0.1")
        port = int(simulator.url.rpartition(":")[2])
        with black_hole(port):
            hole = (await send(f"http://[::1]:{port}", connect_within=SHORT)).answer
            answer, attempt, _ = await send(f"http://localhost:{port}")
        assert isinstance(hole, Unreachable)
        assert hole.reason.endswith("timed out")
        assert answer == Accepted()
        assert attempt.duration < timedelta(seconds=3)

    async def test_where_all_are_refused_the_reason_is_said_once(
        self, resolve: Callable[..., None]
    ) -> None:
        async with wire(saying(b"")) as server:
            pass
        resolve("::1", "127.0.0.1")
        answer = (await send(server.url.replace("127.0.0.1", "localhost"))).answer
        assert isinstance(answer, Unreachable)
        assert answer.reason.endswith(": Connection refused")


class TestTls:
    async def test_a_certificate_that_nobody_vouches_for(
        self, simulator: Simulator, tmp_path: Path
    ) -> None:
        authority = Authority(tmp_path)
        async with tls_front(simulator, authority.certificate("127.0.0.1")) as front:
            answer = (await send(f"https://127.0.0.1:{front.port}")).answer
        assert isinstance(answer, Unreachable)
        assert "certificate is not trusted" in answer.reason
        assert "SSL_CERT_FILE" in answer.reason
        assert simulator.requests == 0

    async def test_a_port_that_does_not_speak_tls(self) -> None:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH\r\n")
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            answer = (await send(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")).answer
        assert isinstance(answer, Unreachable)
        assert "TLS could not be agreed on" in answer.reason

    @pytest.mark.parametrize(("within", "connect_within"), [(LONG, SHORT), (SHORT, LONG)])
    async def test_a_handshake_that_never_ends(
        self, within: timedelta, connect_within: timedelta
    ) -> None:
        async with wire(saying(b"")) as server:  # which waits for a head that never comes
            url = server.url.replace("http:", "https:")
            answer = (await send(url, within, connect_within)).answer
        assert isinstance(answer, Unreachable)
        assert answer.reason.endswith("timed out")


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
