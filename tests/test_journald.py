"""journald's native protocol: against a socket that reads it back, and against the real journald
where that can be run (as root, in a mount namespace of its own)."""

from __future__ import annotations

import array
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.event import Event, Outcome, Verdict
from daemon.facts import AttemptMade, EventRecorded
from daemon.journal import Journal, native
from daemon.journal.native import Journald
from daemon.log_line import Line, LogLevel
from tests.log_facts import ATTEMPT, DELIVERY, DISPATCH

PROGRAM = Path("/lib/systemd/systemd-journald")

Fields = list[tuple[str, str]]


@contextmanager
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "socket"))
        yield door


@contextmanager
def sending(tmp_path: Path) -> Iterator[Journald]:
    with closing(Journald(str(tmp_path / "socket"))) as journald:
        yield journald


def unread(door: socket.socket) -> Iterator[dict[str, str]]:
    """All that is still to be read."""
    door.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield dict(read(door))


def read(door: socket.socket) -> Fields:
    """The next message, as systemd.io/JOURNAL_NATIVE_PROTOCOL has it."""
    message, rights, _, _ = door.recvmsg(1 << 20, socket.CMSG_SPACE(4))
    for _, kind, given in rights:
        assert kind == socket.SCM_RIGHTS
        (file,) = array.array("i", given)
        with os.fdopen(file, "rb") as memory:
            message = os.pread(memory.fileno(), 1 << 26, 0)
            with pytest.raises(OSError, match="not permitted"):
                os.ftruncate(memory.fileno(), 0)  # it is sealed, or journald would not take it
    return parsed(message)


def parsed(message: bytes) -> Fields:
    found = []
    while message:
        line, _, rest = message.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", rest[:8])
            value, rest = rest[8 : 8 + size], rest[8 + size :]
            assert rest.startswith(b"\n")
            rest = rest[1:]
        found.append((name.decode(), value.decode()))
        message = rest
    return found


def test_each_field_of_a_line_is_one_of_the_journal(tmp_path: Path) -> None:
    verdict = Verdict("push", Outcome.DISPATCHED, dispatches=(DISPATCH,), supersedes=("dsp_0",))
    with listening(tmp_path) as door, sending(tmp_path) as journald:
        journal = Journal(journald)
        journal.hear(EventRecorded(Event("evt_1", DELIVERY), (verdict,)))
        journal.hear(AttemptMade(DISPATCH, replace(ATTEMPT, message="no\nway")))
        recorded, attempt = read(door), read(door)
    assert recorded == [
        (
            "MESSAGE",
            "verdict dispatched event_id=evt_1 entry=push dispatches=dsp_1 supersedes=dsp_0",
        ),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "dispatchd"),
        ("EVENT", "verdict dispatched"),
        ("EVENT_ID", "evt_1"),
        ("ENTRY", "push"),
        ("DISPATCHES", "dsp_1"),
        ("DISPATCH_ID", "dsp_1"),
        ("SUPERSEDES", "dsp_0"),
        ("DISPATCH_ID", "dsp_0"),
    ]
    assert {"DISPATCH_ID": "dsp_1", "PRIORITY": "4", "DETAIL": r"no\nway"}.items() <= dict(
        attempt
    ).items()


def test_a_value_of_several_lines_keeps_them() -> None:
    """None of ours has any: but what the protocol needs for them is there."""
    assert parsed(native._field("A", b"one\ntwo") + native._field("B", b"three")) == [  # noqa: SLF001
        ("A", "one\ntwo"),
        ("B", "three"),
    ]


def test_what_is_too_much_for_a_datagram_goes_as_a_sealed_file(tmp_path: Path) -> None:
    large = "x" * 600_000
    with listening(tmp_path) as door, sending(tmp_path) as journald:
        journald.put(Line("trouble", LogLevel.ERROR, {"part": large}))
        assert dict(read(door))["PART"] == large


def test_many_values_stay_below_what_journald_takes(tmp_path: Path) -> None:
    entries = [f"entry-{number}" for number in range(5000)]
    with listening(tmp_path) as door, sending(tmp_path) as journald:
        journald.put(Line("verdict unmatched", LogLevel.INFO, {"entries": entries}))
        assert len(read(door)) < 1024


