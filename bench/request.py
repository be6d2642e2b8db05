"""A request as bytes, written once and sent many times. GitHub gives every delivery an id of its
own, so that one place in it differs from sending to sending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

MARK = "@id@"
"""Stands where each sending has its own id. The loads put one in its place."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request with ``body`` for ``path``. A header's value may be ``MARK``."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    method: str = "POST"

    def raw(self) -> bytes:
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            "Host: 127.0.0.1",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            f"Content-Length: {len(self.body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body

    def written(self, directory: Path) -> Path:
        """A new file in ``directory``, for a load to read it from."""
        with NamedTemporaryFile(dir=directory, prefix="request-", delete=False) as file:
            file.write(self.raw())
        return Path(file.name)
