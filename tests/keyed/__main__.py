"""``python -m tests.keyed SECONDS REPORT [SEED]``: the made-up calls of ``make fuzz``, which starts
this as it does its other targets."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.watch import Report
from tests.keyed.watch import watched


def main() -> None:
    seconds, report, *rest = sys.argv[1:]
    seed = int(rest[0]) if rest else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)  # noqa: S311 - it guards nothing
    end = time.monotonic() + float(seconds)
    with TemporaryDirectory(prefix="dispatchd-fuzz-") as home:
        watching = watched(Path(home), chance, until=lambda _: time.monotonic() > end)
        watch, _ = asyncio.run(watching)
    path = Path(report)
    for (route, status), count in sorted(watch.statuses.items()):
        print(f"{count:8,} {status or 'no answer'} {route}")
    found = Report(watch.count, watch.slowest, watch.save(path.parent))
    path.write_text(json.dumps(asdict(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
