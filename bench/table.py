"""The result for people: one row a figure."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from bench.row import Row, number

FILE_WIDTH = 120
"""Columns where the result does not go to a terminal."""

MET = {True: "met", False: "MISSED", None: "–"}


def show(machine: Mapping[str, str], rows: Sequence[Row], *, quick: bool) -> None:
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    for name, value in machine.items():
        console.print(f"{name}: {value}", highlight=False, markup=False)
    table = Table("row", "figure", "min – max", "goal", "", "beside")
    for row in rows:
        figures = (_figure(row), f"{number(row.least)} – {number(row.most)}")
        beside = ", ".join(f"{name} {value}" for name, value in row.beside.items())
        goal = "–" if row.goal is None else f"{row.goal} {row.unit}".strip()
        style = "bold red" if row.met is False else None
        table.add_row(f"{row.name}\n{row.what}", *figures, goal, MET[row.met], beside, style=style)
    console.print(table)
    missed = [row.name for row in rows if row.met is False]
    if quick:
        console.print("A quick run shows that the rows work; its figures mean nothing.")
    elif missed:
        console.print(f"missed: {', '.join(missed)}", style="bold red")


def _figure(row: Row) -> str:
    return f"{number(row.figure)} {row.unit}".strip()
