"""What CI, releases and containers are made by: judged by the tools that judge such files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.test_example_workflows import linted
from tests.test_workflow import check

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONTAINERFILE = ROOT / "Containerfile"

needs_actionlint, needs_hadolint = (
    pytest.mark.skipif(not (BIN / name).exists(), reason=f"NOT JUDGED: {name} is not installed")
    for name in ("actionlint", "hadolint")
)


def ran(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


class TestWorkflows:
    def test_there_are_two(self) -> None:
        assert [file.stem for file in WORKFLOWS] == ["ci", "release"]

    def test_they_are_workflows_by_githubs_schema_and_safe_by_zizmor(self) -> None:
        check([file.read_text("utf-8") for file in WORKFLOWS])

    @needs_actionlint
    def test_actionlint_and_shellcheck_find_nothing(self) -> None:
        assert linted(WORKFLOWS).stdout == ""

    @pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
    def test_every_action_is_a_commit_with_its_version_beside_it(self, file: Path) -> None:
        used = re.findall(r"uses: (.*)", file.read_text("utf-8"))
        assert used
        for each in used:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each

    def test_what_make_is_asked_for_is_in_the_makefile(self) -> None:
        targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        for file in WORKFLOWS:
            asked = set(re.findall(r"\bmake ([\w./-]+)", file.read_text("utf-8")))
            assert asked <= targets, asked - targets

    def test_the_pythons_that_ci_runs_are_those_that_are_promised(self) -> None:
        ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
        said = [each.rpartition(" :: ")[2] for each in PROJECT["classifiers"]]
        promised = [each for each in said if re.fullmatch(r"3\.\d+", each)]
        assert ci["jobs"]["check"]["strategy"]["matrix"]["python"] == promised

    def test_dependabots_file_is_one_by_its_schema(self) -> None:
        words = ("--builtin-schema", "vendor.dependabot", str(ROOT / ".github/dependabot.yml"))
        done = ran(str(BIN / "check-jsonschema"), *words)
        assert done.returncode == 0, done.stdout


class TestContainer:
    @needs_hadolint
    def test_hadolint_finds_nothing(self) -> None:
        done = ran(str(BIN / "hadolint"), "--failure-threshold=style", str(CONTAINERFILE))
        assert (done.returncode, done.stdout) == (0, "")

    @needs_hadolint
    def test_hadolint_finds_what_is_wrong(self, tmp_path: Path) -> None:
        bad = tmp_path / "Containerfile"
        bad.write_text(CONTAINERFILE.read_text().replace(':3.13-slim-bookworm"', ""))
        bad.write_text(bad.read_text().replace('CMD ["run"]', "CMD run"))
        assert "DL3025" in ran(str(BIN / "hadolint"), str(bad)).stdout

    def test_it_runs_as_nobody_known_and_without_a_shell(self) -> None:
        last = CONTAINERFILE.read_text().rpartition("\nFROM ")[2]
        lines = dict(re.findall(r"^(USER|ENTRYPOINT|CMD|VOLUME) (.*)$", last, re.MULTILINE))
        assert lines["USER"] == "10001:10001"
        assert json.loads(lines["ENTRYPOINT"]) + json.loads(lines["CMD"]) == ["dispatchd", "run"]
        assert json.loads(lines["VOLUME"]) == ["/var/lib/dispatchd"]
        assert "HEALTHCHECK" in last

    def test_what_it_copies_is_let_in(self) -> None:
        let_in = re.findall(r"^!(\S+)$", (ROOT / ".containerignore").read_text(), re.MULTILINE)
        assert {"daemon", "packages", "pyproject.toml"} <= set(let_in)
        assert all((ROOT / each).exists() for each in let_in)


def test_every_dependency_is_pinned_within_what_it_may_be() -> None:
    """Else: make pins."""
    text = (ROOT / "packages" / "requirements.txt").read_text("utf-8")
    pins = {
        name.lower(): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    }
    extras = PROJECT["optional-dependencies"]
    for line in [*PROJECT["dependencies"], *extras["notify"], *extras["otel"]]:
        wanted = Requirement(line)
        assert wanted.name.lower() in pins, f"{wanted.name} is not pinned: make pins"
        assert pins[wanted.name.lower()] in wanted.specifier, f"{line}: make pins"
    assert text.count("--hash=sha256:") >= len(pins)
