"""``dispatchd test --cases``: runs the golden cases beside the config, and tells what differs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daemon import config
from daemon.cli.case import Result, play
from daemon.cli.case_file import CASES, CaseFile, read_cases
from daemon.cli.differences import Difference, differences
from daemon.cli.explaining import put_insight
from daemon.cli.layout import Listing
from daemon.cli.offline import needed
from daemon.cli.tables import plain, put, say, warn, word
from daemon.document import dotted
from daemon.errors import DispatchdError, UsageError
from daemon.spec import Config, TriggerSpec


def run_cases(
    names: Sequence[str], config_dir: Path | None, *, secrets: bool, as_json: bool
) -> None:
    """Runs the cases of these triggers, or of all. Raises UsageError for a trigger that does not
    exist, ConfigError for malformed files, and DispatchdError (exit 1) where a case differs."""
    directory = config.config_directory(config_dir, os.environ)
    loaded = config.load(directory, os.environ, secrets=needed(secrets=secrets))
    known = {trigger.name: trigger for trigger in loaded.triggers}
    for name in names:
        if name not in known:
            there = ", ".join(known) or "none"
            raise UsageError(f"there is no trigger {name!r}; there are: {there}")
    wanted = names or [*known]
    files = read_cases(directory, wanted, known)
    runs = [_run(file, known, loaded) for file in files]
    without = [name for name in wanted if name not in {file.case.trigger for file in files}]
    if as_json:
        print(json.dumps(_view(runs, without), ensure_ascii=False))
    else:
        _print(runs)
        for name in without:
            warn(f"{name} has no case in {directory / CASES / name}")
    differing = sum(bool(found) for _, _, found in runs)
    if differing:
        raise DispatchdError(f"{differing} of {len(runs)} cases differ")


_Run = tuple[CaseFile, Result, list[Difference]]


def _run(file: CaseFile, known: Mapping[str, TriggerSpec], loaded: Config) -> _Run:
    result = play(file.case, known[file.case.trigger], loaded)
    return file, result, differences(file.case.expect, result)


def _view(runs: Sequence[_Run], without: Sequence[str]) -> dict[str, Any]:
    return {
        "cases": [
            {
                "trigger": file.case.trigger,
                "case": file.case.name,
                "file": file.document.file,
                "agrees": not found,
                "outcome": result.outcome,
                "reason": result.reason or None,
                "differences": [{"path": dotted(each.path), **each.view()} for each in found],
            }
            for file, result, found in runs
        ],
        "without_cases": list(without),
    }


def _print(runs: Sequence[_Run]) -> None:
    if not runs:
        say("no cases")
        return
    rows = Listing(("trigger", "case", "outcome", "result"))
    for file, result, found in runs:
        rows.add(
            plain(file.case.trigger),
            plain(file.case.name),
            word(result.outcome),
            word("differs" if found else "agrees"),
        )
    put(rows)
    for file, result, found in runs:
        if not found:
            continue
        say("")
        say(f"{file.case.trigger}/{file.case.name}:")
        for each in found:
            say(plain(f"  {file.place(each.path)}: {dotted(each.path)}: {each}").plain)
        if found[0].path == ("outcome",) and result.tryout is not None:
            put_insight(result.tryout)
