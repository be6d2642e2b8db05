"""``dispatchd doctor`` finds each thing that can be wrong, and says what to do: against the
stand-in over HTTP, with and without a running daemon."""

from __future__ import annotations

import asyncio
import json
import socket
import zoneinfo
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.app import running
from daemon.cli import examining, probing
from daemon.facts import Facts
from daemon.simulator import App, Fault, FaultKind, Listener, Simulator, Token
from daemon.simulator.faults import FaultPlace
from daemon.store.file import Lock, create
from daemon.surroundings import Surroundings
from tests.harness import wall_clock
from tests.inprocess import serving
from tests.rsa import key_pair
from tests.shell import Ran, Shell
from tests.specs import API_KEY, ENVIRON, SECRET, config, cron_entry, trigger_entry
from tests.test_listeners import SHOWS

REPOSITORY = "octo-org/octo-repo"
OURS = ENVIRON["GH_TOKEN"]
NIGHTLY = Listener("nightly.yml", "Nightly", frozenset({"nightly"}), f"Nightly [{SHOWS}]")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.write(crons=[cron_entry("nightly")])
    return shell


@pytest.fixture(autouse=True)
def zones() -> Iterator[None]:
    """Time zones come from the Python package, which is current wherever the tests run."""
    zoneinfo.reset_tzpath(to=[])
    yield
    zoneinfo.reset_tzpath()


@asynccontextmanager
async def github(*listeners: Listener, **options: Any) -> AsyncIterator[Simulator]:
    known = {REPOSITORY: list(listeners or (NIGHTLY,))}
    clock = options.pop("clock", wall_clock)
    async with Simulator(clock, **{"tokens": [OURS], "listeners": known, **options}) as simulator:
        yield simulator


async def doctor(shell: Shell, simulator: Simulator, *args: str, **environ: str) -> Ran:
    shell.environ = {**shell.environ, "GH_API_URL": simulator.url}
    before = shell.environ
    shell.environ = {**before, **environ}
    try:
        return await shell.run("doctor", "--json", *args)
    finally:
        shell.environ = before


def said(ran: Ran, check: str, result: str) -> str:
    """What is told of the check, of those with this result; fails where there is none such."""
    found = [each for each in ran.json["checks"] if each["check"] == check]
    told = [f"{each['text']}; {each['remedy']}" for each in found if each["result"] == result]
    assert told, f"no {check} is {result}: {found}"
    return "\n".join(told)


async def test_where_all_is_well_it_says_so_and_exits_with_0(shell: Shell) -> None:
    async with (
        github() as simulator,
        serving(Path(shell.config.parent), crons=[cron_entry("nightly")], simulator=simulator),
    ):
        ran = await doctor(shell, simulator)
    assert (ran.code, ran.json["healthy"], ran.json["fail"]) == (0, True, 0), ran.out
    assert ran.json["warn"] == 0, ran.out
    checks = {each["check"] for each in ran.json["checks"]}
    assert checks == {
        "config", "secret", "daemon", "database", "time zones", "github", "token", "clock", "rate",
        "repository", "permissions", "listener", "run-name",
    }  # fmt: skip


async def test_the_json_keeps_its_form_and_holds_no_secret(shell: Shell) -> None:
    async with github() as simulator:
        ran = await doctor(shell, simulator)
    assert set(ran.json) == {"healthy", "ok", "warn", "fail", "checks"}
    for each in ran.json["checks"]:
        assert set(each) == {"check", "subject", "result", "text", "remedy"}
        assert each["result"] in ("ok", "warn", "fail")
    for secret in (OURS, API_KEY, SECRET):
        assert secret not in ran.out + ran.err


async def test_without_a_daemon_it_works_and_warns(shell: Shell) -> None:
    async with github() as simulator:
        ran = await doctor(shell, simulator)
    assert ran.code == 0
    assert "no daemon answers" in said(ran, "daemon", "warn")
    assert "is not there yet, and can be made" in said(ran, "database", "ok")
    assert list(shell.config.parent.glob("*.sqlite*")) == []


async def test_a_table_for_people_ends_with_the_count(shell: Shell) -> None:
    async with github() as simulator:
        ran = await shell.run("doctor", GH_API_URL=simulator.url)
    assert ran.out.splitlines()[0].split() == ["result", "check", "subject", "why"]
    assert ran.out.splitlines()[-1].endswith("ok, 1 warn, 0 fail")


