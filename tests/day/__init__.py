"""A day of a busy daemon, in simulated time: what comes in, and what becomes of it."""

from __future__ import annotations

from tests.day.day import Day, lived
from tests.day.outcome import Outcome

__all__ = ["Day", "Outcome", "lived"]
