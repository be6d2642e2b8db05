"""``examples/README.md`` can be followed from the top to the bottom. ``gh`` is one that notes what
it is told; GitHub's side of it is in the tests of the two workflows."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest

from daemon.app import wall_clock
from daemon.simulator import Simulator
from tests.console import Terminal
from tests.examples import examples
from tests.git_server import ALONE, IDENTITY, Origin
from tests.harness import reserved_port
from tests.stage import FACTORY, NOTIFY, ROOT
from tests.test_docs import SIMULATION, follow

pytestmark = pytest.mark.no_cover

PAGE = ROOT / "examples" / "README.md"


def clone(home: Path) -> Origin:
    """acme/shop, checked out in ``shop``."""
    origin = Origin(home / "shop.git")
    origin.path.mkdir()
    origin.git("init", "--quiet", "--bare", "--initial-branch", "main")
    origin.commit("refs/heads/main", {"README.md": "Ours\n"}, "First")
    origin.git("clone", "--quiet", str(origin.path), str(home / "shop"))
    return origin


def noting(program: Path, log: Path) -> None:
    program.write_text(f'#!/bin/sh\n{{ printf "%s " "$@"; cat; echo; }} >> {log}\n')
    program.chmod(0o755)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
async def test_the_page_can_be_followed_from_the_top_to_the_bottom(tmp_path: Path) -> None:
    for name in ("config", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    origin = await asyncio.to_thread(clone, tmp_path)
    async with Simulator(wall_clock) as github:
        with reserved_port() as port:
            here = f"127.0.0.1:{port}"
            environ = {
                **ALONE,
                **IDENTITY,
                "DISPATCHD_LISTEN": here,
                "GH_API_URL": github.url,
                "COLUMNS": "200",
            }
            async with Terminal(
                tmp_path, environ, {"127.0.0.1:8080": here, **SIMULATION}
            ) as reader:
                noting(tmp_path / ".venv" / "bin" / "gh", tmp_path / "gh.log")
                for example in examples(PAGE):
                    await follow(example, reader, tmp_path)
                async with asyncio.timeout(30):
                    await github.until(lambda: len(github.received) == 1)
                secret = reader.exported("GH_WEBHOOK_SECRET")
                assert await reader.stop() == 0

    (sent,) = github.received
    assert (sent.repository, sent.event_type) == ("acme/shop", "wat-factory")
    assert sent.client_payload["job_description"] == "Plan a web scraper"
    pushed = {f".github/workflows/{file.name}" for file in (FACTORY, NOTIFY)}
    assert pushed < set(origin.files("main"))
    told = (tmp_path / "gh.log").read_text("utf-8").splitlines()
    assert [line for line in told if line.startswith("secret")] == [
        f"secret set GH_WEBHOOK_SECRET --repo acme/shop {secret}"
    ]
    # What the workflows read is what the page has set.
    texts = FACTORY.read_text("utf-8") + NOTIFY.read_text("utf-8")
    read = set(re.findall(r"\$\{\{ (?:vars|secrets)\.(\w+) \}\}", texts))
    assert read == {line.split()[2] for line in told if " set " in line}


def test_every_message_that_the_page_explains_is_one_of_the_workflows() -> None:
    texts = FACTORY.read_text("utf-8") + NOTIFY.read_text("utf-8")
    table = PAGE.read_text("utf-8").partition("| the run says |")[2]
    rows = re.findall(r"^\| (`.*`) \|", table, re.MULTILINE)
    messages = [each for row in rows for each in re.findall(r"`([^`]+)`", row)]
    assert len(messages) == 6
    for message in messages:
        words = re.sub(r" (…|\d{3})$", "", message)
        squeezed = re.sub(r'"?\s*\\?\n\s*"?', " ", texts)
        assert words in squeezed, message


def test_a_report_has_what_the_page_says_and_the_cases_that_ship_have() -> None:
    case = ROOT / "config" / "cases" / "auto-chain" / "merged-plan.json"
    results = json.loads(case.read_text("utf-8"))["request"]["body"]["job_results"]
    text = NOTIFY.read_text("utf-8")
    sent = re.findall(r"^ {14}(\w+): ", text, re.MULTILINE)
    assert set(sent) == set(results)
    assert all(f"`{key}`" in PAGE.read_text("utf-8") for key in sent)
