"""A log in journald's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): each line a datagram of
fields, so that `journalctl DISPATCH_ID=…` finds all that was told of a dispatch."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator, Mapping

from daemon.errors import UsageError
from daemon.journal.plain import escaped, shown_fields
from daemon.log_line import Line, LogLevel, Value

SOCKET = "/run/systemd/journal/socket"

PATIENCE = 0.5
"""Seconds that a line waits for a journald whose queue is full; after one that waited in vain none
does, until one gets through."""

REPEATED_MAX = 200
"""Values that one field has: journald takes 1,024 fields in all."""

PRIORITIES = {
    LogLevel.DEBUG: 7,
    LogLevel.INFO: 6,
    LogLevel.WARNING: 4,
    LogLevel.ERROR: 3,
}
"""syslog's numbers."""

NAMES = {"message": "DETAIL"}
"""Fields that journald has another use for."""

IDS = {
    "dispatches": "DISPATCH_ID",
    "supersedes": "DISPATCH_ID",
    "replay_of": "DISPATCH_ID",
    "made": "DISPATCH_ID",
    "duplicate_of": "EVENT_ID",
    "entries": "ENTRY",
}
"""Fields that name others than the one a line is of: they are found by these as well."""

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class Journald:
    """Sends to journald. Raises UsageError where there is none."""

    def __init__(self, path: str = "") -> None:
        self._path = path or SOCKET
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        seconds, part = divmod(PATIENCE, 1)
        wait = struct.pack("ll", int(seconds), int(part * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
        self._lost = 0
        try:
            # Each line is addressed anew below: another journald may be there by then.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as trial:
                trial.connect(self._path)
        except OSError as error:
            self.close()
            raise UsageError(
                f"journald does not listen at {self._path} ({error.strerror}); where there is no "
                "journal set DISPATCHD_LOG_FORMAT to json or text"
            ) from None

    def put(self, line: Line) -> None:
        """Raises OSError where there is no journald any more. A line that a full one does not take
        is lost, and their number told with the next."""
        try:
            self._send(datagram(line), socket.MSG_DONTWAIT if self._lost else 0)
        except BlockingIOError:
            self._lost += 1
            return
        if self._lost:
            count, self._lost = self._lost, 0
            self.put(Line("lines lost", LogLevel.ERROR, {"count": count}))

    def close(self) -> None:
        self._socket.close()

    def _send(self, message: bytes, flags: int) -> None:
        try:
            self._socket.sendmsg([message], [], flags, self._path)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            # Too much for a datagram: it is handed over as a file without a name that nobody can
            # change any more.
            file = os.memfd_create("dispatchd-line", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            try:
                with os.fdopen(file, "wb", closefd=False) as memory:
                    memory.write(message)
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", file))
                self._socket.sendmsg([], [rights], flags, self._path)
            finally:
                os.close(file)


def datagram(line: Line) -> bytes:
    """The line as journald reads it."""
    told = [(name, value) for name, value in line.fields.items() if value not in (None, [])]
    fields: list[tuple[str, str]] = [
        ("MESSAGE", f"{line.event} {shown_fields(told)}".rstrip()),
        ("PRIORITY", str(PRIORITIES[line.level])),
        ("SYSLOG_IDENTIFIER", "dispatchd"),
        ("EVENT", line.event),
        *_named(dict(told)),
    ]
    return b"".join(_field(name, value.encode()) for name, value in fields)


def _named(fields: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        values = value[:REPEATED_MAX] if isinstance(value, list) else [value]
        own = NAMES.get(name, name.upper())
        for each in values:
            text = escaped(str(each))
            yield own, text
            if name in IDS:
                yield IDS[name], text


def _field(name: str, value: bytes) -> bytes:
    if b"\n" not in value:
        return b"%b=%b\n" % (name.encode(), value)
    return b"%b\n%b%b\n" % (name.encode(), struct.pack("<Q", len(value)), value)
