"""``python -m tests.fuzz``: each target in a process of its own, one after the other, then a table,
and an exit status that says whether anything was found."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tests.fuzz.targets import TARGETS
from tests.fuzz.watch import Report

GUIDED = importlib.util.find_spec("atheris") is not None
ROUTES = "routes"
"""Beside the rules: calls of the whole daemon, which are made up of what its routes take."""

GRACE = 120.0
"""Seconds after its time when a target's process is taken to hang."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Gives made-up input to the rules that strangers can reach, and looks for "
        "anything but values and refusals: other exceptions, too much time or memory, crashes. "
        "Makes up calls of every route that wants a key, and looks for answers that are a fault. "
        "Guided by what code an input reaches, where atheris is installed; by chance otherwise.",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="in all (%(default)g)")
    parser.add_argument(
        "--target", choices=[*TARGETS, ROUTES], action="append", help="only this; may be repeated"
    )
    parser.add_argument(
        "--directory", type=Path, default=Path("build/fuzz"), help="for findings (%(default)s)"
    )
    return parser.parse_args()


def fuzzed(name: str, seconds: float, directory: Path) -> Report:
    """What the target's process reported, and its end where that was not in order."""
    path = directory / f"{name}.json"
    path.unlink(missing_ok=True)
    command = ["tests.fuzz.guided" if GUIDED else "tests.fuzz.blind", name]
    if name == ROUTES:
        command = ["tests.keyed"]
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        try:
            status = subprocess.run(
                [sys.executable, "-m", *command, f"{seconds:.0f}", path],
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=seconds + GRACE,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            status = None
    report = Report.read(path)
    if status == 0:
        return report
    how = "hung" if status is None else f"ended with {status}"
    return replace(report, findings={**report.findings, f"the process {how}": str(log)})


def table(reports: Mapping[str, Report]) -> str:
    lines = ["| target | inputs | slowest | findings |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {each.count:,} | {each.slowest * 1000:.0f} ms | {len(each.findings)} |"
        for name, each in reports.items()
    ]
    return "\n".join(lines)


def main() -> int:
    given = arguments()
    names = given.target or [*TARGETS, ROUTES]
    given.directory.mkdir(parents=True, exist_ok=True)
    seconds = max(1.0, given.minutes * 60 / len(names))
    manner = "guided by coverage" if GUIDED else "at random: atheris is not installed"
    print(f"{seconds:.0f} s for each of {len(names)} targets, {manner}", flush=True)
    reports = {}
    for name in names:
        began = time.monotonic()
        reports[name] = fuzzed(name, seconds, given.directory)
        took = time.monotonic() - began
        print(f"{name}: {reports[name].count:,} inputs in {took:.0f} s", flush=True)
    print(table(reports))
    for name, report in reports.items():
        for place, file in report.findings.items():
            print(f"{name}: {place}: see {file}")
    return 1 if any(report.findings for report in reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
