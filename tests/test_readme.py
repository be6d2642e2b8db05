"""The README is true: every example in it is carried out as a reader would, and every link leads
somewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from daemon.config import Secrets, load
from daemon.run_names import evaluated
from daemon.simulator import Listener, Simulator
from daemon.simulator.workflows import read
from tests.console import Terminal, steps
from tests.examples import Example, examples
from tests.harness import reserved_port, signature, wall_clock

pytestmark = pytest.mark.no_cover

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PUSH_ID = "0b989ba4-242f-11e5-81e1-c7b6966d2516"
"""A delivery's id, in the form that GitHub gives them."""

NAMED = {example.name: example for example in examples(README)}


def workflow() -> dict[Any, Any]:
    document = yaml.safe_load(NAMED["workflow"].text)
    assert isinstance(document, dict)
    return document


def trigger() -> Mapping[str, Any]:
    (entry,) = json.loads(NAMED["trigger"].text)
    assert isinstance(entry, dict)
    return entry


def listener(document: Mapping[Any, Any]) -> Listener:
    """The README's workflow as the stand-in for GitHub knows workflows."""
    events = document[True]  # `on` is a boolean in YAML 1.1, which PyYAML reads
    assert list(events) == ["repository_dispatch"]
    types = frozenset(events["repository_dispatch"]["types"])
    return Listener("docs-changed.yml", document["name"], types, document["run-name"])


async def deliver(url: str, event: str, body: bytes, secret: str, delivery: str) -> int:
    """A delivery as GitHub makes it; returns the status of the answer."""
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": signature(body, secret),
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers) as answer,
    ):
        return answer.status


async def test_every_example_can_be_followed_from_the_top_to_the_bottom(tmp_path: Path) -> None:
    """The commands are typed in order, against the stand-in in the place of GitHub, which has the
    workflow of the README in the repository of the README."""
    repository = NAMED["workflow"].directives["repository"]
    token = re.findall(r"GH_TOKEN=(\S+)", NAMED["settings"].text)
    stand_in = Simulator(
        wall_clock,
        tokens=token,
        repositories=[repository],
        listeners={repository: [listener(workflow())]},
    )
    with reserved_port() as port:
        here = f"127.0.0.1:{port}"
        environ = {
            "DISPATCHD_LISTEN": here,
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "API_KEY": "a key that nobody guesses",
        }
        async with (
            stand_in,
            Terminal(
                tmp_path,
                environ | {"GH_API_URL": stand_in.url},
                {
                    "127.0.0.1:8080": here,
                    "https://api.github.com": stand_in.url,
                    "https://github.com": stand_in.url,
                },
            ) as terminal,
        ):
            for example in examples(README):
                if example.name == "look":
                    await push_to_the_repository(terminal, f"http://{here}")
                await follow(example, terminal, tmp_path)
            await terminal.stop()

    waited_for, pushed, by_hand = stand_in.received
    assert pushed.client_payload["commit"] == json.loads(NAMED["payload"].text)["after"]
    assert [run.display_title for run in stand_in.runs] == [
        f"Docs changed [{each.client_payload['dispatchd']['id']}]"  # type: ignore[index]
        for each in (waited_for, pushed, by_hand)
    ]


async def follow(example: Example, terminal: Terminal, directory: Path) -> None:
    """Does with one example what the README tells its readers to do with it."""
    match example:
        case Example(directives={"name": "make" | "workflow"}):
            pass  # the tests below
        case Example(language="json", directives={"file": file}):
            path = directory / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(example.text)
        case Example(language="console", directives={"background": ""}):
            (step,) = steps(example)
            await terminal.leave_running(step)
        case Example(language="console"):
            for step in steps(example):
                await terminal.type(step)
        case _:
            pytest.fail(f"line {example.line}: no test carries this example out")


async def push_to_the_repository(terminal: Terminal, url: str) -> None:
    """What GitHub does when the webhook is added, and at the push."""
    secret = terminal.exported("DOCS_WEBHOOK_SECRET")
    hook = url + trigger()["path"]
    ping = b'{"zen": "Keep it logically awesome.", "hook_id": 1}'
    assert await deliver(hook, "ping", ping, secret, "a ping's id") == 200
    push = NAMED["payload"].text.encode()
    assert await deliver(hook, "push", push, secret, PUSH_ID) == 202
    await terminal.until("dispatch accepted")


@pytest.mark.parametrize("name", ["my-config", "older"])
def test_the_configs_shown_have_no_fault(name: str, tmp_path: Path) -> None:
    environ = {
        "GH_OWNER": "acme",
        "GH_REPO": "site",
        "DOCS_WEBHOOK_SECRET": "0" * 64,
        "GH_WEBHOOK_SECRET": "1" * 64,
    }
    files = {
        Path(file): example.text
        for example in NAMED.values()
        if (file := example.directives.get("file", "")).startswith(f"{name}/")
    }
    for path, text in files.items():
        (tmp_path / path.name).write_text(text)
    config = load(tmp_path, environ, secrets=Secrets.REQUIRED)
    entries = [entry for text in files.values() for entry in json.loads(text)]
    enabled = [entry for entry in entries if entry.get("enabled", True)]
    assert enabled
    assert len(config.crons) + len(config.triggers) == len(enabled)


def test_the_workflow_listens_to_what_the_trigger_sends_and_shows_the_dispatchs_id() -> None:
    definition = read(NAMED["workflow"].text)
    assert definition is not None
    assert definition.types == frozenset({trigger()["dispatch"]["event_type"]})
    event = {"client_payload": {"dispatchd": {"id": "dsp_1"}}}
    assert evaluated(definition.run_name, {"github": {"event": event}}).count("dsp_1") == 1


def test_the_workflow_passes_values_from_outside_through_the_environment_only() -> None:
    """A value that is pasted into a script by ``${{ }}`` is run as a part of it (GitHub, "Security
    hardening for GitHub Actions")."""
    (job,) = workflow()["jobs"].values()
    payload = set(trigger()["dispatch"]["client_payload"])
    for step in job["steps"]:
        assert "${{" not in step["run"]
        read = {re.sub(r".*client_payload\.(\w+) }}", r"\1", v) for v in step["env"].values()}
        assert read <= payload
        assert all(f"${name}" in step["run"] for name in step["env"])


@pytest.mark.parametrize(
    ("target", "runs"), [("demo", "python -m daemon.demo"), ("test", "python -m pytest")]
)
def test_the_make_commands_shown_run_the_demo_and_the_tests(target: str, runs: str) -> None:
    assert f"$ make {target}" in [f"$ {step.command}" for step in steps(NAMED["make"])]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    told = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert runs in told.stdout


def test_every_link_leads_to_a_file_of_the_repository() -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", README.read_text(encoding="utf-8"))
    assert len(targets) > 5
    assert [t for t in targets if "://" not in t and not (ROOT / t).exists()] == []
