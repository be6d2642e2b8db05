"""``pause`` and ``resume``: the commands that have entries rest and work again."""

from __future__ import annotations

from daemon.cli.acting import show
from daemon.cli.answers import PAUSED, RESUMED
from daemon.cli.tables import moment, plain
from daemon.cli.target import Target, ask


def pause(target: Target, names: list[str], reason: str, *, as_json: bool) -> None:
    """Without names: all entries."""
    body = {"entries": names or "all", "reason": reason}
    answer = ask(target, lambda daemon: daemon.post("/api/v1/pause", PAUSED, body))
    lines = [
        f"{each['entry']} was paused already by {each['by']} since {moment(each['since'])}"
        + (f": {each['reason']}" if each.get("reason") else "")
        if each["already"]
        else f"{each['entry']} is paused"
        for each in answer["paused"]
    ]
    show(answer, as_json, plain("\n".join(lines) or "there is no entry to pause").plain)


def resume(target: Target, names: list[str], *, as_json: bool) -> None:
    """Without names: all that are paused."""
    body = {"entries": names or "all"}
    answer = ask(target, lambda daemon: daemon.post("/api/v1/resume", RESUMED, body))
    lines = [
        f"{each['entry']} works again; dispatches that were held and go now: {each['released']}"
        for each in answer["resumed"]
    ]
    show(answer, as_json, plain("\n".join(lines) or "nothing is paused").plain)
