"""What the tests do to the world of a daemon: a disk that is slow, full or broken, clocks that
step, a power cut, a stop."""

from __future__ import annotations

from tests.faults.library import Faults, compiled

__all__ = ["Faults", "compiled"]
