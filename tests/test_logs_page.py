"""The page of the log has a row for every line that there is, with its levels and its fields."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from msgspec.structs import replace

from daemon.facts import Fact, RunSeen
from daemon.journal.pace import ALLOWANCES
from daemon.journal.telling import lines_of
from tests.log_facts import DISPATCH, RUN, every_fact

PAGE = (Path(__file__).parents[1] / "docs" / "logs.md").read_text("utf-8")


@dataclass(frozen=True)
class Row:
    events: tuple[str, ...]
    levels: frozenset[str]
    fields: frozenset[str]


def rows() -> list[Row]:
    found = []
    section = PAGE.split("## Every line")[1]
    for line in section.splitlines():
        if line.startswith("| `"):
            events, levels, _, fields = line.strip("| ").split(" | ")
            code = re.compile(r"`([^`]+)`")
            found.append(
                Row(
                    tuple(code.findall(events)),
                    frozenset(levels.split(", ")),
                    frozenset(code.findall(fields)),
                )
            )
    return found


BY_EVENT = {event: row for row in rows() for event in row.events}


def facts() -> list[Fact]:
    failed = replace(RUN, status="completed", conclusion="failure")
    return [*every_fact(), RunSeen(DISPATCH, failed, RUN), *every_fact("")]


def test_a_fact_of_every_kind_is_tried() -> None:
    assert {type(fact) for fact in facts()} == set(get_args(Fact))


def test_every_line_stands_on_the_page_with_its_level_and_its_fields() -> None:
    for fact in facts():
        for line in lines_of(fact):
            row = BY_EVENT[line.event]
            assert line.level.name.lower() in row.levels, line
            assert line.fields.keys() <= row.fields, line


def test_the_page_names_no_line_level_or_field_that_there_is_not() -> None:
    levels, fields = defaultdict[Row, set[str]](set), defaultdict[Row, set[str]](set)
    events = set()
    for fact in facts():
        for line in lines_of(fact):
            events.add(line.event)
            levels[BY_EVENT[line.event]].add(line.level.name.lower())
            fields[BY_EVENT[line.event]] |= line.fields.keys()
    others = {"config warning", "lines kept back", "lines lost", "library", "crashed"}
    assert events | others == BY_EVENT.keys()
    for row in levels:
        assert levels[row] == row.levels, row.events
        assert fields[row] == row.fields, row.events


def test_the_page_says_how_many_lines_a_flood_leaves() -> None:
    table = PAGE.split("## Floods")[1].split("## Every line")[0]
    for event, allowances in ALLOWANCES.items():
        (row,) = (line for line in table.splitlines() if line.startswith(f"| `{event}`"))
        shown = [tuple(map(float, re.findall(r"\d+", cell))) for cell in row.split("|")[2:-1]]
        assert [each for each in shown if each] == [(a.burst, a.per_minute) for a in allowances]
