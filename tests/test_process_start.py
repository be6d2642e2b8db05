"""What keeps the daemon from starting: each fault ends it with status 2 and a text that names the
cure, shows no secret and leaves everything as it was."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import create_engine, text

from tests.harness import PUSH, SECRETS, Daemon, Entry, Finished, Sender, stand_in

DEADLINE = 30.0
NOWHERE = "http://127.0.0.1:9"
"""GitHub's address where the daemon does not get as far as to call it."""


async def refusal(daemon: Daemon, *options: str) -> str:
    """What ``dispatchd run`` says when it refuses to start."""
    finished = await daemon.command("run", *options)
    assert_refused(finished)
    return finished.stderr


def assert_refused(finished: Finished) -> None:
    assert finished.status == 2, finished
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr
    assert not [secret for secret in SECRETS if secret in finished.stderr]


async def test_a_second_daemon_on_the_same_database_is_refused_and_the_first_one_goes_on(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(DEADLINE),
        stand_in() as github,
        Daemon(tmp_path, github.url) as daemon,
        Sender() as sender,
    ):
        await daemon.start()
        said = await refusal(daemon)
        assert f"another dispatchd (pid {daemon.pid}) uses {daemon.database}" in said
        assert "stop it first, or set DISPATCHD_DATABASE_URL" in said

        assert await sender.push(daemon.url, "first") == 202
        await sender.until_received(github)
        status = await daemon.command("status", "--json")  # over the socket, which is still there
        assert json.loads(status.stdout)["running"] is True


async def test_a_port_in_use_is_named_with_the_two_ways_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        daemon = Daemon(tmp_path, NOWHERE, environ={"DISPATCHD_LISTEN": address})
        said = await refusal(daemon)
    assert f"cannot listen on {address}" in said
    assert "free the port, or choose another with --listen HOST:PORT" in said
    assert not (tmp_path / "state.sqlite.sock").exists()


async def test_without_a_token_the_simulation_is_named(tmp_path: Path) -> None:
    said = await refusal(Daemon(tmp_path, NOWHERE, environ={"GH_TOKEN": ""}))
    assert "no GitHub token: set GH_TOKEN" in said
    assert "dispatchd run --simulate" in said
    assert not (tmp_path / "state.sqlite").exists()


async def test_a_token_with_a_line_break_is_refused_without_being_shown(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, NOWHERE, environ={"GH_TOKEN": f"{SECRETS[0]}\n{SECRETS[1]}"})
    assert "line break" in await refusal(daemon)


async def test_an_unresolved_secret_of_an_enabled_trigger_is_named_with_its_place(
    tmp_path: Path,
) -> None:
    daemon = Daemon(tmp_path, NOWHERE, environ={"GH_WEBHOOK_SECRET": ""})
    said = await refusal(daemon)
    assert "TRIGGERS.json:1:" in said
    assert "triggers[0].auth.secret: the environment variable GH_WEBHOOK_SECRET is" in said


async def test_an_unresolved_secret_of_a_disabled_trigger_only_warns(tmp_path: Path) -> None:
    disabled = {**PUSH, "enabled": False}
    daemon = Daemon(tmp_path, NOWHERE, triggers=[disabled], environ={"GH_WEBHOOK_SECRET": ""})
    async with asyncio.timeout(DEADLINE), daemon:
        await daemon.start()
        (warning,) = daemon.said("config warning")
        assert "triggers[0].auth.secret: " in warning["message"]
        assert await daemon.terminate() == 0


async def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    misspelt: Entry = {**PUSH, "pth": "/hooks/github"}
    never = {"name": "never", "schedule": "0 0 31 2 *", "dispatch": {"event_type": "x"}}
    daemon = Daemon(tmp_path, NOWHERE, triggers=[misspelt], crons=[never])
    settings = tmp_path / "config" / "DAEMON.yaml"
    settings.write_text("retention: 30 days\n")
    said = await refusal(daemon)
    lines = [line for line in said.splitlines() if str(tmp_path) in line]
    places = [line.removeprefix(f"{tmp_path}/config/").partition(": ")[0] for line in lines]
    files = [place.partition(":")[0] for place in places]
    assert files == ["CRONS.json", "DAEMON.yaml", "TRIGGERS.json"]
    assert all(place.count(":") == 2 for place in places), places
    assert "did you mean" in said
    assert f"{len(lines)} faults; nothing was started" in said
    assert not daemon.database.exists()