def test_a_journald_that_does_not_read_holds_up_one_line_and_is_told_what_it_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "PATIENCE", 0.05)
    with listening(tmp_path) as door, sending(tmp_path) as journald:
        for number in range(2000):
            journald.put(Line("stopping", LogLevel.INFO, {"in_flight": number}))
        read_again = [dict(read(door))["IN_FLIGHT"] for _ in range(3)]
        assert read_again == ["0", "1", "2"]
        journald.put(Line("stopping", LogLevel.INFO, {"in_flight": 2000}))
        rest = list(unread(door))
    (lost,) = (each for each in rest if each["EVENT"] == "lines lost")
    taken = 3 + sum(each["EVENT"] == "stopping" for each in rest)
    assert taken + int(lost["COUNT"]) == 2001


def test_another_journald_in_its_place_is_found(tmp_path: Path) -> None:
    with ExitStack() as first:
        first.enter_context(listening(tmp_path))
        with sending(tmp_path) as journald:
            first.close()
            (tmp_path / "socket").unlink()
            journal = Journal(journald)
            journal.tell(Line("stopping", LogLevel.INFO, {"in_flight": 0}))  # no error
            with listening(tmp_path) as door:
                journal.tell(Line("stopping", LogLevel.INFO, {"in_flight": 1}))
                assert dict(read(door))["IN_FLIGHT"] == "1"


TRIAL = """
set -e
mount -t tmpfs none /run; mount -t tmpfs none /var/log
mkdir -p /run/systemd/journal
if ! [ -s /etc/machine-id ]; then
  echo 0123456789abcdef0123456789abcdef >/run/machine-id
  mount --bind /run/machine-id /etc/machine-id
fi
"$JOURNALD" trial 2>/run/journald.log & journald=$!
for _ in $(seq 100); do [ -S /run/systemd/journal.trial/socket ] && break; sleep 0.1; done
"$PYTHON" -m tests.test_journald >&2
journalctl --namespace=trial --sync
journalctl --namespace=trial --output=json DISPATCH_ID=dsp_1
echo ---
journalctl --namespace=trial --output=cat --priority=err
kill $journald; wait $journald
"""


def tell_the_real_one() -> None:
    """Within the namespace of the trial."""
    journal = Journal(Journald("/run/systemd/journal.trial/socket"))
    journal.hear(AttemptMade(DISPATCH, ATTEMPT))
    journal.hear(AttemptMade(replace(DISPATCH, id="dsp_2"), ATTEMPT))
    verdict = Verdict("push", Outcome.DISPATCHED, dispatches=(DISPATCH,))
    journal.hear(EventRecorded(Event("evt_1", DELIVERY), (verdict,)))
    journal.tell(Line("trouble", LogLevel.ERROR, {"part": "x" * 600_000, "message": "no\nway"}))


def test_the_real_journald_takes_it_and_journalctl_finds_all_lines_of_a_dispatch() -> None:
    if os.geteuid() != 0 or not PROGRAM.exists() or not shutil.which("unshare"):
        pytest.skip("journald itself was NOT tried: that takes root, systemd-journald and unshare")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", TRIAL],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHON": sys.executable, "JOURNALD": str(PROGRAM)},
    )
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"journald itself was NOT tried: {done.stderr}")
    assert done.returncode == 0, done.stderr
    found, errors = done.stdout.split("---\n")
    lines = [json.loads(line) for line in found.splitlines()]
    assert [line["EVENT"] for line in lines] == ["attempt accepted", "verdict dispatched"]
    assert lines[0]["MESSAGE"].startswith("attempt accepted event_id=evt_1 dispatch_id=dsp_1")
    assert (lines[0]["ENTRY"], lines[0]["EVENT_ID"], lines[0]["STATUS"]) == ("push", "evt_1", "204")
    assert {line["SYSLOG_IDENTIFIER"] for line in lines} == {"dispatchd"}
    assert "trouble part=xxx" in errors


if __name__ == "__main__":
    tell_the_real_one()
