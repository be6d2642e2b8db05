"""Fixtures that several test files share."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import settings

from daemon.simulator import Simulator
from tests.harness.target import Target, target_at
from tests.wires import TOKEN, now

# How long an example takes says more about the machine than about the code. In CI the same
# examples come each time, so that a change is not blamed for what another one left; elsewhere new
# ones are looked for.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Coverage does not count what properties reach: it doubles the time of every example, and a
    line that made-up input alone gets to has no law of its own yet."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(autouse=True)
def _unmeasured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not measured starts no processes that are."""
    if request.node.get_closest_marker("no_cover"):
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            monkeypatch.delenv(name)


@pytest.fixture
def chance() -> random.Random:
    """Randomness that can be had again: its seed is shown beside a failure, and
    ``DISPATCHD_TEST_SEED`` sets it."""
    seed = int(os.environ.get("DISPATCHD_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"random moments: DISPATCHD_TEST_SEED={seed}")
    return random.Random(seed)  # noqa: S311 - it guards nothing


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test asks reaches whom it asks, wherever the tests run."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A stand-in that takes the token of the client's tests and no other."""
    async with Simulator(now, tokens={TOKEN.reveal()}) as simulator:
        yield simulator


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    """One daemon for all tests of a file, which run on one event loop then."""
    async with target_at(tmp_path_factory.mktemp("target")) as target:
        yield target


@pytest_asyncio.fixture(loop_scope="module")
async def target(served: Target) -> AsyncIterator[Target]:
    """The daemon of the file, looked after when the test is over."""
    began = len(served.daemon.log)
    yield served
    await served.assert_well(since=began)
