"""SQLite's write-ahead log, read as far as one must to know whether it is whole. SQLite itself
takes what is behind the first bad frame for never committed, and a log with a bad header for none.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

# SQLite, "Database File Format", 4: a header, then frames of a header and a page each. The magic
# number says by which byte order the checksums are made; the numbers themselves are big-endian.
HEADER = struct.Struct(">8I")
FRAME = struct.Struct(">6I")
ORDERS = {0x377F0682: "<", 0x377F0683: ">"}

Checksum = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """The header of one frame, the ``number``-th from 1: a ``page`` of the database, and whether a
    transaction ends with it. ``checksum`` is that of all up to here."""

    number: int
    page: int
    commits: bool
    checksum: Checksum


class Log:
    """The log in a file (empty where there is none), as a context manager. Raises OSError where it
    cannot be read."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._descriptor = None
        head = self._read(0, HEADER.size).ljust(HEADER.size, b"\0")
        magic, _, page_size, _, *salts, first, second = HEADER.unpack(head)
        self._page_size: int = page_size
        self._salts: list[int] = salts
        self._order = ORDERS.get(magic, "")
        self.readable = bool(self._order) and (
            _checksum(head[: HEADER.size - 8], (0, 0), self._order) == (first, second)
        )
        """Whether its header is sound. Nothing else can be asked of it where that is not so."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    @property
    def empty(self) -> bool:
        """Whether nothing was ever written behind the header, which is synced before all else."""
        begin = self._read(0, HEADER.size + FRAME.size)
        return len(begin) <= HEADER.size or not any(begin)

    def pages(self, last: int) -> set[int]:
        """The pages that the first ``last`` frames hold."""
        return {frame.page for frame in self._frames(1) if frame.number <= last}

    def goes_on_after(self, last: int) -> bool:
        """Whether a transaction behind the frame ``last``, where SQLite's reading ends, was
        committed: it is if another was written on to it.

        One that nothing follows was perhaps never synced. What a commit that failed left behind is
        overwritten by the next one, which does not go on from it.
        """
        before: Frame | None = None
        for frame in self._frames(last + 1):
            follows = before is not None and before.number + 1 == frame.number
            if before and follows and self._after(before, frame) == frame.checksum:
                return True
            before = frame if frame.commits else None
        return False

    def _frames(self, first: int) -> Iterator[Frame]:
        """The frames from number ``first`` on, but for those from before the log began anew."""
        number = first
        while len(head := self._read(self._place(number), FRAME.size)) == FRAME.size:
            page, size, *salts, one, other = FRAME.unpack(head)
            if salts == self._salts:
                yield Frame(number, page, size > 0, (one, other))
            number += 1

    def _read(self, at: int, size: int) -> bytes:
        return b"" if self._descriptor is None else os.pread(self._descriptor, size, at)

    def _place(self, number: int) -> int:
        return HEADER.size + (number - 1) * (FRAME.size + self._page_size)

    def _after(self, before: Frame, frame: Frame) -> Checksum:
        raw = self._read(self._place(frame.number), FRAME.size + self._page_size)
        return _checksum(raw[:8] + raw[FRAME.size :], before.checksum, self._order)


def _checksum(content: bytes, before: Checksum, order: str) -> Checksum:
    """SQLite's checksum of ``content`` (a multiple of 8 bytes), going on from ``before``."""
    first, second = before
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for one, other in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
