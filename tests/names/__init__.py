"""DNS as a test wants it, for a daemon in a process of its own: what its name server says is in a
file, and may change while it runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


class Names:
    """The name server of the processes that are started with ``environ``. At first it knows no
    name."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "names.json"
        self._known: dict[str, Sequence[str]] = {}
        self._write()
        self.environ = {
            "PYTHONPATH": str(Path(__file__).parent),  # which Python imports `sitecustomize` from
            "TEST_NAMES": str(self._file),
        }

    def set(self, name: str, *addresses: str) -> None:
        """From now on ``name`` has these addresses, in this order."""
        self._known[name] = addresses
        self._write()

    def _write(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self._known))
        new.replace(self._file)