async def test_nothing_is_sent_by_it(shell: Shell) -> None:
    fine = Token(OURS, scopes=None, permissions={"contents": "write", "actions": "read"})
    async with github(tokens=[fine]) as simulator:
        ran = await doctor(shell, simulator)
        assert simulator.received == []
    assert ran.code == 0
    assert "left empty on purpose" in said(ran, "permissions", "ok")


async def test_a_token_that_github_does_not_take_is_a_failure(shell: Shell) -> None:
    async with github(tokens=[]) as simulator:
        ran = await doctor(shell, simulator)
    assert ran.code == 1
    assert "wrong, expired or revoked" in said(ran, "token", "fail")
    assert "dispatchd: 1 of " in ran.err


async def test_a_token_that_ends_soon_is_warned_of(shell: Shell) -> None:
    ending = Token(OURS, expires_at=datetime.now(UTC) + timedelta(days=3, hours=1))
    async with github(tokens=[ending]) as simulator:
        ran = await doctor(shell, simulator)
    assert "which is in 3 days; make a new one" in said(ran, "token", "warn")


@pytest.mark.parametrize(
    ("token", "told"),
    [
        (Token(OURS, None, {"actions": "read"}), "no contents: write (GitHub names what it takes"),
        (Token(OURS, None, {"contents": "write"}), "no actions: read: GitHub answered 403"),
    ],
)
async def test_a_permission_that_is_lacking_is_a_failure(
    shell: Shell, token: Token, told: str
) -> None:
    async with github(tokens=[token]) as simulator:
        ran = await doctor(shell, simulator)
    assert ran.code == 1
    assert told in said(ran, "permissions", "fail")


async def test_a_classic_token_without_its_scope_is_a_failure(shell: Shell) -> None:
    async with github(tokens=[Token(OURS, frozenset({"gist"}))]) as simulator:
        ran = await doctor(shell, simulator)
    assert "scopes gist" in said(ran, "token", "ok")
    assert "the token cannot see it" in said(ran, "repository", "fail")


def app_settings(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "app.pem").write_text(key_pair().private)
    (tmp_path / "app.pem").chmod(0o600)
    credentials = {"octo-org": {"app_id": "7", "private_key": f"file:{tmp_path}/app.pem"}}
    (shell.config / "DAEMON.yaml").write_text(yaml.safe_dump({"credentials": credentials}))


@pytest.mark.parametrize(
    ("permissions", "code"),
    [
        ({"contents": "write", "actions": "read", "metadata": "read"}, 0),
        ({"contents": "read", "actions": "read", "metadata": "read"}, 1),
    ],
)
async def test_what_an_app_is_permitted_is_known_for_certain(
    shell: Shell, tmp_path: Path, permissions: dict[str, str], code: int
) -> None:
    app_settings(shell, tmp_path)
    app = App(7, key_pair().public, {"octo-org": 1}, permissions=permissions)
    async with github(apps=[app]) as simulator:
        ran = await doctor(shell, simulator, GH_TOKEN="")
    assert ran.code == code, ran.out
    assert "a GitHub App's" in said(ran, "token", "ok")
    result = "fail" if code else "ok"
    assert f"contents: {'read' if code else 'write'}" in said(ran, "permissions", result)


async def test_an_app_that_github_gives_no_token_is_a_failure(shell: Shell, tmp_path: Path) -> None:
    app_settings(shell, tmp_path)
    app = App(7, key_pair(2).public, {"octo-org": 1})
    async with github(apps=[app]) as simulator:
        stranger = await doctor(shell, simulator, GH_TOKEN="")
    async with github(apps=[App(7, key_pair().public, {"acme": 1})]) as simulator:
        elsewhere = await doctor(shell, simulator, GH_TOKEN="")
    assert "do not belong together" in said(stranger, "token", "fail")
    assert "not installed on octo-org/octo-repo" in said(elsewhere, "token", "fail")


async def test_several_credentials_are_looked_at_each_by_itself(
    shell: Shell, tmp_path: Path
) -> None:
    """One of them at a GitHub Enterprise Server of its own, where its token is refused."""
    other = cron_entry("other", dispatch={"event_type": "x", "repository": "acme/shop"})
    shell.write(crons=[cron_entry("nightly"), other])
    async with github() as simulator, Simulator(wall_clock, tokens=[], ghes=True) as server:
        shell.environ["ACME"] = "ghp_of_acme_and_nobody_else"
        credentials = {"acme": {"token": "env:ACME", "api_url": server.url}}
        (shell.config / "DAEMON.yaml").write_text(yaml.safe_dump({"credentials": credentials}))
        ran = await doctor(shell, simulator)
    tokens = {each["subject"]: each for each in ran.json["checks"] if each["check"] == "token"}
    assert (tokens["GH_TOKEN"]["result"], tokens["acme"]["result"]) == ("ok", "fail")
    listeners = [each["subject"] for each in ran.json["checks"] if each["check"] == "listener"]
    assert listeners == [f"{REPOSITORY}: nightly"]


