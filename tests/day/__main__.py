"""``python -m tests.day``: a simulated day with its progress, its tables, and an exit status that
says whether all was well."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.day.day import Day, lived
from tests.day.outcome import HEAD, RULE, Hour

SHOWN = 20
"""Findings that are printed."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.day",
        description="Lives a day of a busy daemon in simulated time, through one token and the "
        "default pacing, against a stand-in for GitHub, and shows what waited and what it cost.",
    )
    whole = Day()
    parser.add_argument("--dispatches", type=int, default=whole.dispatches, help="(%(default)s)")
    parser.add_argument("--hours", type=int, default=whole.hours, help="(%(default)s)")
    parser.add_argument(
        "--foreign", type=int, default=whole.foreign, help="runs that others begin (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=whole.seed, help="another day (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    home = Path(tempfile.mkdtemp(prefix="dispatchd-day-"))
    began = time.monotonic()

    def show(hour: Hour) -> None:
        print(f"{hour.row()}  after {time.monotonic() - began:.0f} s", flush=True)

    print(f"{HEAD}\n{RULE}")
    outcome = lived(Day(given.dispatches, given.hours, given.foreign, given.seed), home, show)
    print("\n" + outcome.tables())
    if given.json is not None:
        given.json.write_text(json.dumps(outcome.as_json(), indent=2) + "\n", encoding="utf-8")
    for each in [*outcome.troubles[:SHOWN], *outcome.findings[:SHOWN]]:
        print(each)
    if outcome.findings:
        print(f"what it left is in {home}")
        return 1
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
