"""What a process holds on to, sampled as it lives: memory, descriptors and threads. A line through
the samples says how fast they grow."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

MEGABYTE = 1e6
KIB = 1024

EDGE = 4
"""Samples that are its beginning, and its end."""

WARM = 1 / 3
"""Of a life: caches fill up until then, and what is resident after it is compared."""


@dataclass(frozen=True, slots=True)
class Sample:
    """``age`` in seconds since the daemon served. ``files`` are descriptors of all but sockets."""

    age: float
    resident: float
    files: int
    sockets: int
    threads: int


@dataclass(slots=True)
class Life:
    """One process, from when it served, ``began`` seconds after the run did."""

    number: int
    began: float
    samples: list[Sample] = field(default_factory=list)

    @property
    def warm(self) -> list[Sample]:
        """The samples from after its caches filled up."""
        age = self.samples[-1].age if self.samples else 0.0
        return [sample for sample in self.samples if sample.age >= age * WARM]

    @property
    def slope(self) -> float:
        """Megabytes a minute that it grew by when it was warm."""
        return 60 * slope([(sample.age, sample.resident) for sample in self.warm])

    @property
    def resident(self) -> float:
        """Megabytes in the middle of its warm time."""
        return _median([sample.resident for sample in self.warm])

    @property
    def files_at_first(self) -> int:
        """Once it had opened what it needs."""
        return max((sample.files for sample in self.samples[:EDGE]), default=0)

    @property
    def files_at_last(self) -> int:
        """Without what it had opened for a moment."""
        return min((sample.files for sample in self.samples[-EDGE:]), default=0)

    @property
    def sockets(self) -> int:
        return max((sample.sockets for sample in self.samples), default=0)

    @property
    def threads(self) -> int:
        return max((sample.threads for sample in self.samples), default=0)


def sampled(pid: int, age: float) -> Sample | None:
    """What the process holds now; None where there is none (any more)."""
    process = Path(f"/proc/{pid}")
    try:
        status = (process / "status").read_text(encoding="ascii", errors="replace")
        targets = [_target(each) for each in (process / "fd").iterdir()]
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    if "VmRSS" not in fields:  # it is dead, and has not been waited for
        return None
    sockets = sum(target.startswith("socket:") for target in targets)
    return Sample(
        age,
        int(fields["VmRSS"].split()[0]) * KIB / MEGABYTE,
        len(targets) - sockets,
        sockets,
        int(fields["Threads"]),
    )


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # closed meanwhile
        return ""


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the line that fits best; 0 where there are too few points for one."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def growth(lives: Sequence[Life]) -> float:
    """Megabytes a minute by which later lives hold more than earlier ones at the same age."""
    return 60 * slope([(life.began, life.resident) for life in lives if life.samples])


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0
