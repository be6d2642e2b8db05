"""The benchmark measures: each of its rows comes out of a quick run, and a figure that is not as it
should be is told."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import ROWS, main
from bench.home import STRIPE_SECRET, WEBHOOK_SECRET
from bench.load import Generator, send_all
from bench.machine import filesystem, real_disk
from bench.payloads import pull_request, push
from bench.peers.wire import Copies, Wire
from bench.plan import Plan
from bench.process import BenchError, module, served
from bench.request import MARK, SIGNATURE, Request, Seal
from bench.row import Row, at_least, at_most
from bench.rows import intake
from bench.rows.intake import PULL_REQUEST_BYTES, PUSH_BYTES
from bench.rows.memory import growth
from bench.rows.schedules import ZONES, distinct
from bench.table import show
from bench.turns import in_turns
from daemon.cron import parse as parse_cron
from daemon.secret import Secret
from daemon.signatures import Request as SignedRequest
from daemon.signatures.catalogue import parse

pytestmark = pytest.mark.no_cover

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
EXPLAINED = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
NEEDS = {"webhook": ("webhook", "curl")}
NEEDS_WRK = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")


def measured(tmp_path: Path, *arguments: str) -> list[dict[str, Any]]:
    """The rows of a quick run, as it writes them."""
    file = tmp_path / "result.json"
    assert main([*arguments, "--quick", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    assert isinstance(rows, list)
    return rows


@pytest.mark.parametrize("name", ROWS)
def test_every_row_can_be_measured(name: str, tmp_path: Path) -> None:
    """In small, with real processes, and without wrk, which knows no parts of a second."""
    if not all(shutil.which(program) for program in NEEDS.get(name, ())):
        pytest.skip("what it measures beside us is not installed")
    rows = measured(tmp_path, name, "--own-load")
    names = {row["name"] for row in rows}
    assert names
    assert all(each.startswith(name) for each in names)
    assert names <= EXPLAINED
    assert all(row["least"] <= row["figure"] <= row["most"] for row in rows)
    assert all(row["met"] is None for row in rows)


def test_every_row_explained_is_measured() -> None:
    assert {name for name in EXPLAINED if not name.startswith(tuple(ROWS))} == set()


@NEEDS_WRK
def test_the_load_of_wrk_is_accepted_too_and_no_delivery_of_it_is_a_duplicate(
    tmp_path: Path,
) -> None:
    """The row compares the verdicts on disk with the answers, and would fail."""
    (row,) = measured(tmp_path, "intake-push")
    assert row["figure"] > 0


def test_a_row_that_there_is_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["intake", "outtake"])
    assert ended.value.code == 2
    assert "there is no row outtake" in capsys.readouterr().err


def test_the_deliveries_have_the_size_that_is_said() -> None:
    assert PUSH_BYTES - 1 <= len(push(PUSH_BYTES)) <= PUSH_BYTES
    assert len(pull_request(PULL_REQUEST_BYTES)) == PULL_REQUEST_BYTES


def test_a_filesystem_without_a_disk_is_told_from_one_with() -> None:
    """On tmpfs an fsync costs nothing, and every figure of a commit would be a lie."""
    assert filesystem(Path("/proc/self")) == "proc"
    assert filesystem(real_disk()) not in {"tmpfs", "ramfs", "proc"}


def test_a_goal_holds_up_to_its_bound() -> None:
    assert Row.of("a", "", [1, 3, 2], goal=at_least(2)).met is True
    assert Row.of("a", "", [1, 3, 2], goal=at_least(2.1)).met is False
    assert Row.of("a", "", [1, 3, 2], goal=at_most(2)).met is True
    assert Row.of("a", "", [1, 3, 2], goal=at_most(1.9)).met is False
    assert Row.of("a", "", [1, 3, 2]).met is None


def test_a_missed_goal_is_told_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    missed = Row.of("slow", "what is slow", [0.1, 0.2, 0.3], goal=at_least(0.5))
    met = Row.of("fast", "what is fast", [0.7], goal=at_least(0.5))
    show({"machine": "this one"}, [missed, met], quick=False)
    said = capsys.readouterr().out
    assert re.search(r"slow .* 0\.200 .* 0\.100 – 0\.300 .* ≥ 0\.500 .* MISSED", said)
    assert re.search(r"fast .* 0\.700 .* met", said)
    assert "missed: slow\n" in said


def test_a_comparison_takes_turns_and_divides_what_was_measured_together(tmp_path: Path) -> None:
    plan = Plan(tmp_path, 3, quick=False, generator=Generator.found(own=True))
    order: list[str] = []
    ours, theirs = iter([10.0, 40.0, 30.0]), iter([100.0, 200.0, 50.0])

    def one() -> float:
        order.append("ours")
        return next(ours)

    def other() -> float:
        order.append("theirs")
        return next(theirs)

    turns = in_turns(plan, "race", one, other)
    assert order == ["theirs", "ours"] * 3
    assert turns.ratios == pytest.approx([0.1, 0.2, 0.6])
    assert turns.beside("we", "they") == {"we": "30/s", "they": "100/s"}


def test_no_two_of_ten_thousand_schedules_are_the_same() -> None:
    entries = [distinct(number) for number in range(10_000)]
    assert len({parse_cron(each["schedule"]).identity for each in entries}) == 10_000
    assert {each["timezone"] for each in entries} == set(ZONES)
    assert len(ZONES) == 12


def test_growth_is_that_of_the_line_and_not_of_one_sample() -> None:
    assert growth([5.0, 5.0, 5.0]) == 0
    assert growth([1.0, 2.0, 3.0, 4.0]) == pytest.approx(3)
    assert growth([5.0, 5.0, 5.0, 9.0, 5.0, 5.0, 5.0]) == pytest.approx(0)


def test_an_answer_other_than_202_spoils_a_load(tmp_path: Path) -> None:
    """The bare handler takes POST only."""
    with served(module("peers.bare"), tmp_path / "log") as bare:
        assert send_all(bare.url, Request("/", body=b"{}"), tmp_path, 10).answered == 10
        with pytest.raises(BenchError, match=r"10 requests to .* were not answered 202"):
            send_all(bare.url, Request("/", method="GET"), tmp_path, 10)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchError, match=r"No module named bench\.nothing"),
        served(module("nothing"), tmp_path / "log"),
    ):
        pass


def copies(request: Request, directory: Path, count: int) -> list[tuple[str, bytes]]:
    """What a load sends: ids and bytes."""
    with request.prepared(directory, count) as prepared:
        made = Copies(prepared.file, prepared.prefix)
        return [made.next() for _ in range(count)]


def test_each_copy_of_a_request_has_an_id_of_its_own(tmp_path: Path) -> None:
    ids, raws = zip(*copies(Request("/a", {"X-Id": MARK}, b"{}"), tmp_path, 3), strict=True)
    assert len(set(ids)) == 3
    assert all(len(id_) == 36 for id_ in ids)
    assert all(f"X-Id: {id_}\r\n".encode() in raw for id_, raw in zip(ids, raws, strict=True))
    assert list(tmp_path.iterdir()) == []


SIGNED = {
    "push": (intake.push_request, "github", WEBHOOK_SECRET),
    "pull_request": (intake.pull_request_request, "github", WEBHOOK_SECRET),
    "stripe": (intake.stripe_request, "stripe", STRIPE_SECRET),
}


@pytest.mark.parametrize("name", SIGNED)
def test_each_copy_has_a_body_of_its_own_and_is_believed(name: str, tmp_path: Path) -> None:
    """Else it would be refused, or a duplicate of the one before."""
    make, scheme, secret = SIGNED[name]
    bodies = set()
    for id_, raw in copies(make(), tmp_path, 3):
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode().splitlines()[1:]]
        headers = {name.lower(): value for name, _, value in lines}
        assert int(headers["content-length"]) == len(body)
        request = SignedRequest("POST", "/", headers, {}, body)
        proof = parse({"scheme": scheme})
        assert proof.verify(request, [Secret(secret, "env:SECRET")], datetime.now(UTC)) is None
        assert id_ in str(proof.delivery_id(request, json.loads(body)))
        bodies.add(body)
    assert len(bodies) == 3


@pytest.mark.parametrize("own", [True, pytest.param(False, marks=NEEDS_WRK)])
def test_a_load_that_is_not_what_it_should_be_fails(
    own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """wrk by itself minds no status below 400, and the bare handler no signature."""
    monkeypatch.setattr("bench.load.SIGNED_PER_SECOND", 10)
    generator = Generator.found(own=own)
    signed = Request("/", {"X-Signature": SIGNATURE}, b"{}", seal=Seal("secret"))
    with served(module("peers.bare"), tmp_path / "log") as bare:
        with pytest.raises(BenchError, match="raise SIGNED_PER_SECOND"):
            generator.load(bare.url, signed, tmp_path, 0.2)
        with pytest.raises(BenchError, match=r"requests to .* were not answered 200"):
            generator.load(bare.url, Request("/", body=b"{}"), tmp_path, 0.2, 200)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_is_known_to_be_whole_however_it_is_cut(size: int) -> None:
    statuses: list[int] = []
    wire = Wire(lambda _, status: statuses.append(status))
    answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 11\r\nServer: x\r\n\r\nhello world"
    pieces = [answer[start : start + size] for start in range(0, len(answer), size)]
    for piece in pieces[:-1]:
        wire.data_received(piece)
    assert statuses == []
    wire.data_received(pieces[-1])
    assert statuses == [202]
