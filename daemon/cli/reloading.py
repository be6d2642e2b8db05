"""``dispatchd reload``: has the daemon read its config anew, or tell what that would change."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from daemon.cli.answers import RELOADED
from daemon.cli.connection import Answered
from daemon.cli.printable import printable
from daemon.cli.tables import plain, say, warn
from daemon.cli.target import Target, ask

FAULTY = 422
"""The status by which the daemon tells that the config has faults."""


def reload(target: Target, *, diff: bool, as_json: bool) -> None:
    """Exits with 2 where the config has faults, which are printed as ``validate`` does."""
    body = {"diff": diff}
    try:
        answer = ask(target, lambda daemon: daemon.post("/api/v1/reload", RELOADED, body))
    except Answered as error:
        faults = error.answer.get("faults")
        if error.status != FAULTY or not isinstance(faults, list):
            raise
        if as_json:
            print(json.dumps(error.answer, ensure_ascii=False))
        for fault in faults:
            print(printable(str(fault)), file=sys.stderr)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        print(f"{count}; the config in force stays", file=sys.stderr)
        sys.exit(2)
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
        return
    for warning in answer["warnings"]:
        warn(warning)
    for line in answer["changes"]:
        say(plain(line).plain)
    say(_summary(answer, diff=diff))


def _summary(answer: Mapping[str, Any], *, diff: bool) -> str:
    looked_at, rerouted = answer["looked_at"], len(answer["rerouted"])
    words = f"config {answer['generation']} is in force" if not diff else "nothing was taken over"
    if not answer["changes"]:
        words += "; the files say what they said before"
    if looked_at:
        words += f"; of the newest {looked_at} deliveries {rerouted} would come to something else"
    return words
