"""How rows and fields look on a narrow terminal, on a wide one, and in a pipe."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text

from daemon.cli.layout import Fields, Listing
from daemon.simulator import Fault, FaultKind
from tests.inprocess import serving
from tests.shell import Shell

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ID = "dsp_01kaqv3m9d0000000000000001"
WHY = "GitHub answered 404: the repository is not there, or the token may not see it"


def dispatches(*created: str, event_type: str = "release-published") -> Listing:
    rows = Listing(("id", "created", "entry", "repository", "event_type", "state", "tries", "why"))
    for each in created:
        rows.add(ID, each, "nightly-build", "acme/shop", event_type, "dead", "1", WHY)
    return rows


def shown(listing: Listing | Fields, width: int | None) -> list[str]:
    return [line.plain for line in listing.lines(width, NOW)]


def test_on_80_columns_a_dispatch_is_one_line_and_its_reason_stands_below() -> None:
    """The date goes where it is today's, then what matters least; words are cut at their end."""
    assert shown(dispatches("2026-11-23 04:00:00Z", "2026-11-22 04:00:00Z"), 80) == [
        "id                              created       entry         event_type     state",
        f"{ID}  04:00:00Z     nightly-bui…  release-publ…  dead",
        f"  {WHY}",
        f"{ID}  11-22 04:00Z  nightly-bui…  release-publ…  dead",
        f"  {WHY}",
    ]


@pytest.mark.parametrize("width", range(64, 200, 3))
def test_no_line_is_wider_than_the_terminal_and_no_id_is_cut(width: int) -> None:
    lines = shown(dispatches("2026-11-23 04:00:00Z", event_type="公開" * 20), width)
    assert max(map(cell_len, lines)) <= width
    assert lines[1].startswith(f"{ID} ")
    assert WHY.split()[-1] in lines[-1]


@pytest.mark.parametrize("width", [300, None])
def test_where_there_is_room_each_row_is_one_whole_line(width: int | None) -> None:
    rows = dispatches("2026-11-23 04:00:00Z")
    rows.add(ID, "2026-11-23 04:00:00Z", "x", "acme/shop", "two\nlines", "pending", "0", "")
    heading, dead, pending = shown(rows, width)
    assert dead.endswith(f"   {WHY}")
    assert "two lines" in pending
    for line in (heading, dead, pending):
        assert line == line.rstrip()


def test_a_value_in_a_pipe_is_not_folded_and_its_lines_stay_below_each_other() -> None:
    fields = Fields()
    fields.add("id", ID)
    fields.add("body", Text("x" * 300 + "\n\ny"))
    assert shown(fields, None) == [f"id     {ID}", "body   " + "x" * 300, "", "       y"]
    folded = shown(fields, 80)
    assert max(map(len, folded)) <= 80
    assert "".join(line[7:] for line in folded[1:]) == "x" * 300 + "y"


async def test_a_terminal_of_80_columns_gets_lines_of_80(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.environ |= {"COLUMNS": "80", "TERM": "dumb"}
    async with serving(tmp_path) as daemon:
        daemon.simulator.inject(Fault(FaultKind.STATUS, status=404))
        _, sent = await daemon.call("POST", "/dispatch", json={"event_type": "publish-release"})
        terminal, program = os.openpty()
        try:
            ran = await shell.spawn("dispatches", stdout=program)
            lines = os.read(terminal, 4096).decode().splitlines()
        finally:
            os.close(program)
            os.close(terminal)
    assert (ran.code, ran.err) == (0, "")
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[0] == sent["dispatch_id"]
    assert "404" in " ".join(lines[2:])
