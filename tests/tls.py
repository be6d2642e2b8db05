"""GitHub behind TLS: certificates that are right and wrong, made for the occasion, and a front that
takes the TLS off before the stand-in."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import trustme

from daemon.simulator import Simulator


class Authority:
    """A certificate authority whose root certificate is the file ``root``."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self.root = directory / "root.pem"
        self._authority.cert_pem.write_to_path(str(self.root))

    def certificate(self, host: str, *, expired: bool = False) -> trustme.LeafCert:
        """One for ``host``, which holds for a day, or held until an hour ago."""
        now, day, hour = datetime.now(UTC), timedelta(days=1), timedelta(hours=1)
        return self._authority.issue_cert(
            host, not_before=now - day, not_after=now - hour if expired else now + day
        )


class Front:
    """What answers at ``port`` of 127.0.0.1: TLS with the certificate of the moment, and behind it
    ``github``."""

    def __init__(self, github: Simulator) -> None:
        self.port = 0
        self._github = urlsplit(github.url)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def present(self, certificate: trustme.LeafCert) -> None:
        """Shows ``certificate`` from the next connection on."""
        certificate.configure_cert(self.context)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._github.hostname, self._github.port)
        ends = (writer, there[1])
        await asyncio.gather(_pass_on(reader, there[1], ends), _pass_on(there[0], writer, ends))


async def _pass_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    ends: tuple[asyncio.StreamWriter, ...],
) -> None:
    with suppress(OSError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    for end in ends:  # where one side has gone, the other has nobody to talk to
        end.transport.abort()


@asynccontextmanager
async def tls_front(
    github: Simulator, certificate: trustme.LeafCert, port: int = 0
) -> AsyncIterator[Front]:
    front = Front(github)
    front.present(certificate)
    server = await asyncio.start_server(front.serve, "127.0.0.1", port, ssl=front.context)
    front.port = server.sockets[0].getsockname()[1]
    async with server:
        yield front