async def test_a_repository_that_nobody_has_a_credential_for_is_a_failure(shell: Shell) -> None:
    credentials = {"acme": {"token": "env:GH_TOKEN_OF_ACME"}}
    (shell.config / "DAEMON.yaml").write_text(yaml.safe_dump({"credentials": credentials}))
    async with github() as simulator:
        environ = {"GH_TOKEN": "", "GH_TOKEN_OF_ACME": OURS}
        ran = await doctor(shell, simulator, **environ)
    assert "no credential is for it" in said(ran, "repository", "fail")


async def test_no_token_at_all_is_a_failure(shell: Shell) -> None:
    async with github() as simulator:
        ran = await doctor(shell, simulator, GH_TOKEN="")
    assert ran.code == 1
    assert "there is no GitHub token" in said(ran, "token", "fail")


async def test_a_github_that_is_not_there_is_a_failure(shell: Shell) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        ran = await shell.run("doctor", "--json", GH_API_URL=url)
    assert ran.code == 1
    assert "Connection refused" in said(ran, "github", "fail")


async def test_a_github_that_hangs_cannot_hang_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "FIRST_ANSWER", 0.2)
    async with github() as simulator:
        simulator.inject(Fault(FaultKind.STALL, times=None, on=FaultPlace.READ))
        ran = await doctor(shell, simulator)
        simulator.clear()
    assert "did not answer within 0.2 s" in said(ran, "github", "fail")


async def test_a_github_that_hangs_half_way_cannot_either(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "ALL_ANSWERS", 0.2)
    async with github() as simulator:
        first = asyncio.Event()

        def stall_after_the_first() -> bool:
            if simulator.requests == 1 and not first.is_set():
                first.set()
                simulator.inject(Fault(FaultKind.STALL, times=None, on=FaultPlace.READ))
            return first.is_set()

        watching = asyncio.create_task(simulator.until(stall_after_the_first))
        ran = await doctor(shell, simulator)
        await watching
        simulator.clear()
    assert said(ran, "token", "ok")
    assert "within 0.2 s" in said(ran, "repository", "fail")


@pytest.mark.parametrize(
    ("off", "result", "told"),
    [(-30, "warn", "s ahead of GitHub's"), (3600, "fail", "minutes behind GitHub's")],
)
async def test_a_clock_that_is_off_is_told(
    shell: Shell, off: float, result: str, told: str
) -> None:
    async with github(clock=lambda: wall_clock() + timedelta(seconds=off)) as simulator:
        ran = await doctor(shell, simulator)
    assert told in said(ran, "clock", result)


async def test_a_rate_that_runs_out_is_warned_of(shell: Shell) -> None:
    async with github(rate_limit=20) as simulator:
        for _ in range(4):
            ran = await doctor(shell, simulator)
    assert "0 of 20 requests are left" in said(ran, "rate", "fail")


@pytest.mark.parametrize(
    ("listeners", "told"),
    [
        ([Listener("n.yml", "N", frozenset({"Nightly"}))], "Did you mean 'Nightly' (n.yml)?"),
        ([Listener("n.yml", "N", frozenset({"nightly"}), enabled=False)], "gh workflow enable"),
        ([Listener("n.yml", "N", frozenset({"deploy"}))], "Listened to are: 'deploy'"),
    ],
)
async def test_an_event_type_that_nobody_listens_to_is_a_failure(
    shell: Shell, listeners: list[Listener], told: str
) -> None:
    async with github(*listeners) as simulator:
        ran = await doctor(shell, simulator)
    assert ran.code == 1
    assert told in said(ran, "listener", "fail")


async def test_an_archived_repository_and_a_renamed_one_are_told(shell: Shell) -> None:
    async with github() as simulator:
        repository = simulator.world.repository(REPOSITORY)
        assert repository is not None
        simulator.world.rename(repository, "octo-org/new-name")
        renamed = await doctor(shell, simulator)
        repository.archived = True
        archived = await doctor(shell, simulator)
    assert "is called octo-org/new-name now" in said(renamed, "repository", "warn")
    assert said(renamed, "listener", "ok")
    assert "is archived" in said(archived, "repository", "fail")


