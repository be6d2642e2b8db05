"""The demo: it shows the whole main job, against the real program, and leaves nothing behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon import demo
from tests.environment import inherited

pytestmark = pytest.mark.no_cover

ROOT = Path(__file__).resolve().parent.parent
DEADLINE = 240.0
"""Seconds after which a demo that hangs fails its test."""

REAL = {"GH_TOKEN": "ghp_a_real_token_of_this_machine", "GH_OWNER": "acme", "GH_REPO": "production"}
"""What the environment of a developer may hold, and the demo must not touch."""


def environment(directory: Path, added: Mapping[str, str] = REAL) -> dict[str, str]:
    return inherited() | {"HOME": str(directory), "TMPDIR": str(directory), **added}


def run_demo(directory: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon.demo", "--once"],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def headings(output: str) -> list[str]:
    return re.findall(r"^\d+\. (.*)$", output, re.MULTILINE)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo prints into a pipe, where all is well."""
    directory = tmp_path_factory.mktemp("demo")
    ended = run_demo(directory, environment(directory))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    assert list(directory.glob("**/*")) == [], "it leaves something behind"
    return ended.stdout


def test_it_says_first_that_it_is_a_simulation(shown: str) -> None:
    assert shown.startswith("SIMULATION: ")
    assert '"simulation": true' in shown


def test_each_step_on_the_way_from_a_webhook_and_from_a_cron_to_a_run_is_shown(shown: str) -> None:
    chain = [
        "The event, and the verdict on it",
        "The request, as the stand-in received it",
        "The stand-in's answer, a 204, as the daemon keeps it",
        "The run that it started, with the dispatch's id in its title",
    ]
    assert headings(shown) == [
        "The daemon starts, with a stand-in for GitHub",
        "GitHub delivers a push, signed with the webhook's secret",
        *chain,
        "The same delivery again: a duplicate, nothing more is sent",
        "The same with one byte changed: refused",
        "A cron entry fires: the nightly build, by hand",
        *chain,
    ]


def test_both_dispatches_are_followed_by_their_ids_from_the_answer_to_the_run(shown: str) -> None:
    by_webhook, by_cron = re.findall(r"^\$ dispatchd dispatches (dsp_\w+)$", shown, re.MULTILINE)
    assert by_webhook != by_cron
    for dispatch_id in (by_webhook, by_cron):
        assert f'"id": "{dispatch_id}"' in shown  # in the request
        assert re.search(rf'"display_title": ".*{dispatch_id}.*"', shown)
    assert shown.count("status=204") == 2
    assert shown.count('"event": "repository_dispatch"') == 2


def test_it_shows_the_answers_to_a_first_a_repeated_and_a_changed_delivery(shown: str) -> None:
    deliveries = shown.split("$ curl -i ")[1:]
    statuses = [
        int(found[1])
        for delivery in deliveries
        if "X-Hub-Signature-256: sha256=" in delivery
        and (found := re.search(r"^HTTP/1\.1 (\d+)", delivery, re.MULTILINE))
    ]
    assert statuses == [202, 200, 401]
    assert '"duplicate_of": "evt_' in shown


def test_a_real_token_and_a_real_repository_stay_out_of_it(shown: str) -> None:
    for value in REAL.values():
        assert value not in shown.replace("acme/shop", "")
    assert "POST /repos/octocat/simulation/dispatches" in shown


def test_without_once_it_serves_until_ctrl_c_and_then_ends_well(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "daemon.demo"],
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("What the daemon logs"):
                break
        process.send_signal(signal.SIGINT)
        rest, faults = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, faults
    assert any(line.strip().startswith("export DISPATCHD_CONFIG_DIR=") for line in said)
    assert "Done" in rest
    assert list(tmp_path.glob("**/*")) == []


def test_where_the_daemon_does_not_start_the_demo_fails_and_shows_why(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "TRIGGERS.json").write_text(json.dumps([{"name": "github-push", "pfad": "/x"}]))
    ended = run_demo(tmp_path, environment(tmp_path))
    assert ended.returncode == 1
    assert "the daemon ended" in ended.stderr
    assert 'unknown key "pfad"' in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.glob("dispatchd-demo-*")) == []


def test_a_config_without_the_trigger_of_the_demo_is_named(tmp_path: Path) -> None:
    source = tmp_path / "config"
    source.mkdir()
    (source / "TRIGGERS.json").write_text("[]")
    with pytest.raises(demo.DemoError, match=r"config/TRIGGERS\.json has no trigger named"):
        demo.copy_config(source, tmp_path / "copy")


def test_the_trigger_is_enabled_in_the_copy_and_nothing_else_is_changed(tmp_path: Path) -> None:
    source = ROOT / "config"
    demo.copy_config(source, tmp_path / "copy")
    before = json.loads((source / "TRIGGERS.json").read_text())
    after = json.loads((tmp_path / "copy" / "TRIGGERS.json").read_text())
    (push,) = (entry for entry in before["triggers"] if entry["name"] == "github-push")
    assert not push["enabled"]
    push["enabled"] = True
    assert after == before
    assert (tmp_path / "copy" / "CRONS.json").read_text() == (source / "CRONS.json").read_text()


def test_where_no_config_is_shipped_the_places_that_were_looked_in_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "site-packages" / "daemon" / "demo.py"))
    with pytest.raises(demo.DemoError) as caught:
        demo.shipped_config()
    assert str(tmp_path / "config") in str(caught.value)
    assert str(tmp_path / "site-packages" / "config") in str(caught.value)
