"""What TAB completes: judged by bash, zsh and fish themselves, with the files that are shipped."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from daemon.cli.commands import app
from daemon.dispatch import State
from daemon.signatures import SCHEMES
from packages.shells import FILES, write_completions
from tests.environment import inherited

BIN = Path(sys.executable).parent
PROGRAM = get_command(app)
assert isinstance(PROGRAM, TyperGroup)
COMMANDS = set(PROGRAM.commands)
CONFIG = {
    "CRONS.json": [{"name": "nightly-build"}, {"name": "nightly-report"}, {"name": "weekly"}],
    "TRIGGERS.json": {"triggers": [{"name": "github-push", "path": "/x"}, {"name": "night-shift"}]},
}

needs_fish, needs_zsh = (
    pytest.mark.skipif(
        shutil.which(shell) is None, reason=f"NOT JUDGED BY {shell}: it is not installed"
    )
    for shell in ("fish", "zsh")
)


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("share")
    write_completions(directory)
    return directory


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory to be in, with a config."""
    (tmp_path / "config").mkdir()
    for name, entries in CONFIG.items():
        (tmp_path / "config" / name).write_text(json.dumps(entries))
    return tmp_path


def environ(home: Path, **more: str) -> dict[str, str]:
    kept = inherited()
    return {**kept, "PATH": f"{BIN}:{kept['PATH']}", "HOME": str(home), "TERM": "xterm", **more}