async def test_a_listener_that_hides_the_id_is_warned_of(shell: Shell) -> None:
    async with github(Listener("n.yml", "Night build", frozenset({"nightly"}))) as simulator:
        ran = await doctor(shell, simulator)
    assert ran.code == 0
    line = "run-name: 'Night build [${{ github.event.client_payload.dispatchd.id }}]'"
    assert line in said(ran, "run-name", "warn")


async def test_each_type_of_a_template_is_looked_for(shell: Shell) -> None:
    templated = {
        "event_type": "{{ firing.catch_up ? 'late' : 'nightly' }}",
        "event_types": ["late", "nightly"],
    }
    shell.write(crons=[cron_entry("nightly", dispatch=templated)])
    async with github() as simulator:
        ran = await doctor(shell, simulator)
    assert said(ran, "listener", "ok")
    assert "of type 'late'" in said(ran, "listener", "fail")


async def test_weak_and_missing_secrets_are_told(shell: Shell) -> None:
    auth = {"scheme": "github", "secret": "env:HOOK"}
    shell.write(triggers=[trigger_entry("push", auth=auth)], crons=[])
    async with github() as simulator:
        common = await doctor(shell, simulator, HOOK="changeme", API_KEY="0123456789")
        short = await doctor(shell, simulator, HOOK="xK9#mQ2$vL5")
        missing = await doctor(shell, simulator)
        closed = await doctor(shell, simulator, HOOK=SECRET, API_KEY="")
    told = said(common, "secret", "fail")
    assert "env:HOOK: is one of those that stand in examples" in told
    assert "environment:API_KEY: is a row" in told
    assert "fewer than 16" in said(short, "secret", "warn")
    assert "HOOK is not set" in said(missing, "config", "fail")
    assert "is not set: POST /dispatch" in said(closed, "secret", "ok")
    assert (common.code, short.code, missing.code) == (1, 1, 1)


async def test_a_database_that_cannot_be_used_is_a_failure(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "other.sqlite").write_text("no database at all" * 100)
    async with github() as simulator:
        nowhere = await doctor(
            shell, simulator, "--database", f"sqlite:///{tmp_path}/file/d.sqlite"
        )
        other = await doctor(shell, simulator, "--database", f"sqlite:///{tmp_path}/other.sqlite")
    assert "is no directory" in said(nowhere, "database", "fail")
    assert "not a database" in said(other, "database", "fail")


async def test_a_daemon_that_hangs_on_its_database_is_told(shell: Shell, tmp_path: Path) -> None:
    database = tmp_path / "dispatchd.sqlite"
    create(database)
    lock = Lock(database)
    lock.take(wall_clock())
    try:
        async with github() as simulator:
            ran = await doctor(shell, simulator)
    finally:
        lock.release()
    assert "does not answer here" in said(ran, "database", "warn")


def contents(directory: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in directory.glob("dispatchd.sqlite*")}


async def test_a_database_at_rest_is_read_and_left_as_it_is(shell: Shell, tmp_path: Path) -> None:
    async with github() as simulator:
        async with serving(tmp_path, simulator=simulator):
            pass
        await simulator.start()
        before = contents(tmp_path)
        ran = await doctor(shell, simulator)
        after = contents(tmp_path)
    assert "can be read and written" in said(ran, "database", "ok")
    assert before.items() <= after.items()
    assert {*after} - {*before} <= {"dispatchd.sqlite-shm", "dispatchd.sqlite-wal"}  # SQLite's own


async def test_a_paused_entry_of_a_running_daemon_is_told(shell: Shell, tmp_path: Path) -> None:
    async with (
        github() as simulator,
        serving(tmp_path, crons=[cron_entry("nightly")], simulator=simulator),
    ):
        assert (await shell.run("pause", "nightly")).code == 0
        ran = await doctor(shell, simulator)
    assert "dispatchd resume nightly" in said(ran, "daemon", "warn")
    assert ran.code == 0


