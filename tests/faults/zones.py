"""Time zone data that a test makes up: the form is that of RFC 9636, without any table, so that the
rule at its end holds for all time."""

from __future__ import annotations

import struct
from datetime import timedelta
from pathlib import Path


def write_zone(directory: Path, name: str, offset: timedelta) -> None:
    """Puts a zone under ``directory`` whose clock is always so far ahead of UTC."""
    seconds = round(offset.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    sign = "-" if seconds >= 0 else ""  # POSIX counts to the west
    rule = f"\n<T>{sign}{hours}:{rest // 60:02}\n".replace("<T>", "<TST>")
    header = struct.pack(">4s1s15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4)
    block = struct.pack(">lbb4s", seconds, 0, 0, b"TST\0")
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes((header + block) * 2 + rule.encode())
