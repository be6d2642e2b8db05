"""``python -m tests.torture``: a run with its progress, its table, and an exit status that says
whether all was well."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.torture.outcome import Outcome
from tests.torture.run import Plan, Torture

LINES = 50
"""How many lines of progress a run shows."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture",
        description="Kills dispatchd at random moments under load, starts it again on the same "
        "database, and compares what it acknowledged and owed with what GitHub (a stand-in) got.",
    )
    parser.add_argument("--kills", type=int, default=1000, help="how often (%(default)s)")
    parser.add_argument("--seed", type=int, help="to have the same moments again")
    parser.add_argument("--rate", type=float, default=200, help="deliveries a second (%(default)s)")
    parser.add_argument("--crons", type=int, default=50, help="every-second crons (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(2**32)
    print(
        f"{given.kills:,} kills under {given.rate:g} deliveries a second and {given.crons} crons "
        f"that fire every second (--seed {seed})"
    )
    home = Path(tempfile.mkdtemp(prefix="dispatchd-torture-"))

    def show(outcome: Outcome) -> None:
        if outcome.count % max(1, given.kills // LINES) == 0:
            left = outcome.seconds / outcome.count * (given.kills - outcome.count)
            tally = outcome.tally
            print(
                f"{outcome.count:6,} kills  {outcome.seconds / 60:5.1f} min, {left / 60:5.1f} to go"
                f"  {outcome.deliveries:9,} deliveries sent  settled: {tally.acknowledged:,} "
                f"acknowledged, {tally.instants:,} instants, {tally.explained:,} sent twice"
                f"  {len(outcome.findings)} wrong",
                flush=True,
            )

    plan = Plan(given.kills, seed, given.rate, given.crons)
    outcome = asyncio.run(Torture(plan, home, show).run())
    print(outcome.table())
    if given.json is not None:
        given.json.write_text(json.dumps(outcome.as_json(), indent=2) + "\n", encoding="utf-8")
    if outcome.findings:
        print(f"what it left is in {home}")
        return 1
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
