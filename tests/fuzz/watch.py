"""What counts as a finding: an exception, too much processor time, too much memory."""

from __future__ import annotations

import hashlib
import json
import resource
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.fuzz.targets import Target

TRIES = 3
"""How often a slow input is run again before it counts: the machine has other things to do."""

UNIT = 10 * 1024
MEMORY_MAX = 256 * 1024
"""KiB by which the peak of the process may grow within one input."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``place`` is the same for inputs that show the same fault."""

    target: str
    place: str
    detail: str
    data: bytes = field(repr=False)

    def save(self, directory: Path) -> Path:
        """Writes the input, and what became of it beside it; gives the input's place."""
        name = hashlib.sha256(self.place.encode()).hexdigest()[:12]
        path = directory / f"{self.target}-{name}.input"
        path.write_bytes(self.data)
        path.with_suffix(".txt").write_text(f"{self.place}\n\n{self.detail}\n", encoding="utf-8")
        return path


@dataclass(frozen=True, slots=True)
class Report:
    """How far a run came. ``slowest`` is in seconds of processor time; ``findings`` are the places
    of faults, each with the file that holds the input."""

    count: int = 0
    slowest: float = 0.0
    findings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Report:
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else cls()


class Watch:
    """Runs inputs of one target. ``findings`` holds the first of each kind, and ``slowest`` the
    most processor time that one took, in seconds. ``patience`` multiplies what an input may take.
    """

    def __init__(self, name: str, target: Target, *, patience: float = 1.0) -> None:
        self.name = name
        self.count = 0
        self.slowest = 0.0
        self.findings: dict[str, Finding] = {}
        self._target = target
        self._patience = patience

    def run(self, data: bytes) -> None:
        self.count += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for place, detail in self._faults(data):
            self._found(place, detail, data)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        if grown > MEMORY_MAX:
            self._found("memory", f"the peak grew by {grown:,} KiB", data)

    def write(self, report: Path) -> None:
        """Leaves the findings' inputs beside the report: this process may be ended at any time."""
        found = {each.place: str(each.save(report.parent)) for each in self.findings.values()}
        so_far = asdict(Report(self.count, self.slowest, found))
        # At once: who reads it finds the one before, or this.
        unfinished = report.with_suffix(".new")
        unfinished.write_text(json.dumps(so_far), encoding="utf-8")
        unfinished.replace(report)

    def _found(self, place: str, detail: str, data: bytes) -> None:
        self.findings.setdefault(place, Finding(self.name, place, detail, data))

    def _faults(self, data: bytes) -> Iterator[tuple[str, str]]:
        allowed = self._target.seconds * self._patience * (1 + len(data) // UNIT)
        took = allowed
        for _ in range(TRIES):
            began = time.thread_time()
            try:
                self._target.run(data)
            except Exception as error:  # noqa: BLE001 - whatever comes is what we look for
                frame = traceback.extract_tb(error.__traceback__)[-1]
                place = f"{type(error).__name__} in {frame.name}, {Path(frame.filename).name}"
                yield f"{place}:{frame.lineno}", "".join(traceback.format_exception(error))
                return
            took = min(took, time.thread_time() - began)
            if took < allowed:
                break
        else:
            yield "time", f"took {took:.2f} s, {allowed:.2f} s are allowed for {len(data):,} bytes"
        self.slowest = max(self.slowest, took)
