"""A short run of what ``make fuzz`` does at length, and doctored targets, so that a fault is known
to be found."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

import daemon.cloudevents
from tests.fuzz.message import Message
from tests.fuzz.mutation import INPUT_MAX, inputs
from tests.fuzz.targets import TARGETS, Target
from tests.fuzz.watch import Report, Watch

pytestmark = pytest.mark.no_cover

INPUTS = {"expression": 300}
USUAL = 2000


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found_by_chance(name: str, chance: random.Random) -> None:
    target = TARGETS[name]
    watch = Watch(name, target, patience=3)
    for data in islice(inputs(target.seeds(), target.words, chance), INPUTS.get(name, USUAL)):
        watch.run(data)
    assert not watch.findings, [(each.detail, each.data) for each in watch.findings.values()]
    assert watch.slowest > 0


def test_changed_inputs_come_in_the_same_order_again_and_are_bounded() -> None:
    target = TARGETS["body"]

    def made(seed: int) -> list[bytes]:
        chance = random.Random(seed)  # noqa: S311 - it guards nothing
        return list(islice(inputs(target.seeds(), target.words, chance), 500))

    assert made(1) == made(1) != made(2)
    assert max(map(len, made(1))) <= INPUT_MAX


def test_an_input_reads_like_a_message() -> None:
    message = Message.parse(b"first\nA: b\na:c\nD\n\nbody\n\nmore")
    assert message == Message("first", {"a": "b, c", "d": ""}, b"body\n\nmore")
    assert Message.parse(b"\xff") == Message("\udcff", {}, b"")


def doctored(name: str) -> Target:
    def run(data: bytes) -> None:
        match name:
            case "raises":
                assert b"!" not in data, "an exclamation mark"
            case _:
                end = time.thread_time() + 0.02
                while b"!" in data and time.thread_time() < end:
                    pass

    return Target(run, lambda: [b"?"], (b"!",), seconds=0.01)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("raises", "AssertionError in run, test_fuzz.py"),
        ("takes long", "time"),
    ],
)
def test_what_is_wrong_is_found_once_and_its_input_kept(
    name: str, place: str, tmp_path: Path
) -> None:
    target = doctored(name)
    watch = Watch(name, target)
    for data in (b"?", b"?!", b"!", b"?"):
        watch.run(data)
    report = tmp_path / "report.json"
    watch.write(report)
    found = Report.read(report)
    assert found.count == 4
    ((where, file),) = found.findings.items()
    assert where.startswith(place)
    assert Path(file).read_bytes() == b"?!"
    assert Path(file).with_suffix(".txt").read_text().startswith(where)


GROWING = """
from tests.fuzz.targets import Target
from tests.fuzz.watch import Watch

kept = []
watch = Watch("grows", Target(lambda data: kept.append(data * 10**8), lambda: [], (), seconds=5))
watch.run(b"")
assert not watch.findings
watch.run(b"abcd")
assert list(watch.findings) == ["memory"], watch.findings
"""


def test_an_input_that_takes_much_memory_is_found() -> None:
    """In a process of its own, started by a small one: a peak that was there before would hide it,
    and one inherits that of who starts it (Linux, setmax_mm_hiwater_rss in fs/exec.c)."""
    start = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, GROWING]
    subprocess.run(start, check=True, timeout=60)


def test_a_pattern_that_takes_quadratic_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one did that is long mended."""
    slow = re.compile(r'"((?:[^"\\]|\\.)*)(")', re.DOTALL)
    target = TARGETS["cloudevents"]
    data = b"\nce-specversion: 1.0\nce-id: " + b'\\"' * 3500
    mended, broken = Watch("cloudevents", target), Watch("cloudevents", target)
    mended.run(data)
    monkeypatch.setattr(daemon.cloudevents, "_QUOTED", slow)
    broken.run(data)
    assert (list(mended.findings), list(broken.findings)) == ([], ["time"])


def test_a_run_shows_a_table_and_ends_in_order(tmp_path: Path) -> None:
    directory = tmp_path / "fuzz"
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--minutes", "0.01", "--target", "addresses",
         "--directory", directory],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    row = re.search(r"^\| addresses \| ([\d,]+) \| \d+ ms \| 0 \|$", done.stdout, re.MULTILINE)
    assert row
    assert Report.read(directory / "addresses.json").count == int(row[1].replace(",", "")) > 0
