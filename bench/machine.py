"""What the figures were taken on, since they mean nothing without it."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.process import BenchError

MEMORY_ONLY = frozenset({"tmpfs", "ramfs"})
"""Filesystems on which fsync does nothing."""


def real_disk() -> Path:
    """A directory for temporary files on a disk. Raises BenchError where there is none."""
    for directory in (Path(tempfile.gettempdir()), Path("/var/tmp"), Path.cwd()):  # noqa: S108
        if filesystem(directory) not in MEMORY_ONLY:
            return directory
    raise BenchError("every temporary directory is in memory; name one on a disk with TMPDIR")


def described(place: Path) -> dict[str, str]:
    """The machine by what matters here, with the cost of a commit to ``place``."""
    cpu = next(_cpu_names(), platform.machine())
    return {
        "machine": f"{os.cpu_count()} × {cpu}, {_memory():.0f} GiB, Linux {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "disk": f"{filesystem(place)}, fsync of 4 KiB {fsync_cost(place) * 1e3:.2f} ms",
        "busy": f"load average {os.getloadavg()[0]:.2f} before",
        "taken": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def filesystem(place: Path) -> str:
    """The kind of filesystem that ``place`` is on."""
    found, kind = Path("/"), "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, type_, *_ = line.split(" ")
        mounted = Path(point.replace("\\040", " "))
        if place.resolve().is_relative_to(mounted) and len(mounted.parts) >= len(found.parts):
            found, kind = mounted, type_
    return kind


def fsync_cost(place: Path) -> float:
    """Seconds, the median of 200."""
    costs = []
    with tempfile.TemporaryFile(dir=place, buffering=0) as file:
        for _ in range(200):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            costs.append(time.perf_counter() - began)
    return median(costs)


def _cpu_names() -> Iterator[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            yield line.partition(":")[2].strip()


def _memory() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
