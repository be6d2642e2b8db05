"""``python -m bench [ROW…]``: measures, shows a table, and writes JSON where it is asked to."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.load import Generator
from bench.machine import described, real_disk
from bench.plan import Plan
from bench.process import BenchError
from bench.row import Row
from bench.rows import (
    apscheduler,
    catch_up,
    crons,
    end_to_end,
    history,
    intake,
    memory,
    schedules,
    starts,
    webhook,
)
from bench.table import show

ROWS: Mapping[str, Callable[[Plan], Iterator[Row]]] = {
    "intake-push": intake.push,
    "intake-pull-request": intake.pull_request,
    "intake-dispatch": intake.dispatch,
    "intake-stripe": intake.stripe,
    "intake-unmatched": intake.unmatched,
    "intake-least": intake.least,
    "dispatch-backlog": end_to_end.backlog,
    "dispatch-live": end_to_end.live,
    "dispatch-latency": end_to_end.latency,
    "crons": crons.crons,
    "catch-up-year": catch_up.catch_up,
    "schedules": schedules.schedules,
    "apscheduler": apscheduler.apscheduler,
    "memory": memory.memory,
    "start": starts.start,
    "command": starts.commands,
    "history": history.history,
    "webhook": webhook.webhook,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 also where a goal is missed, 1 where something could not be measured, 2
    for a row that there is not, or where there is no disk to measure on."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "rows",
        nargs="*",
        metavar="ROW",
        help=f"of {', '.join(ROWS)}, or how some of them begin (default: all)",
    )
    parser.add_argument("--quick", action="store_true", help="tiny numbers: shows that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there, too")
    parser.add_argument("--own-load", action="store_true", help="do without wrk")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison (default: 5)")
    given = parser.parse_args(arguments)
    for row in given.rows:
        if not any(name.startswith(row) for name in ROWS):
            parser.error(f"there is no row {row}; there are {', '.join(ROWS)}")
    if given.rounds < 1:
        parser.error("there is no less than one round")
    wanted = [name for name in ROWS if name.startswith(tuple(given.rows) or "")]
    try:
        disk = real_disk()
    except BenchError as error:
        parser.error(str(error))
    generator = Generator.found(own=given.own_load)
    machine = described(disk) | {"load from": str(generator)}
    rounds = 1 if given.quick else given.rounds
    rows: list[Row] = []
    failures: list[str] = []
    for name in wanted:
        with TemporaryDirectory(prefix="dispatchd-bench-", dir=disk) as place:
            try:
                rows.extend(ROWS[name](Plan(Path(place), rounds, given.quick, generator)))
            except BenchError as error:
                failures.append(f"{name}: {error}")
    if given.quick:
        rows = [replace(row, goal=None) for row in rows]
    show(machine, rows, quick=given.quick)
    if given.json:
        given.json.write_text(json.dumps(_document(machine, rows, given.quick), indent=2) + "\n")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _document(machine: Mapping[str, str], rows: Sequence[Row], quick: bool) -> dict[str, Any]:
    return {"machine": machine, "quick": quick, "rows": [row.as_json() for row in rows]}


if __name__ == "__main__":
    sys.exit(main())
