"""A request as bytes, prepared once and sent many times. Every delivery has an id and a body of its
own, and so a signature of its own, as senders' have: what came before would be a duplicate."""

from __future__ import annotations

import hashlib
import hmac
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

MARK = "@id".ljust(36, "@")
"""Stands wherever each sending has its own id, in a header or in the body. It is as long as what
the loads put in its place, so that the body's length is known before."""

SIGNATURE = "@signature".ljust(64, "@")
"""Stands in a header where each sending has its own signature; likewise."""


@dataclass(frozen=True, slots=True)
class Seal:
    """How a sender signs: HMAC-SHA256, in hex, over ``before`` and the body."""

    secret: str
    before: bytes = b""

    def signatures(self, body: bytes, ids: Iterable[str]) -> Iterator[str]:
        """The signature of ``body`` with each of the ids in its place. What comes before the first
        ``MARK`` is hashed once for all of them: the nearer that is to the end, the better."""
        mark = MARK.encode()
        same, found, rest = body.partition(mark)
        begun = hmac.new(self.secret.encode(), self.before + same, hashlib.sha256)
        for id_ in ids:
            mac = begun.copy()
            mac.update((found + rest).replace(mark, id_.encode()))
            yield mac.hexdigest()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request in a file, and beside it the signatures of its copies where it has a seal. The ids
    of the copies begin with ``prefix``."""

    file: Path
    prefix: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request with ``body`` for ``path``. ``MARK`` may stand in a header's value and in the body,
    ``SIGNATURE`` in a header's value where there is a ``seal``."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    method: str = "POST"
    seal: Seal | None = None

    def raw(self) -> bytes:
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            "Host: 127.0.0.1",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            f"Content-Length: {len(self.body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body

    @contextmanager
    def prepared(self, directory: Path, copies: int) -> Iterator[Prepared]:
        """Files in ``directory``, for a load to read while the context runs, with signatures for as
        many copies as are asked for."""
        prefix = str(uuid.uuid4())[:24]  # of a UUID, which GitHub's ids are
        with NamedTemporaryFile(dir=directory, prefix="request-") as file:
            file.write(self.raw())
            file.flush()
            path = Path(file.name)
            try:
                self._sign(signatures_of(path), prefix, copies)
                yield Prepared(path, prefix)
            finally:
                signatures_of(path).unlink()

    def _sign(self, path: Path, prefix: str, copies: int) -> None:
        with path.open("w") as file:
            if self.seal is not None:
                ids = (id_of(prefix, number) for number in range(copies))
                file.writelines(self.seal.signatures(self.body, ids))
            file.flush()
            os.fsync(file.fileno())  # else it would be written while the commits are timed


def id_of(prefix: str, number: int) -> str:
    """The id of one copy."""
    return f"{prefix}{number:012d}"


def signatures_of(file: Path) -> Path:
    """Where the signatures are of the request in ``file``, one after the other; empty for one that
    is not signed."""
    return file.with_suffix(".signatures")
