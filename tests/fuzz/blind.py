"""``python -m tests.fuzz.blind TARGET SECONDS REPORT [SEED]``: one target by inputs that are
changed at random, where atheris is not installed."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from tests.fuzz.mutation import inputs
from tests.fuzz.targets import TARGETS
from tests.fuzz.watch import Watch

PATIENCE = 2.0


def main() -> None:
    name, seconds, report, *rest = sys.argv[1:]
    seed = int(rest[0]) if rest else random.SystemRandom().randrange(2**32)
    print(f"{name}: seed {seed}", flush=True)
    target = TARGETS[name]
    watch = Watch(name, target, patience=PATIENCE)
    end = time.monotonic() + float(seconds)
    chance = random.Random(seed)  # noqa: S311 - it guards nothing
    for data in inputs(target.seeds(), target.words, chance):
        watch.run(data)
        if time.monotonic() > end:
            break
    watch.write(Path(report))


if __name__ == "__main__":
    main()