async def test_a_missing_config_directory_says_what_is_looked_for_where(tmp_path: Path) -> None:
    said = await refusal(Daemon(tmp_path, NOWHERE), "--config-dir", str(tmp_path / "other"))
    assert f"{tmp_path / 'other'}: holds neither CRONS.json nor TRIGGERS.json" in said
    assert "name another directory with --config-dir" in said


async def test_a_database_where_nothing_can_be_written_is_told_with_the_cure(
    tmp_path: Path,
) -> None:
    """A regular file where a directory should be stops root too, unlike a mode."""
    (tmp_path / "file").write_text("not a directory")
    place = tmp_path / "file" / "state.sqlite"
    daemon = Daemon(tmp_path, NOWHERE, environ={"DISPATCHD_DATABASE_URL": f"sqlite:///{place}"})
    said = await refusal(daemon)
    assert f"cannot use the database {place}" in said
    assert "set DISPATCHD_DATABASE_URL to another place" in said
    assert (tmp_path / "file").read_text() == "not a directory"


@pytest.mark.parametrize(
    "content",
    [b"# notes that somebody would miss\n" * 200, b"SQLite format 3\0" + b"\xff" * 5000],
    ids=["a text", "a damaged database"],
)
async def test_a_file_that_is_no_database_stays_byte_for_byte_as_it_was(
    tmp_path: Path, content: bytes
) -> None:
    daemon = Daemon(tmp_path, NOWHERE)
    daemon.database.write_bytes(content)
    said = await refusal(daemon)
    assert f"cannot use the database {daemon.database}" in said
    assert daemon.database.read_bytes() == content


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    async with asyncio.timeout(DEADLINE):
        async with Daemon(tmp_path, NOWHERE) as daemon:
            await daemon.start()
            assert await daemon.terminate() == 0
        engine = create_engine(f"sqlite:///{daemon.database}")
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        engine.dispose()
        before = daemon.database.read_bytes()
        said = await refusal(daemon)
    assert "was written by a newer dispatchd (its schema is 9999" in said
    assert "install that version, have it go back with `dispatchd db migrate --to" in said
    assert daemon.database.read_bytes() == before


async def test_a_simulation_needs_no_token_and_leaves_the_real_database_alone(
    tmp_path: Path,
) -> None:
    daemon = Daemon(tmp_path, NOWHERE, environ={"GH_TOKEN": ""})
    async with asyncio.timeout(DEADLINE), daemon, Sender() as sender:
        await daemon.start("--simulate")
        assert any("SIMULATION" in line for line in daemon.log)
        assert await sender.push(daemon.url, "first") == 202
        await daemon.until(lambda: bool(daemon.said("dispatch accepted")))
        assert await daemon.terminate() == 0
    assert not daemon.database.exists()
    assert (tmp_path / "state-simulation.sqlite").exists()


async def test_a_stale_socket_of_a_killed_daemon_does_not_keep_the_next_one_out(
    tmp_path: Path,
) -> None:
    async with (
        asyncio.timeout(DEADLINE),
        Daemon(tmp_path, NOWHERE) as daemon,
        aiohttp.UnixConnector(str(tmp_path / "state.sqlite.sock")) as connector,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        await daemon.start()
        await daemon.kill()
        assert (tmp_path / "state.sqlite.sock").is_socket()
        await daemon.start()
        async with session.get("http://dispatchd/ping") as answer:
            assert await answer.json() == {"message": "Pong!"}
        assert (tmp_path / "state.sqlite.sock").stat().st_mode & 0o777 == 0o660
