"""``python -m tests.soak``: a run with its progress, its table, and an exit status that says
whether all was well."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.outcome import Outcome
from tests.soak.run import Plan, Soak

SHOWN_EVERY = 5.0
"""Seconds between two lines of progress."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description="Keeps dispatchd under load, reloads it, kills it, fills its disk once, and "
        "compares what it acknowledged with what GitHub (a stand-in) got. Where the machine cannot "
        "keep up with the rate, the sender is held back, and what was achieved is told.",
    )
    parser.add_argument("--minutes", type=float, default=10, help="in all (%(default)g)")
    parser.add_argument("--rate", type=float, default=500, help="deliveries a second (%(default)g)")
    parser.add_argument("--crons", type=int, default=5, help="every-second crons (%(default)s)")
    parser.add_argument(
        "--reload-every", type=float, default=5, metavar="SECONDS", help="(%(default)g)"
    )
    parser.add_argument(
        "--kill-every", type=float, default=60, metavar="SECONDS", help="(%(default)g)"
    )
    parser.add_argument(
        "--full", type=float, default=10, metavar="SECONDS", help="of a full disk (%(default)g)"
    )
    parser.add_argument(
        "--megabytes", type=int, default=4096, help="of the disk; they are not taken (%(default)s)"
    )
    parser.add_argument("--seed", type=int, help="to have the same load again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    plan = Plan(
        seconds=given.minutes * 60,
        rate=given.rate,
        crons=given.crons,
        reload_every=given.reload_every,
        kill_every=given.kill_every,
        full=given.full,
        megabytes=given.megabytes,
        seed=given.seed if given.seed is not None else random.SystemRandom().randrange(2**32),
    )
    print(
        f"{given.minutes:g} minutes under {plan.rate:g} deliveries a second, a reload every "
        f"{plan.reload_every:g} s, a SIGKILL every {plan.kill_every:g} s, the disk full for "
        f"{plan.full:g} s (--seed {plan.seed})"
    )
    home = Path(tempfile.mkdtemp(prefix="dispatchd-soak-"))
    shown = time.monotonic()

    def show(outcome: Outcome) -> None:
        nonlocal shown
        if time.monotonic() - shown > SHOWN_EVERY:
            shown = time.monotonic()
            print(outcome.line(), flush=True)

    outcome = asyncio.run(Soak(plan, home, show).run())
    print(outcome.table())
    if given.json is not None:
        given.json.write_text(json.dumps(outcome.as_json(), indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(home)
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
