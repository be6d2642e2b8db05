"""A new config is taken over while the daemon works, or the one in force stays as it is."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from daemon import health, reloader
from daemon.config_watch import ConfigWatch
from daemon.errors import StoreUnavailable
from daemon.facts import (
    AttemptMade,
    ConfigChanging,
    ConfigRefused,
    ConfigReloaded,
    ConfigReloading,
    Fact,
    Facts,
    FiringAccounted,
)
from daemon.in_force import InForce
from daemon.reloader import Reloader
from daemon.spec import Config
from tests.inprocess import FILES, Serving, serving
from tests.specs import OPEN, SECRET, SIGNED, config, cron_entry, trigger_entry

pytestmark = pytest.mark.usefixtures("in_time")

PUSH = trigger_entry("push", path="/push", auth=SIGNED, dispatch={"event_type": "build"})
RELOAD = "/api/v1/reload"


@pytest.fixture
async def in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(60):
        yield


@dataclass
class Files:
    """A config's directory. What it is given is written by another file that is renamed."""

    directory: Path

    def write(
        self,
        *,
        triggers: Sequence[Mapping[str, Any]] | str | None = None,
        crons: Sequence[Mapping[str, Any]] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        given = {"TRIGGERS.json": triggers, "CRONS.json": crons, "DAEMON.yaml": settings}
        for name, content in given.items():
            if content is not None:
                text = content if isinstance(content, str) else json.dumps(content, indent=1)
                fresh = self.directory / f".{name}.new"
                fresh.write_text(text)
                fresh.rename(self.directory / name)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    directory = tmp_path / "config"
    directory.mkdir()
    made = Files(directory)
    made.write(triggers=[PUSH], crons=[], settings={"reload_on_change": False})
    return made


@asynccontextmanager
async def daemon(files: Files, tmp_path: Path, **options: Any) -> AsyncIterator[Serving]:
    async with serving(tmp_path, config_dir=files.directory, **options) as serves:
        yield serves


async def reload(serves: Serving, **asked: bool) -> Any:
    status, answer = await serves.call("POST", RELOAD, json=asked)
    assert status == 200, answer
    return answer


def accepted(event_type: str) -> Callable[[Fact], bool]:
    return lambda fact: (
        isinstance(fact, AttemptMade)
        and fact.attempt.outcome == "accepted"
        and fact.dispatch.event_type == event_type
    )


async def test_entries_that_come_go_or_change_do_so_at_once(files: Files, tmp_path: Path) -> None:
    async with daemon(files, tmp_path) as serves:
        assert (await serves.deliver("/push", {"n": 1}))[0] == 202
        assert (await serves.deliver("/other", {"n": 1}))[0] == 404
        files.write(
            triggers=[
                {**PUSH, "dispatch": {"event_type": "test"}},
                trigger_entry("other", path="/other", auth=SIGNED),
            ]
        )
        answer = await reload(serves)
        assert answer["generation"] == 2
        assert answer["changes"][:2] == ["trigger push changed: dispatch", "trigger other added"]
        assert (await serves.deliver("/push", {"n": 2}))[0] == 202
        assert (await serves.deliver("/other", {"n": 2}))[0] == 202
        await serves.until(accepted("build"))
        await serves.until(accepted("test"))
        files.write(triggers=[PUSH])
        assert (await reload(serves))["generation"] == 3
        assert (await serves.deliver("/other", {"n": 3}))[0] == 404
        assert (await serves.deliver("/push", {"n": 3}))[0] == 202


async def test_a_config_with_faults_leaves_the_one_in_force_and_everybody_says_so(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "FRESH", timedelta())
    async with daemon(files, tmp_path) as serves:
        files.write(triggers=[{**PUSH, "pathh": "/x"}], crons=[cron_entry(schedule="61 * * * *")])
        status, answer = await serves.call("POST", RELOAD, json={})
        assert status == 422
        assert len(answer["faults"]) == 2
        assert all(f"{files.directory}/" in fault for fault in answer["faults"])
        assert answer["generation"] == 1
        refused = next(fact for fact in serves.seen if isinstance(fact, ConfigRefused))
        assert list(refused.reasons) == answer["faults"]
        assert (await serves.deliver("/push", {}))[0] == 202
        _, how = await serves.call("GET", "/api/v1/status")
        assert how["config"] == {"generation": 1, "faults": answer["faults"]}
        _, ready = await serves.call("GET", "/readyz", key=None)
        place = answer["faults"][0].partition(": ")[0]
        assert ready["status"] == "degraded"
        assert f"(see {place})" in ready["reasons"][0]
        assert "pathh" not in ready["reasons"][0]
        async with serves.session.get(
            f"{serves.url}/metrics", headers={"Authorization": "Bearer an API key of 25 characters"}
        ) as scraped:
            text = await scraped.text()
        assert "dispatchd_config_refused 1.0" in text
        assert 'dispatchd_config_reloads_total{result="refused"} 1.0' in text
        files.write(triggers=[PUSH], crons=[])
        await reload(serves)
        _, how = await serves.call("GET", "/api/v1/status")
        assert how["config"] == {"generation": 2, "faults": []}


async def test_a_secret_that_is_gone_is_a_fault_and_one_that_is_new_is_read(
    files: Files, tmp_path: Path
) -> None:
    key = tmp_path / "secret"
    key.write_text("another secret of 30 characters")
    auth = {"scheme": "github", "secret": f"file:{key}"}
    files.write(triggers=[{**PUSH, "auth": auth}])
    async with daemon(files, tmp_path) as serves:
        assert (await serves.deliver("/push", {}))[0] == 401
        key.write_text(SECRET)
        await reload(serves)
        assert (await serves.deliver("/push", {}))[0] == 202
        key.unlink()
        assert (await serves.call("POST", RELOAD, json={}))[0] == 422
        assert (await serves.deliver("/push", {"again": True}))[0] == 202


async def test_what_would_change_is_told_and_nothing_is_taken_over(
    files: Files, tmp_path: Path
) -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    files.write(crons=[cron_entry("nightly"), cron_entry("gone")])
    async with daemon(files, tmp_path, clock=lambda: now) as serves:
        await serves.deliver("/push", {"ref": "refs/heads/main"})
        await serves.deliver("/push", {"ref": "refs/heads/topic"})
        unsigned = {"x-hub-signature-256": "sha256=" + "0" * 64}
        assert (await serves.deliver("/push", {"ref": 1}, headers=unsigned))[0] == 401
        files.write(
            triggers=[{**PUSH, "when": "body.ref == 'refs/heads/main'"}],
            crons=[cron_entry("nightly", schedule="0 5 * * *"), cron_entry("fresh")],
            settings={"reload_on_change": False, "retention": "7d"},
        )
        answer = await reload(serves, diff=True)
        assert answer["reloaded"] is False
        assert answer["entries"] == [
            {"kind": "cron", "name": "gone", "change": "removed", "keys": []},
            {
                "kind": "cron",
                "name": "nightly",
                "change": "changed",
                "keys": ["schedule 0 4 * * * -> 0 5 * * *"],
            },
            {"kind": "cron", "name": "fresh", "change": "added", "keys": []},
            {"kind": "trigger", "name": "push", "change": "changed", "keys": ["when"]},
        ]
        assert answer["moved"] == [
            {
                "cron": "nightly",
                "before": "2026-11-24T04:00:00Z",
                "after": "2026-11-24T05:00:00Z",
            }
        ]
        assert answer["settings"] == ["retention"]

        (routed,) = answer["rerouted"]
        assert answer["looked_at"] == 2
        assert routed["before"] == ["push: dispatched build to octo-org/octo-repo"]
        assert routed["after"] == []
        assert answer["changes"][-1] == (
            f"{routed['event_id']} to /push would come to nothing, "
            "not push: dispatched build to octo-org/octo-repo"
        )
        assert not any(isinstance(fact, ConfigReloaded) for fact in serves.seen)
        assert (await serves.deliver("/push", {"ref": "refs/heads/other"}))[0] == 202
        assert (await reload(serves, diff=True))["changes"][-1].endswith(
            "and 1 more to /push would come to nothing, "
            "not push: dispatched build to octo-org/octo-repo"
        )
        told = (await reload(serves))["changes"]
        (changing,) = (fact for fact in serves.seen if isinstance(fact, ConfigChanging))
        assert list(changing.changes) == told


async def test_what_a_stranger_sent_is_not_judged_by_those_who_did_not_believe_it(
    files: Files, tmp_path: Path
) -> None:
    """An open trigger on the same path takes it; the signed one must not be shown its body."""
    both = [PUSH, trigger_entry("open", path="/push", auth=OPEN)]
    files.write(triggers=both)
    async with daemon(files, tmp_path) as serves:
        unsigned = {"x-hub-signature-256": "sha256=" + "0" * 64}
        assert (await serves.deliver("/push", {}, headers=unsigned))[0] == 202
        files.write(triggers=[{**PUSH, "dispatch": {"event_type": "other"}}, both[1]])
        answer = await reload(serves, diff=True)
        assert (answer["looked_at"], answer["rerouted"]) == (1, [])


async def test_cursors_stay_and_no_instant_fires_twice_or_not_at_all(
    files: Files, tmp_path: Path
) -> None:
    """Under a reload every few milliseconds."""
    every_second = cron_entry("tick", schedule=None, every="1s")
    del every_second["schedule"]
    files.write(crons=[every_second])
    async with daemon(files, tmp_path) as serves:

        def fired() -> list[datetime]:
            return [
                fact.scheduled_at
                for fact in serves.seen
                if isinstance(fact, FiringAccounted) and fact.cron == "tick"
            ]

        number = 0
        while len(fired()) < 4:
            number += 1
            files.write(crons=[every_second, cron_entry(f"other-{number}")])
            await reload(serves)
        instants = fired()
        steps = {b - a for a, b in pairwise(instants)}
        assert steps == {timedelta(seconds=1)}
        assert number > 4


async def test_what_an_old_schedule_owed_has_fired_before_the_new_one_begins(
    files: Files, tmp_path: Path
) -> None:
    now = datetime(2026, 11, 23, 3, 59, tzinfo=UTC)
    files.write(crons=[cron_entry("nightly")])
    async with daemon(files, tmp_path, clock=lambda: now) as serves:
        now = datetime(2026, 11, 23, 4, 0, 1, tzinfo=UTC)
        files.write(crons=[cron_entry("nightly", schedule="0 6 * * *")])
        await reload(serves)
        (fact,) = (fact for fact in serves.seen if isinstance(fact, FiringAccounted))
        assert fact.scheduled_at == datetime(2026, 11, 23, 4, tzinfo=UTC)
        _, how = await serves.call("GET", "/api/v1/status")
        assert how["crons"][0]["next"] == "2026-11-23T06:00:00Z"


async def test_pauses_and_what_was_seen_before_outlive_a_reload(
    files: Files, tmp_path: Path
) -> None:
    async with daemon(files, tmp_path) as serves:
        once = {"x-github-delivery": "11111111-2222-3333-4444-555555555555"}
        assert (await serves.deliver("/push", {"n": 1}, headers=once))[0] == 202
        await serves.call("POST", "/api/v1/pause", json={"entries": ["push"]})
        files.write(triggers=[{**PUSH, "description": "the same"}])
        await reload(serves)
        status, answer = await serves.deliver("/push", {"n": 1}, headers=once)
        assert (status, "duplicate_of" in answer) == (200, True)
        _, answer = await serves.deliver("/push", {"n": 2})
        (dispatch,) = answer["dispatches"]
        _, held = await serves.call("GET", f"/api/v1/dispatches/{dispatch}")
        assert held["state"] == "held"


async def test_a_delivery_under_way_is_answered_by_the_config_that_it_began_with(
    files: Files, tmp_path: Path
) -> None:
    """Its body comes in two parts, and the path is gone in between."""
    async with daemon(files, tmp_path) as serves:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b'{"n": '
            begun.set()
            await go_on.wait()
            yield b"1}"

        files.write(triggers=[{**PUSH, "auth": OPEN}])
        await reload(serves)
        headers = {"content-type": "application/json"}
        sent = asyncio.create_task(
            serves.call("POST", "/push", key=None, data=body(), headers=headers)
        )
        await begun.wait()
        files.write(triggers=[])
        await reload(serves)
        go_on.set()
        status, answer = await sent
        assert (status, answer["matched"]) == (202, ["push"])
        assert (await serves.deliver("/push", {}))[0] == 404


async def test_what_waits_goes_out_under_the_credential_that_is_for_it_now(
    files: Files, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("github-token-for-octo")
    settings: dict[str, Any] = {"reload_on_change": False, "credentials": {}}
    settings["credentials"] = {"octo-org": {"token": f"file:{token}"}}
    files.write(settings=settings)
    async with daemon(files, tmp_path) as serves:
        await serves.call("POST", "/api/v1/pause", json={"entries": ["push"]})
        await serves.deliver("/push", {})
        files.write(settings={"reload_on_change": False})
        await reload(serves)
        _, how = await serves.call("GET", "/api/v1/status")
        assert [each["name"] for each in how["credentials"]] == ["GH_TOKEN"]
        await serves.call("POST", "/api/v1/resume", json={"entries": "all"})
        await serves.until(accepted("build"))


async def test_a_token_that_can_never_work_keeps_the_old_config_in_force(
    files: Files, tmp_path: Path
) -> None:
    async with daemon(files, tmp_path) as serves:
        token = tmp_path / "token"
        token.write_text("two words")
        broken = {"octo-org": {"token": f"file:{token}"}}
        files.write(triggers=[], settings={"reload_on_change": False, "credentials": broken})
        status, answer = await serves.call("POST", RELOAD, json={})
        assert status in (409, 422)
        assert "two words" not in json.dumps(answer)
        assert (await serves.deliver("/push", {}))[0] == 202


async def test_what_only_a_restart_can_take_is_told_and_the_rest_is_taken(
    files: Files, tmp_path: Path
) -> None:
    async with daemon(files, tmp_path, environ={"DISPATCHD_LISTEN": ""}) as serves:
        files.write(settings={"reload_on_change": False, "dispatchd_listen": "127.0.0.1:1"})
        answer = await reload(serves)
        assert answer["at_restart"] == ["listen"]
        assert (await serves.deliver("/push", {}))[0] == 202


def in_place(directory: Path, text: str) -> None:
    (directory / "TRIGGERS.json").write_text(text)


def by_rename(directory: Path, text: str) -> None:
    (directory / "other").write_text(text)
    (directory / "other").rename(directory / "TRIGGERS.json")


def by_a_link_of_a_config_map(directory: Path, text: str) -> None:
    """As Kubernetes does it: files are links through ``..data``, which is turned."""
    fresh = directory / "..2026"
    fresh.mkdir()
    for name in ("CRONS.json", "DAEMON.yaml"):
        (fresh / name).write_text((directory / name).read_text())
    (fresh / "TRIGGERS.json").write_text(text)
    (directory / "..data_tmp").symlink_to(fresh.name)
    (directory / "..data_tmp").rename(directory / "..data")
    for name in ("CRONS.json", "DAEMON.yaml", "TRIGGERS.json"):
        link = directory / f"{name}.link"
        link.symlink_to(f"..data/{name}")
        link.rename(directory / name)


@pytest.mark.parametrize("change", [in_place, by_rename, by_a_link_of_a_config_map])
async def test_a_file_that_changes_is_taken_over_however_that_was_done(
    files: Files, tmp_path: Path, change: Callable[[Path, str], None]
) -> None:
    files.write(settings={})
    async with daemon(files, tmp_path) as serves:
        change(files.directory, json.dumps([PUSH, trigger_entry("new", path="/new")]))
        await serves.until(lambda fact: isinstance(fact, ConfigReloaded))
        assert (await serves.deliver("/new", {}))[0] == 202


async def test_a_directory_behind_a_link_that_is_turned_is_taken_over(
    files: Files, tmp_path: Path
) -> None:
    files.write(settings={})
    link = tmp_path / "current"
    link.symlink_to(files.directory.name)
    other = Files(tmp_path / "next")
    other.directory.mkdir()
    other.write(triggers=[trigger_entry("new", path="/new")], crons=[], settings={})
    async with daemon(Files(link), tmp_path) as serves:
        (tmp_path / "turned").symlink_to("next")
        (tmp_path / "turned").rename(link)
        await serves.until(lambda fact: isinstance(fact, ConfigReloaded))
        assert (await serves.deliver("/new", {}))[0] == 202
        other.write(triggers=[PUSH])
        await serves.until(lambda fact: isinstance(fact, ConfigReloaded) and fact.generation == 3)


async def test_a_file_that_is_only_touched_changes_nothing(files: Files) -> None:
    changes: list[None] = []
    watch = ConfigWatch(files.directory, FILES, lambda: changes.append(None), Facts())
    os.utime(files.directory / "TRIGGERS.json", (0, 0))
    await watch.look()
    assert changes == []
    files.write(triggers=[])
    await watch.look()
    await watch.look()
    assert changes == [None]


async def test_what_the_store_did_not_take_is_tried_again(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody waits for it: after a file changed, or a signal."""
    monkeypatch.setattr(reloader, "AGAIN", 0.01)
    facts, heard, tries = Facts(), asyncio.Queue[Fact](), list[Config]()
    facts.subscribe(heard.put_nowait)

    async def take_over(new: Config) -> None:
        tries.append(new)
        if len(tries) < 3:
            raise StoreUnavailable("disk full")

    records: Any = None
    now = datetime(2026, 11, 23, tzinfo=UTC)
    loop = Reloader(config, InForce(config()), take_over, records, clock=lambda: now, facts=facts)
    running = asyncio.create_task(loop.run())
    loop.ask("SIGHUP came")
    seen = [type(await heard.get()) for _ in range(6)]
    assert seen == [ConfigReloading, ConfigRefused] * 2 + [ConfigReloading, ConfigReloaded]
    assert (loop.generation, loop.faults) == (2, ())
    running.cancel()
