"""Fixtures that several test files share."""

from __future__ import annotations

import os
import random

import pytest


@pytest.fixture
def chance() -> random.Random:
    """Randomness that can be had again: its seed is shown beside a failure, and
    ``DISPATCHD_TEST_SEED`` sets it."""
    seed = int(os.environ.get("DISPATCHD_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"random moments: DISPATCHD_TEST_SEED={seed}")
    return random.Random(seed)  # noqa: S311 - it guards nothing
