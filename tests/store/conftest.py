"""The stores that every contract test runs against: a further database is one more entry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.store import Store
from tests.store.samples import NOW


@pytest.fixture(params=["sqlite", "memory"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {"sqlite": f"sqlite:///{tmp_path}/state.sqlite", "memory": "sqlite://"}[request.param]


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = Store.open(store_url, owner="tests", now=NOW)
    yield store
    await store.close()
