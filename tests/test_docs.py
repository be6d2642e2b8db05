"""The documents are true: their examples run, their links lead somewhere, and what they list is
what there is."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from tests.console import Step, Terminal, steps
from tests.examples import Example, examples
from tests.harness import reserved_port

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

LOOKS = re.compile(r"curl (?!.* -[Xd])|dispatchd (status|events|dispatches)\b", re.DOTALL)
"""Commands that change nothing: a reader types them again while something is on its way."""
LOOK_AGAIN = 100


@pytest.mark.parametrize("page", ["http.md", "commands.md"])
async def test_a_page_can_be_followed_from_the_top_to_the_bottom(
    page: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The commands are typed in order, beside a daemon in simulation with the page's config, and
    print what the page shows."""
    home = tmp_path_factory.mktemp("home")  # short: a socket's path has a limit
    with reserved_port() as port:
        here = f"127.0.0.1:{port}"
        environ = {"DISPATCHD_LISTEN": here, "COLUMNS": "200"}
        async with Terminal(home, environ, {"127.0.0.1:8080": here}) as terminal:
            for example in examples(DOCS / page):
                await follow(example, terminal, home)
            assert await terminal.stop() == 0


async def follow(example: Example, terminal: Terminal, home: Path) -> None:
    """Does with one example what the page tells its readers to do with it."""
    match example:
        case Example(directives={"file": file}):
            path = home / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(example.text)
        case Example(language="console", directives={"needs": program}) if not shutil.which(
            program
        ):
            pass
        case Example(language="console", directives={"background": ""}):
            (step,) = steps(example)
            await terminal.leave_running(step)
        case Example(language="console"):
            for step in steps(example):
                await type_and_note(step, terminal)


async def type_and_note(step: Step, terminal: Terminal) -> None:
    """Types the command, and puts the ids that it shows into ``$EVENT`` and ``$DISPATCH``."""
    for _ in range(LOOK_AGAIN if LOOKS.match(step.command) else 0):
        try:
            printed = await terminal.type(step)
            break
        except AssertionError:
            await asyncio.sleep(0.02)
    else:
        printed = await terminal.type(step)
    for name, prefix in (("EVENT", "evt"), ("DISPATCH", "dsp")):
        if found := re.search(rf"\b{prefix}_[0-9a-z]{{26}}\b", printed):
            await terminal.type(Step(f"export {name}={found[0]}", "", step.line))
