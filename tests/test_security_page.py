"""The page on security is true."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from daemon.admission import UNGUESSABLE
from daemon.api_keys import RANDOM_BYTES, Scope
from daemon.certificate import PART, SOON, read_certificate
from daemon.renewal import LOOK_EVERY
from daemon.spec import TlsFiles
from daemon.throttle import ADDRESSES_MAX, FAILURES, PER
from tests.examples import examples
from tests.harness import reserved_port
from tests.inprocess import serving
from tests.specs import API_KEY, SIGNED, trigger_entry
from tests.test_config import HOME, read
from tests.tls import Authority

PAGE = Path(__file__).parents[1] / "docs" / "security.md"
TEXT = PAGE.read_text("utf-8")
HOST = "hooks.example.com"
PLACE = f"/etc/letsencrypt/live/{HOST}"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
EXAMPLES = {example.name: example.text for example in examples(PAGE) if example.name}


def test_its_keys_load(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "PROMETHEUS_KEY").write_text("0123456789abcdef0123456789abcdef")
    environ = {**HOME, "API_KEY": "", "CREDENTIALS_DIRECTORY": str(credentials)}
    config = read(tmp_path, crons=[], yaml=EXAMPLES["settings"], environ=environ)
    assert config.warnings == ()
    ci, prometheus = config.settings.every_api_key
    assert ci.scopes == {Scope.DISPATCH}
    assert prometheus.scopes == {Scope.READ}


def test_its_figures_are_those_of_the_code() -> None:
    assert f"{RANDOM_BYTES * 8} random bits" in TEXT
    assert (FAILURES, PER) == (10, 60.0)
    assert f"Up to {ADDRESSES_MAX:,} of them" in TEXT
    assert f"A right key of {UNGUESSABLE} characters or more" in TEXT
    words = " ".join(TEXT.split())
    assert f"The content of both files is looked at every {LOOK_EVERY:.0f} s" in words
    assert f"from {SOON.days} days before the end on" in words
    assert f"holds for less than {SOON.days * PART} days" in words


def test_its_settings_of_https_name_files_that_must_be_there(tmp_path: Path) -> None:
    files = TlsFiles(str(tmp_path / "fullchain.pem"), str(tmp_path / "privkey.pem"))
    _write(files, tmp_path)
    environ = {key: value for key, value in HOME.items() if key != "DISPATCHD_LISTEN"}
    yaml = EXAMPLES["tls"].replace("/etc/dispatchd/tls", str(tmp_path))
    config = read(tmp_path, crons=[], yaml=yaml, environ=environ)
    assert (config.settings.tls, config.warnings) == (files, ())


def test_what_certbot_runs_hands_a_pair_over(tmp_path: Path) -> None:
    lineage, place = tmp_path / "live", tmp_path / "tls"
    lineage.mkdir()
    _write(TlsFiles(str(lineage / "fullchain.pem"), str(lineage / "privkey.pem")), tmp_path)
    script = EXAMPLES["certbot"].replace("-o root -g dispatchd ", "")  # who need not be here
    script = script.replace("/etc/dispatchd/tls", str(place))
    environ = {**os.environ, "RENEWED_LINEAGE": str(lineage)}
    subprocess.run(["/bin/sh", "-c", script], env=environ, check=True)
    read_certificate(TlsFiles(str(place / "fullchain.pem"), str(place / "privkey.pem")))
    assert {each.name for each in place.iterdir()} == {"fullchain.pem", "privkey.pem"}
    assert (place / "privkey.pem").stat().st_mode & 0o007 == 0


@pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed")
def test_caddy_takes_its_config(tmp_path: Path) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text(EXAMPLES["caddy"])
    words = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(file)]
    home = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    ran = subprocess.run(words, env=home, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "unformatted" not in ran.stderr


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)")
async def test_behind_its_nginx_the_client_is_who_it_is(tmp_path: Path) -> None:
    """Whatever the client says of itself; and the API stays at home."""
    settings = {"trusted_proxies": ["127.0.0.1"], "public_url": f"https://{HOST}"}
    triggers = [trigger_entry("push", path="/hooks/github", auth=SIGNED)]
    async with (
        serving(tmp_path, triggers=triggers, settings=settings) as daemon,
        nginx(tmp_path, daemon.url) as (url, connector),
        aiohttp.ClientSession(connector=connector) as session,
    ):
        local, daemon.url, daemon.session = daemon.url, url, session
        lies = {"X-Forwarded-For": "192.0.2.66", "Forwarded": "for=192.0.2.66", "Host": HOST}
        status, answer = await daemon.deliver("/hooks/github", {"ref": "x"}, headers=lies)
        assert status == 202
        for path in ("/dispatch", "/api/v1/events", "/metrics"):
            async with session.get(url + path, headers={"x-api-key": API_KEY}) as response:
                assert response.status == 404
                assert response.headers.getall("Strict-Transport-Security") == ["max-age=31536000"]
        async with (
            aiohttp.ClientSession() as home,
            home.get(
                f"{local}/api/v1/events/{answer['event_id']}", headers={"x-api-key": API_KEY}
            ) as response,
        ):
            assert (await response.json())["client_ip"] == "127.0.0.2"


@asynccontextmanager
async def nginx(directory: Path, daemon: str) -> AsyncIterator[tuple[str, aiohttp.TCPConnector]]:
    """The page's nginx before the daemon, and how to reach it from 127.0.0.2."""
    files = TlsFiles(str(directory / "fullchain.pem"), str(directory / "privkey.pem"))
    authority = _write(files, directory, host="127.0.0.1")
    with reserved_port() as port:
        server = EXAMPLES["nginx"].replace("listen 443", f"listen 127.0.0.1:{port}")
        server = server.replace("127.0.0.1:8080", urlsplit(daemon).netloc)
        server = server.replace(PLACE, str(directory))
        temporary = "".join(
            f"{each}_temp_path {directory}/{each};\n"
            for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (directory / "nginx.conf").write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} daemon off; master_process off;\n"
            f"pid {directory}/pid; error_log stderr warn;\nevents {{}}\n"
            f"http {{ access_log off;\n{temporary}{server}\n}}\n"
        )
        process = await asyncio.create_subprocess_exec(
            str(NGINX), "-e", "stderr", "-p", str(directory), "-c", str(directory / "nginx.conf")
        )
        try:
            async with asyncio.timeout(20):
                while True:
                    assert process.returncode is None
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        break
                    except ConnectionRefusedError:
                        await asyncio.sleep(0.05)  # it tells nobody when it is ready
                writer.close()
            trusting = ssl.create_default_context(cafile=str(authority.root))
            yield (
                f"https://127.0.0.1:{port}",
                aiohttp.TCPConnector(ssl=trusting, local_addr=("127.0.0.2", 0)),
            )
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def _write(files: TlsFiles, directory: Path, *, host: str = HOST) -> Authority:
    authority = Authority(directory)
    leaf = authority.certificate(host)
    Path(files.certificate).write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    Path(files.key).touch(mode=0o600)
    Path(files.key).write_bytes(leaf.private_key_pem.bytes())
    return authority