def completed(home: Path, *words: str, **more: str) -> list[str]:
    """What bash is told for the last of the words."""
    asked = {"_DISPATCHD_COMPLETE": "complete_bash", "COMP_CWORD": str(len(words))}
    line = " ".join(["dispatchd", *words])
    ran = subprocess.run(
        [str(BIN / "dispatchd")],
        env=environ(home, **asked, COMP_WORDS=line, **more),
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout.split()


class TestWords:
    def test_every_command_is_offered(self, home: Path) -> None:
        assert set(completed(home, "")) == COMMANDS

    @pytest.mark.parametrize(
        ("words", "offered"),
        [
            (["fire", ""], ["nightly-build", "nightly-report", "weekly"]),
            (["backfill", "nightly-r"], ["nightly-report"]),
            (["test", "g"], ["github-push"]),
            (["hook", "create", ""], ["github-push", "night-shift"]),
            (["pause", "weekly", "night"], ["nightly-build", "nightly-report", "night-shift"]),
            (["workflow", "w"], ["weekly"]),
            (["dispatches", "--state", "s"], ["sending", "superseded"]),
            (["events", "--outcome", "un"], ["unmatched", "unauthorized"]),
            (["firings", "--outcome", ""], ["fired", "missed"]),
            (["dispatches", "--state", ""], [str(each) for each in State]),
            (["init", "trigger", "stri"], ["stripe"]),
            (["schemes", ""], list(SCHEMES)),
        ],
    )
    def test_an_argument_is_completed_with_what_the_command_takes(
        self, home: Path, words: list[str], offered: list[str]
    ) -> None:
        assert completed(home, *words) == offered

    def test_the_config_is_looked_for_where_the_command_would(
        self, home: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "config").rename(tmp_path / "elsewhere")
        assert "nightly-build" not in completed(home, "fire", "")
        at = str(tmp_path / "elsewhere")
        assert "nightly-build" in completed(home, "fire", "", DISPATCHD_CONFIG_DIR=at)
        assert "nightly-build" in completed(home, "fire", "--config-dir", at, "")

    @pytest.mark.parametrize(
        "text", ["{", "[" * 100_000, "7", '{"crons": 7}', '[7, {"name": 7}, {}]', "\udcff"]
    )
    def test_of_a_file_with_faults_what_is_no_name_is_passed_over(
        self, home: Path, text: str
    ) -> None:
        (home / "config" / "CRONS.json").write_text(text, errors="surrogateescape")
        assert completed(home, "fire", "") == []

    def test_a_name_that_a_shell_would_carry_out_is_not_offered(self, home: Path) -> None:
        names = ["good", "$(touch made)", "`touch made`", "'; touch made", "a b", "UP", "*"]
        (home / "config" / "CRONS.json").write_text(json.dumps([{"name": each} for each in names]))
        assert completed(home, "fire", "") == ["good"]

    def test_the_daemon_is_not_imported_for_it(self, home: Path) -> None:
        """Nobody waits a second for TAB."""
        asked = {"_DISPATCHD_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
        ran = subprocess.run(
            [sys.executable, "-X", "importtime", str(BIN / "dispatchd")],
            env=environ(home, **asked, COMP_WORDS="dispatchd fire "),
            cwd=home,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "nightly-build" in ran.stdout
        imported = set(re.findall(r"\| +([\w.]+)$", ran.stderr, re.MULTILINE))
        assert "daemon.cli.commands" in imported
        heavy = {"aiohttp", "sqlalchemy", "cel_expr_python", "jsonschema", "apscheduler", "asyncio"}
        assert not imported & {*heavy, "daemon.config", "daemon.store", "daemon.signatures"}


class TestBash:
    def test_it_completes_commands_and_names(self, home: Path, share: Path) -> None:
        assert self.reply(home, share, "fi") == ["fire", "firings"]
        assert self.reply(home, share, "fire", "nightly-b") == ["nightly-build"]

    def reply(self, home: Path, share: Path, *words: str) -> list[str]:
        """With the function that the file has bash call for this program."""
        script = (
            'source "$1"; shift; COMP_WORDS=(dispatchd "$@"); COMP_CWORD=$#\n'
            "[[ $(complete -p dispatchd) =~ -F\\ ([^ ]+) ]]\n"
            '"${BASH_REMATCH[1]}" dispatchd; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        ran = subprocess.run(
            ["bash", "--norc", "-c", script, "bash", str(share / FILES["bash"]), *words],
            env=environ(home),
            cwd=home,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stderr == ""
        return ran.stdout.split()


@needs_fish
class TestFish:
    def test_it_completes_commands_and_names_with_what_they_do(
        self, home: Path, share: Path
    ) -> None:
        offered = self.reply(home, share, "dispatchd fi")
        assert [line.split("\t")[0] for line in offered] == ["fire", "firings"]
        assert "Fire a cron entry by hand" in offered[0]
        assert self.reply(home, share, "dispatchd fire nightly-b") == ["nightly-build"]

    def reply(self, home: Path, share: Path, line: str) -> list[str]:
        directory = (share / FILES["fish"]).parent
        script = f"set --prepend fish_complete_path {directory}; complete --do-complete '{line}'"
        ran = subprocess.run(
            ["fish", "--no-config", "-c", script],
            env=environ(home),
            cwd=home,
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout.splitlines()


@needs_zsh
class TestZsh:
    def test_it_completes_commands_and_names_from_the_first_time_on(
        self, home: Path, share: Path
    ) -> None:
        with zsh(home, share) as type_:
            type_("dispatchd fire nightly-b\t", "dispatchd fire nightly-build ")
        with zsh(home, share) as type_:
            type_("dispatchd fir\t", "firings  -- Show what became of each cron")

    def test_no_entry_can_have_it_carry_out_anything(self, home: Path, share: Path) -> None:
        entries = [{"name": "fine"}, {"name": "fi$(touch made)"}]
        (home / "config" / "CRONS.json").write_text(json.dumps(entries))
        with zsh(home, share) as type_:
            type_("dispatchd fire f\t", "dispatchd fire fine ")
        assert not (home / "made").exists()


@contextmanager
def zsh(home: Path, share: Path) -> Iterator[Callable[[str, str], None]]:
    """An interactive one on a terminal. What it gives types, and waits for what is to be seen."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - becomes zsh
        os.chdir(home)
        os.execvpe("zsh", ["zsh", "-f", "-i"], environ(home))  # noqa: S606
    termios.tcsetwinsize(terminal, (40, 120))
    seen = ""

    def type_(text: str, wanted: str) -> None:
        nonlocal seen
        os.write(terminal, text.encode())
        deadline = time.monotonic() + 30
        while wanted not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen):
            left = max(0.0, deadline - time.monotonic())
            assert select.select([terminal], [], [], left)[0], f"{wanted!r} is not in {seen!r}"
            seen += os.read(terminal, 65536).decode(errors="replace")
        seen = ""
        os.write(terminal, b"\x15")  # ^U: away with the line

    try:
        files = (share / FILES["zsh"]).parent
        first = f"fpath=({files} $fpath); autoload -Uz compinit; compinit -D"
        type_(f"{first}; print rea''dy\n", "ready")
        yield type_
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
