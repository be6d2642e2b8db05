"""HTTPS with certificates of a real authority: from the first connection over a renewal to its end,
and what becomes of those who do not come to speak."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from daemon import app, renewal
from daemon.certificate import CertificateError, read_certificate
from daemon.config import Secrets
from daemon.connections import Limits
from daemon.errors import ConfigError
from daemon.facts import CertificateRenewed, Fact, Facts, RequestRefused, Trouble
from daemon.renewal import Renewal
from daemon.spec import TlsFiles
from tests.harness.door import Door, door
from tests.harness.raw_http import Answer, Wire, ask, connected, request
from tests.inprocess import Serving, serving
from tests.shell import Shell
from tests.specs import API_KEY
from tests.test_config import HOME, read
from tests.tls import Authority

DEADLINE = 10.0
PING = request("GET", "/ping")


def write(files: TlsFiles, leaf: trustme.LeafCert, *, key: bool = True) -> None:
    """As `fullchain.pem` and `privkey.pem`."""
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    Path(files.certificate).write_bytes(chain)
    if key:
        Path(files.key).touch(mode=0o600)
        Path(files.key).write_bytes(leaf.private_key_pem.bytes())


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return TlsFiles(str(tmp_path / "fullchain.pem"), str(tmp_path / "privkey.pem"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.root))


def settings_of(files: TlsFiles) -> dict[str, Any]:
    return {"tls_cert": files.certificate, "tls_key": files.key}


@asynccontextmanager
async def encrypted_wire(url: str, context: ssl.SSLContext) -> AsyncIterator[tuple[Wire, int]]:
    """A connection, and the serial number of the certificate that the server showed."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    try:
        yield Wire(reader, writer), int(writer.get_extra_info("peercert")["serialNumber"], 16)
    finally:
        writer.transport.abort()


async def ping(wire: Wire) -> Answer:
    await wire.send(PING)
    answer = await wire.answer()
    assert answer is not None
    assert answer.status == 200
    return answer


def serial(leaf: trustme.LeafCert) -> int:
    from cryptography import x509

    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).serial_number