async def test_a_config_that_cannot_be_read_exits_with_2(shell: Shell) -> None:
    (shell.config / "CRONS.json").write_text('[{"nam": "x"}]')
    ran = await shell.run("doctor", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert 'did you mean "name"?' in ran.err
    assert (await shell.run("doctor", "--nope")).code == 2


async def test_as_a_process_it_says_the_same(shell: Shell) -> None:
    async with github() as simulator:
        shell.environ["GH_API_URL"] = simulator.url
        ran = await shell.spawn("doctor", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["fail"] == 0


async def test_of_a_simulation_its_stand_in_is_asked(shell: Shell, tmp_path: Path) -> None:
    """What it sends goes there, whatever GH_API_URL says."""
    environ = {
        **ENVIRON,
        "DISPATCHD_LISTEN": "127.0.0.1:0",
        "DISPATCHD_DATABASE_URL": f"sqlite:///{tmp_path}/dispatchd.sqlite",
    }
    loaded = config(crons=[cron_entry("nightly")], environ=environ)
    async with running(loaded, Facts(), Surroundings(environ, simulate=True)):
        ran = await shell.run("doctor", "--json", GH_API_URL="http://127.0.0.1:9", GH_TOKEN="")
    assert ran.code == 0
    assert "nothing reaches GitHub" in ran.err
    assert "heard by dispatched.yml" in said(ran, "listener", "ok")


async def test_a_daemon_that_does_not_take_the_key_is_told(shell: Shell, tmp_path: Path) -> None:
    async with github() as simulator, serving(tmp_path, simulator=simulator) as daemon:
        ran = await doctor(
            shell, simulator, "--url", daemon.url, API_KEY="another key of 23 letters"
        )
    assert "Unauthorized" in said(ran, "daemon", "warn")


async def test_a_daemon_that_hangs_cannot_hang_it(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examining, "DAEMON_ANSWERS", 0.2)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        async with github() as simulator:
            url = f"http://127.0.0.1:{mute.getsockname()[1]}"
            ran = await doctor(shell, simulator, "--url", url)
    assert "did not answer within 0.2 s" in said(ran, "daemon", "warn")


async def test_a_workflow_that_is_started_by_its_name_needs_actions_write(shell: Shell) -> None:
    dispatch = {"via": "workflow_dispatch", "workflow": "by-hand.yml", "ref": "main"}
    shell.write(crons=[cron_entry("nightly", dispatch=dispatch)])
    text = "on: {workflow_dispatch: {inputs: {x: {}}}}\njobs: {a: {runs-on: x}}\n"
    results = []
    for level in ("read", "write"):
        token = Token(OURS, None, {"actions": level, "contents": "read"})
        async with github(tokens=[token]) as simulator:
            repository = simulator.world.repository(REPOSITORY)
            assert repository is not None
            repository.put("by-hand.yml", text, wall_clock())
            results.append(await doctor(shell, simulator))
            assert simulator.received == []
    reading, writing = results
    assert "no actions: write" in said(reading, "permissions", "fail")
    assert "actions: write: GitHub found only fault" in said(writing, "permissions", "ok")
    assert "declares no input dispatchd" in said(writing, "inputs", "fail")
    assert not [each for each in writing.json["checks"] if each["check"] == "ref"]


async def test_a_ref_that_is_not_there_is_a_failure(shell: Shell) -> None:
    dispatch = {"via": "workflow_dispatch", "workflow": "by-hand.yml", "ref": "mian"}
    shell.write(crons=[cron_entry("nightly", dispatch=dispatch)])
    async with github() as simulator:
        ran = await doctor(shell, simulator)
    assert "no branch or tag 'mian'" in said(ran, "ref", "fail")


async def test_an_app_without_a_repository_is_not_tried_out(shell: Shell, tmp_path: Path) -> None:
    shell.write(crons=[], triggers=[])
    app_settings(shell, tmp_path)
    async with github() as simulator:
        ran = await doctor(shell, simulator, GH_TOKEN="", GH_REPO="", GH_OWNER="")
    assert "was not tried out" in said(ran, "token", "warn")


@pytest.mark.parametrize("name", ["tzdata.zi", "+VERSION"])
async def test_the_release_of_the_systems_time_zones_is_read(
    shell: Shell, tmp_path: Path, name: str
) -> None:
    directory = tmp_path / "zoneinfo"
    directory.mkdir()
    (directory / "UTC").write_bytes(b"TZif")
    (directory / name).write_text("# version 2019c\n")
    zoneinfo.reset_tzpath(to=[str(directory)])
    async with github() as simulator:
        ran = await doctor(shell, simulator)
    assert "has release 2019c, and the Python package tzdata is newer" in said(
        ran, "time zones", "warn"
    )


async def test_a_database_in_memory_and_an_empty_file_are_told(
    shell: Shell, tmp_path: Path
) -> None:
    (tmp_path / "empty.sqlite").touch()
    async with github() as simulator:
        memory = await doctor(shell, simulator, "--database", "sqlite://")
        empty = await doctor(shell, simulator, "--database", f"sqlite:///{tmp_path}/empty.sqlite")
        odd = await doctor(shell, simulator, "--database", "sqlite:///x.sqlite?mode=ro")
    assert "is in memory" in said(memory, "database", "warn")
    assert "can be read and written" in said(empty, "database", "ok")
    assert "takes no options" in said(odd, "database", "fail")
