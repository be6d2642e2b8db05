"""The man pages: whole by the commands and the schemas, and without fault by their readers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from daemon.cli.commands import app
from daemon.schemas import schema
from packages.manual import commands_page, config_page, write_pages
from packages.roff import escaped, text

MANDOC, GROFF = shutil.which("mandoc"), shutil.which("groff")
needs_mandoc = pytest.mark.skipif(MANDOC is None, reason="NOT JUDGED: mandoc is not installed")
needs_groff = pytest.mark.skipif(GROFF is None, reason="NOT JUDGED: groff is not installed")


def plain(page: str) -> str:
    """As roff has it, without its fonts and escapes."""
    for shown, meant in ((r"\fB", ""), (r"\fI", ""), (r"\fR", ""), (r"\-", "-")):
        page = page.replace(shown, meant)
    return page


def commands(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for each, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{name} {each}".strip())
    if name and (not hasattr(command, "commands") or command.invoke_without_command):
        yield name, command


def test_every_command_is_there_with_each_of_its_options() -> None:
    page = plain(commands_page())
    for name, command in commands(get_command(app)):
        assert f"\n.TP\n{name}" in page, name
        for each in command.params:
            if each.param_type_name == "option":
                assert all(word in page for word in each.opts), (name, each.opts)


@pytest.mark.parametrize(
    "said", ["GH_TOKEN", "DISPATCHD_CONFIG_DIR", "API_KEY", "/etc/dispatchd/secrets", ".SH EXIT"]
)
def test_the_page_of_the_commands_tells_of_what_is_around_them(said: str) -> None:
    assert said in plain(commands_page())


def test_every_key_of_the_config_is_there() -> None:
    page = plain(config_page())
    for described in (
        schema("crons")["$defs"]["entry"],
        schema("triggers")["$defs"]["entry"],
        schema("crons")["$defs"]["dispatch"],
        schema("daemon"),
    ):
        for key, one in described["properties"].items():
            if "deprecated" not in one and not one.get("x-not-yet"):
                assert f"\n.TP\n{key}\n" in page, key


@needs_mandoc
def test_mandoc_finds_nothing_to_mend(tmp_path: Path) -> None:
    write_pages(tmp_path)
    assert MANDOC is not None
    files = sorted(map(str, tmp_path.glob("*/*")))
    ran = subprocess.run(
        [MANDOC, "-T", "lint", *files], capture_output=True, text=True, check=False
    )
    told = [line for line in ran.stdout.splitlines() if "outdated mandoc.db" not in line]
    assert (told, len(files)) == ([], 2)


@needs_groff
def test_groff_typesets_them_without_a_warning(tmp_path: Path) -> None:
    write_pages(tmp_path)
    assert GROFF is not None
    for file in tmp_path.glob("*/*"):
        ran = subprocess.run(
            [GROFF, "-ww", "-man", "-Tutf8", "-z", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"])))
def test_no_text_is_an_instruction(words: str) -> None:
    """Not at the start of a line, and not by a backslash of its own."""
    made = text(words)
    assert not any(line.startswith((".", "'")) for line in made.splitlines())
    assert made.isascii()
    shown = escaped(words)
    assert shown.replace(r"\e", "").replace(r"\[u", "").count("\\") == 0