class TestServed:
    async def test_a_renewed_certificate_is_shown_and_no_connection_dropped(
        self,
        tmp_path: Path,
        files: TlsFiles,
        authority: Authority,
        trusting: ssl.SSLContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Some connection is between two requests, and some amid one, while the files change."""
        monkeypatch.setattr(renewal, "LOOK_EVERY", 0.05)
        first, second = authority.certificate("127.0.0.1"), authority.certificate("127.0.0.1")
        write(files, first)
        connector = aiohttp.TCPConnector(ssl=trusting)
        async with (
            serving(tmp_path, settings=settings_of(files)) as daemon,
            aiohttp.ClientSession(connector=connector) as session,
            encrypted_wire(daemon.url, trusting) as (wire, shown),
        ):
            assert daemon.url.startswith("https://127.0.0.1:")
            assert shown == serial(first)
            answer = await ping(wire)
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            headers = {"x-api-key": API_KEY, "content-type": "application/json"}
            sending = asyncio.Event()

            async def body() -> AsyncIterator[bytes]:
                yield b'{"event_type": '
                sending.set()
                await daemon.until(lambda fact: isinstance(fact, CertificateRenewed))
                yield b'"build"}'

            amid = asyncio.create_task(
                session.post(daemon.url + "/dispatch", data=body(), headers=headers)
            )
            await sending.wait()
            write(files, second)
            async with await amid as response:
                assert response.status == 200
            async with encrypted_wire(daemon.url, trusting) as (new, shown):
                assert shown == serial(second)
                await ping(new)
            await ping(wire)  # the connection from before
            async with session.get(
                daemon.url + "/metrics", headers={"x-api-key": API_KEY}
            ) as response:
                told = re.search(
                    r"^dispatchd_tls_certificate_end_timestamp_seconds (\S+)$",
                    await response.text(),
                    re.MULTILINE,
                )
                assert told is not None
                assert float(told[1]) == read_certificate(files).ends.timestamp()

    async def test_what_ends_soon_degrades_and_is_told(
        self, tmp_path: Path, files: TlsFiles, authority: Authority, trusting: ssl.SSLContext
    ) -> None:
        write(files, authority.certificate("127.0.0.1"))
        later = app.wall_clock() + timedelta(hours=20)
        async with (
            serving(tmp_path, settings=settings_of(files), clock=lambda: later) as daemon,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
        ):
            async with session.get(daemon.url + "/readyz") as response:
                answer = await response.json()
                assert response.status == 200
            assert answer["status"] == "degraded"
            assert any("TLS certificate ends soon" in each for each in answer["reasons"])
            await daemon.until(lambda fact: isinstance(fact, Trouble) and fact.part == "tls")

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
    async def test_only_tls_1_2_and_later_is_spoken(
        self, tmp_path: Path, files: TlsFiles, authority: Authority, trusting: ssl.SSLContext
    ) -> None:
        write(files, authority.certificate("127.0.0.1"))
        async with serving(tmp_path, settings=settings_of(files)) as daemon:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                trusting.minimum_version = trusting.maximum_version = version
                assert await get(daemon, trusting) == 200
            old = ssl.create_default_context()
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            old.set_ciphers("ALL:@SECLEVEL=0")
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises(aiohttp.ClientConnectorError):
                await get(daemon, old)
            await daemon.until(
                lambda fact: isinstance(fact, RequestRefused) and "no TLS came" in fact.reason
            )

    async def test_a_webhook_is_signed_for_the_url_that_its_sender_called(
        self, tmp_path: Path, files: TlsFiles, authority: Authority, trusting: ssl.SSLContext
    ) -> None:
        """Twilio signs the whole URL: it begins with https here."""
        from twilio.request_validator import (  # type: ignore[import-untyped]
            RequestValidator,
        )

        write(files, authority.certificate("127.0.0.1"))
        sms = {
            "name": "sms",
            "path": "/sms",
            "auth": {"scheme": "twilio", "secret": "env:GH_WEBHOOK_SECRET"},
            "dispatch": {"event_type": "sms"},
        }
        async with (
            serving(tmp_path, settings=settings_of(files), triggers=[sms]) as daemon,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
        ):
            form = {"Body": "hello"}
            validator = RequestValidator("a secret of 24 characters")
            signature = validator.compute_signature(daemon.url + "/sms", form)
            async with session.post(
                daemon.url + "/sms", data=form, headers={"X-Twilio-Signature": signature}
            ) as response:
                assert response.status in (200, 202)


async def get(daemon: Serving, context: ssl.SSLContext) -> int:
    connector = aiohttp.TCPConnector(ssl=context)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(daemon.url + "/ping") as response,
    ):
        return response.status


@asynccontextmanager
async def tls_door(
    files: TlsFiles, authority: Authority, limits: Limits | None = None
) -> AsyncIterator[Door]:
    write(files, authority.certificate("127.0.0.1"))
    certificate = read_certificate(files)
    async with door(limits, present=lambda: certificate.context) as at:
        yield at


class TestBeforeTheHandshake:
    async def test_plain_http_is_told_to_come_by_https(
        self, files: TlsFiles, authority: Authority
    ) -> None:
        async with tls_door(files, authority) as at:
            answer = await ask(at.url.replace("https:", "http:"), PING)
            assert answer is not None
            assert answer.status == 400
            assert "write https://" in answer.error
            assert len(at.told) == 1

    async def test_who_does_not_shake_hands_in_time_is_cut_off(
        self, files: TlsFiles, authority: Authority
    ) -> None:
        async with (
            tls_door(files, authority, Limits(head=0.2)) as at,
            connected(at.url) as silent,
            connected(at.url) as half,
            asyncio.timeout(DEADLINE),
        ):
            await half.send(b"\x16\x03\x01")
            assert await silent.reader.read() == b""
            assert await half.reader.read() == b""

    async def test_who_keeps_silent_gives_way_to_newcomers(
        self, files: TlsFiles, authority: Authority, trusting: ssl.SSLContext
    ) -> None:
        limits = Limits(connections=3)
        async with (
            tls_door(files, authority, limits) as at,
            connected(at.url) as first,
            connected(at.url),
            connected(at.url),
            asyncio.timeout(DEADLINE),
            encrypted_wire(at.url, trusting) as (wire, _),
        ):
            await ping(wire)
            assert await first.reader.read() == b""
            assert "more than 3 connections" in at.told[0]

    async def test_a_stop_waits_for_nobody_who_keeps_silent(
        self, files: TlsFiles, authority: Authority
    ) -> None:
        async with tls_door(files, authority) as at, connected(at.url) as silent:
            async with asyncio.timeout(DEADLINE / 2):
                await at.close()
                assert await silent.reader.read() == b""


class TestRenewal:
    async def test_a_bad_pair_is_told_once_and_the_one_before_stays(
        self, files: TlsFiles, authority: Authority
    ) -> None:
        first, second = authority.certificate("a.example"), authority.certificate("b.example")
        write(files, first)
        seen, kept = watched(files)
        before = kept.context()
        write(files, second, key=False)  # half of the renewal is here
        await kept.look()
        assert seen == []  # it may be under way
        for _ in range(3):
            await kept.look()
        (trouble,) = seen
        assert isinstance(trouble, Trouble)
        assert "is not that of the certificate in" in trouble.message
        assert kept.context() is before
        assert kept.reasons() == [
            "the files of the TLS certificate cannot be used; the one before is"
        ]
        write(files, second)
        await kept.look()
        assert isinstance(seen[-1], CertificateRenewed)
        assert kept.context() is not before
        assert kept.reasons() == []

    async def test_what_is_as_it_was_is_not_told(
        self, files: TlsFiles, authority: Authority
    ) -> None:
        leaf = authority.certificate("a.example")
        write(files, leaf)
        seen, kept = watched(files)
        before = kept.context()
        write(files, authority.certificate("a.example"), key=False)
        await kept.look()
        write(files, leaf)
        await kept.look()
        assert (seen, kept.context() is before) == ([], True)

    async def test_the_end_is_told_once_a_day(self, files: TlsFiles, authority: Authority) -> None:
        write(files, authority.certificate("a.example"))  # for two days, one of which is over
        now = datetime.now(UTC)
        seen, kept = watched(files, lambda: now)
        await kept.look()
        assert seen == []
        now += timedelta(hours=16)
        for _ in range(3):
            await kept.look()
        now += timedelta(days=1)
        for _ in range(3):
            await kept.look()
        assert [type(fact) for fact in seen] == [Trouble, Trouble]
        assert "ends: " in str(seen[0])
        assert "has ended" in str(seen[1])
        assert "has ended" in kept.reasons()[0]


def watched(files: TlsFiles, clock: Any = lambda: datetime.now(UTC)) -> tuple[list[Fact], Renewal]:
    seen: list[Fact] = []
    facts = Facts()
    facts.subscribe(seen.append)
    return seen, Renewal(lambda: files, clock=clock, facts=facts)


class TestFiles:
    def test_each_fault_is_told_by_its_file(self, files: TlsFiles, authority: Authority) -> None:
        leaf, other = authority.certificate("a.example"), authority.certificate("b.example")
        with pytest.raises(CertificateError, match=r"fullchain.pem cannot be read: No such file"):
            read_certificate(files)
        write(files, leaf)
        Path(files.key).write_bytes(other.private_key_pem.bytes())
        with pytest.raises(CertificateError, match=r"privkey.pem is not that of the certificate"):
            read_certificate(files)
        Path(files.key).write_bytes(b"nothing")
        with pytest.raises(CertificateError, match=r"privkey.pem holds no private key"):
            read_certificate(files)
        Path(files.key).write_bytes(encrypted(leaf))
        with pytest.raises(CertificateError, match=r"privkey.pem is encrypted"):
            read_certificate(files)
        Path(files.certificate).write_bytes(leaf.private_key_pem.bytes())
        with pytest.raises(CertificateError, match=r"fullchain.pem holds no certificate"):
            read_certificate(files)

    def test_the_config_holds_them_against_each_other(
        self, tmp_path: Path, files: TlsFiles, authority: Authority
    ) -> None:
        write(files, authority.certificate("a.example"))
        both = f"tls_cert: {files.certificate}\ntls_key: {files.key}\n"
        config = read(tmp_path, crons=[], yaml=both)
        assert config.settings.tls == files
        assert config.warnings == ()
        with pytest.raises(ConfigError, match="belong together"):
            read(tmp_path, crons=[], yaml=f"tls_cert: {files.certificate}\n")
        Path(files.key).chmod(0o644)
        (warning,) = read(tmp_path, crons=[], yaml=both).warnings
        assert "chmod o-r" in warning
        Path(files.key).unlink()
        with pytest.raises(ConfigError, match=r"DAEMON.yaml:1:.*cannot be read"):
            read(tmp_path, crons=[], yaml=both)
        loaded = read(tmp_path, crons=[], yaml=both, secrets=Secrets.OPTIONAL)
        assert "cannot be read" in loaded.warnings[0]

    @pytest.mark.parametrize(
        ("listen", "more", "warned"),
        [
            ("127.0.0.1:8080", "", False),
            ("'[::1]:8080'", "", False),
            ("localhost:8080", "", False),
            (":8080", "", True),
            ("192.0.2.1:8080", "", True),
            (":8080", "trusted_proxies: [192.0.2.2]\n", False),
        ],
    )
    def test_plain_http_for_others_is_warned_of(
        self, tmp_path: Path, listen: str, more: str, warned: bool
    ) -> None:
        environ = {key: value for key, value in HOME.items() if key != "DISPATCHD_LISTEN"}
        yaml = f"dispatchd_listen: {listen}\n{more}"
        warnings = read(tmp_path, crons=[], yaml=yaml, environ=environ).warnings
        assert any("`tls_cert`" in each for each in warnings) is warned


def encrypted(leaf: trustme.LeafCert) -> bytes:
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


class TestCommands:
    async def test_doctor_says_until_when_it_holds(
        self, tmp_path: Path, files: TlsFiles, authority: Authority
    ) -> None:
        shell = Shell(tmp_path)
        write(files, authority.certificate("a.example"))
        (shell.config / "DAEMON.yaml").write_text(json.dumps(settings_of(files)))
        ran = await shell.run("doctor", "--json")
        (found,) = [each for each in ran.json["checks"] if each["check"] == "certificate"]
        assert (found["subject"], found["result"]) == (files.certificate, "ok")
        write(files, authority.certificate("b.example"), key=False)
        ran = await shell.run("doctor", "--json")
        (found,) = [each for each in ran.json["checks"] if each["check"] == "certificate"]
        assert found["result"] == "fail"
        assert "is not that of the certificate" in found["text"]

    async def test_without_the_socket_they_come_by_https_and_tell_what_is_wrong(
        self, tmp_path: Path, files: TlsFiles, authority: Authority
    ) -> None:
        home = tmp_path / "home"
        home.mkdir()
        shell = Shell(home)
        (shell.config / "DAEMON.yaml").write_text(json.dumps(settings_of(files)))
        write(files, authority.certificate("127.0.0.1"))
        async with serving(tmp_path, settings=settings_of(files)) as daemon:
            # With the database's name it would look for its socket alone.
            del shell.environ["DISPATCHD_DATABASE_URL"]
            shell.environ |= {
                "DISPATCHD_LISTEN": urlsplit(daemon.url).netloc,
                "XDG_STATE_HOME": str(home),
            }
            strange = await shell.run("status")
            assert "its certificate is not for that name" in strange.err
            ran = await shell.run("status", "--json", SSL_CERT_FILE=str(authority.root))
            assert ran.code == 0
