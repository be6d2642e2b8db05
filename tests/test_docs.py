"""The documents are true: their examples run, their links lead somewhere, and what they list is
what there is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.console import Console
from tests.examples import examples
from tests.harness import Daemon, stand_in

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", ["http.md", "commands.md"])
async def test_the_examples_of_a_page_show_what_comes_out(page: str, tmp_path: Path) -> None:
    """Typed one after the other into a shell, beside a daemon with the page's own config."""
    found = examples(DOCS / page)
    async with stand_in() as github, Daemon(tmp_path, github.url, environ=ENVIRON) as daemon:
        for example in found:
            if name := example.directives.get("file"):
                (tmp_path / name).write_text(example.text)
        await daemon.start()
        # The commands find the config as their reader does, in `config`.
        environ = {
            **{k: v for k, v in daemon.environ.items() if k != "DISPATCHD_CONFIG_DIR"},
            "GITHUB": github.url,
            "SOCKET": str(daemon.database.with_suffix(".sock")),
            "COLUMNS": "250",
        }
        named = {"http://127.0.0.1:8080": daemon.url}
        async with Console(tmp_path, environ, named) as console:
            for example in found:
                needs = example.directives.get("needs")
                if example.language == "console" and (not needs or shutil.which(needs)):
                    await console.follow(example)


ENVIRON = {"JOBS_TOKEN": "only-for-the-authorization-header-0004"}
