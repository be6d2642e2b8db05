"""Carries out a workflow as GitHub's runner does: its conditions and variables are evaluated, and
its scripts run for real, with the programs of this machine."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|([A-Za-z_][\w.-]*)|(\|\||&&|==|!=|[(),]))")
_WORDS: Mapping[str, object] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a run: ``conclusion`` as GitHub names it, and what its steps printed."""

    conclusion: str
    log: str
    steps: tuple[str, ...]


@dataclass(slots=True)
class Runner:
    """One runner. ``programs`` are found before those of the machine; ``environ`` holds what a
    runner tells every step."""

    directory: Path
    programs: Path
    environ: Mapping[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    token: str = ""
    runs: int = 0

    async def carry_out(self, file: Path, event_name: str, event: Mapping[str, Any]) -> Ran:
        """A run of the only job of the workflow in ``file``."""
        self.runs += 1
        home = self.directory / f"run-{self.runs}"
        temp, workspace = home / "temp", home / "workspace"
        for each in (temp, workspace):
            each.mkdir(parents=True)
        (home / "event.json").write_text(json.dumps(event), encoding="utf-8")
        document = _read(file)
        (job,) = document["jobs"].values()
        outputs: dict[str, Any] = {}
        contexts: dict[str, Any] = {
            "github": {
                "event": event,
                "event_name": event_name,
                "repository": self.environ["GITHUB_REPOSITORY"],
                "run_id": str(self.runs),
                "token": self.token,
            },
            "vars": self.variables,
            "secrets": self.secrets,
            "steps": outputs,
        }
        if not evaluated(job.get("if", "true"), contexts):
            return Ran("skipped", "", ())
        environ = {
            **self.environ,
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "HOME": str(home),
            "RUNNER_TEMP": str(temp),
            "GITHUB_WORKSPACE": str(workspace),
            "GITHUB_EVENT_PATH": str(home / "event.json"),
            "GITHUB_EVENT_NAME": event_name,
            "GITHUB_RUN_ID": str(self.runs),
        }
        log, done = "", []
        # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
        # says how a runner starts `shell: bash`.
        assert document["defaults"]["run"]["shell"] == "bash"
        for number, step in enumerate(job["steps"]):
            if not evaluated(step.get("if", "true"), contexts):
                continue
            script, told = home / f"step-{number}.sh", home / f"output-{number}"
            script.write_text(step["run"], encoding="utf-8")
            told.touch()
            given = {**job.get("env", {}), **step.get("env", {})}
            process = await asyncio.create_subprocess_exec(
                "bash", "--noprofile", "--norc", "-eo", "pipefail", str(script),
                cwd=workspace,
                env=environ
                | {name: filled(value, contexts) for name, value in given.items()}
                | {"GITHUB_OUTPUT": str(told)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            printed, _ = await process.communicate()
            log += printed.decode(errors="replace")
            done.append(step["name"])
            if process.returncode:
                return Ran("failure", log, tuple(done))
            lines = told.read_text("utf-8").splitlines()
            outputs[step.get("id", "")] = {"outputs": dict(line.split("=", 1) for line in lines)}
        return Ran("success", log, tuple(done))


def _read(file: Path) -> Any:
    """The workflow with all scalars as texts, so that the key ``on`` stays one."""
    return yaml.load(file.read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506  # only texts


def filled(text: str, contexts: Mapping[str, Any]) -> str:
    """``text`` with its expressions evaluated."""

    def shown(found: re.Match[str]) -> str:
        value = evaluated(found[1], contexts)
        text = "" if value is None else str(value)
        return text.lower() if isinstance(value, bool) else text

    return _EXPRESSION.sub(shown, text)


def evaluated(expression: str, contexts: Mapping[str, Any]) -> Any:
    """The value of an expression of GitHub Actions, of which paths, texts, ``startsWith``, ``==``,
    ``!=``, ``&&`` and ``||`` are known here. Raises ValueError for any other."""
    tokens: list[str] = []
    rest = expression.strip()
    while rest:
        found = _TOKEN.match(rest)
        if found is None:
            raise ValueError(f"not known here: {rest}")
        tokens.append(found[0].strip())
        rest = rest[found.end() :].strip()
    value = _either(tokens, contexts)
    if tokens:
        raise ValueError(f"not known here: {expression}")
    return value


def _either(tokens: list[str], contexts: Mapping[str, Any]) -> Any:
    value = _both(tokens, contexts)
    while tokens[:1] == ["||"]:
        tokens.pop(0)
        other = _both(tokens, contexts)
        value = value or other
    return value


def _both(tokens: list[str], contexts: Mapping[str, Any]) -> Any:
    value = _compared(tokens, contexts)
    while tokens[:1] == ["&&"]:
        tokens.pop(0)
        other = _compared(tokens, contexts)
        value = value and other
    return value


def _compared(tokens: list[str], contexts: Mapping[str, Any]) -> Any:
    value = _term(tokens, contexts)
    while tokens[:1] in (["=="], ["!="]):
        same = tokens.pop(0) == "=="
        value = (_folded(value) == _folded(_term(tokens, contexts))) is same
    return value


def _term(tokens: list[str], contexts: Mapping[str, Any]) -> Any:
    token = tokens.pop(0)
    if token == "(":
        value = _either(tokens, contexts)
        assert tokens.pop(0) == ")"
        return value
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    if token == "startsWith":
        assert tokens.pop(0) == "("
        text = _either(tokens, contexts)
        assert tokens.pop(0) == ","
        start = _either(tokens, contexts)
        assert tokens.pop(0) == ")"
        return str(text or "").lower().startswith(str(start or "").lower())
    if token in _WORDS:
        return _WORDS[token]
    value = contexts[token.partition(".")[0]]
    for key in token.split(".")[1:]:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _folded(value: Any) -> Any:
    """Texts compare without case, as on GitHub."""
    return value.lower() if isinstance(value, str) else value
