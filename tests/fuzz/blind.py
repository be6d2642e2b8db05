"""``python -m tests.fuzz.blind TARGET SECONDS REPORT [SEED]``: one target by inputs that are changed
at random, where atheris is not installed."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from tests.fuzz.mutation import inputs
from tests.fuzz.targets import TARGETS
from tests.fuzz.watch import Watch

PATIENCE = 2.0


def fuzz(watch: Watch, data: list[bytes], words: tuple[bytes, ...], seconds: float, seed: int) -> None:
    """Runs changed inputs until ``seconds`` are over."""
    end = time.monotonic() + seconds
    for changed in inputs(data, words, random.Random(seed)):  # noqa: S311 - it guards nothing
        watch.run(changed)
        if time.monotonic() > end:
            return


def main() -> None:
    name, seconds, report, *rest = sys.argv[1:]
    seed = int(rest[0]) if rest else random.SystemRandom().randrange(2**32)
    print(f"{name}: seed {seed}", flush=True)
    target = TARGETS[name]
    watch = Watch(name, target, patience=PATIENCE)
    fuzz(watch, target.seeds(), target.words, float(seconds), seed)
    watch.write(Path(report))


if __name__ == "__main__":
    main()
