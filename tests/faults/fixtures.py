"""Fixtures of the tests that break disk or clock. A test file imports those that it uses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.library import Faults, compiled


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that is loaded into the daemons of this file."""
    return compiled(tmp_path_factory.mktemp("library"))


@pytest.fixture
def faults(library: Path, tmp_path: Path) -> Iterator[Faults]:
    """The faults of a daemon whose home is ``faults.home``."""
    with Faults(library, tmp_path) as faults:
        yield faults
