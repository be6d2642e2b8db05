"""Rows and fields laid out as lines: for a terminal of some width, and, where there is none, for
the programs that read a pipe, whole and one row a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

GAP, NARROW_GAP = 3, 2
"""Spaces between two columns."""

MOMENTS = ("created", "at")
"""Columns of instants, which lose first what a reader knows."""

LEFT_OUT = ("repository", "tries")
"""What is left out next; ``--json``, or one of them in full, still has it."""

CUT = ("schedule", "source", "entry", "event_type", "repository", "subject")
"""What may end in an ellipsis at last, down to so many columns. All else is there to be copied."""
CUT_TO = 6


@dataclass(slots=True)
class Listing:
    """Rows under ``columns``. A column ``why`` is free text."""

    columns: tuple[str, ...]
    rows: list[list[Text]] = field(default_factory=list)

    def add(self, *cells: str | Text) -> None:
        """One row; a cell is one line."""
        texts = [Text(cell) if isinstance(cell, str) else cell for cell in cells]
        self.rows.append([Text(" ".join(t.plain.split("\n")), style=t.style) for t in texts])

    def lines(self, width: int | None, now: datetime) -> Iterator[Text]:
        """``width`` is that of the terminal in columns; None where there is none. What does not
        fit there: ``why`` goes below its row, then the date of an instant of today goes, then the
        columns that matter least."""
        cells = {name: [row[i] for row in self.rows] for i, name in enumerate(self.columns)}
        below: list[Text] = []
        gap = GAP
        if width is not None and _total(_widths(cells), gap) > width:
            gap = NARROW_GAP
            below = cells.pop("why", [])
        for name in MOMENTS:
            if name in cells and not _fits(cells, gap, width):
                cells[name] = [_short(moment, now) for moment in cells[name]]
        for name in LEFT_OUT:
            if name in cells and not _fits(cells, gap, width):
                del cells[name]
        widths = _widths(cells)
        if width is not None:
            _cut(widths, gap, width)
        yield _line([Text(name, style="bold") for name in cells], [*widths.values()], gap)
        for index in range(len(self.rows)):
            yield _line([column[index] for column in cells.values()], [*widths.values()], gap)
            if width is not None and below and below[index]:
                for part in _wrapped(below[index], width - NARROW_GAP):
                    yield _line([Text(), part], [0, 0], NARROW_GAP)


@dataclass(slots=True)
class Fields:
    """Names with their values, of which each may have several lines. ``least`` is how many columns
    the names take at least, as those of others that are shown above."""

    rows: list[tuple[str, Text]] = field(default_factory=list)
    least: int = 0

    def add(self, name: str, value: str | Text) -> None:
        self.rows.append((name, Text(value) if isinstance(value, str) else value))

    def lines(self, width: int | None, now: datetime) -> Iterator[Text]:
        """As for a listing; what does not fit is folded beside its name."""
        names = max((cell_len(name) for name, _ in self.rows), default=0)
        names = max(names, self.least)
        for name, value in self.rows:
            parts = [*value.split("\n", allow_blank=True)]
            if width is not None:
                room = max(width - names - GAP, 1)
                parts = [part for whole in parts for part in _wrapped(whole, room)]
            for label, part in zip_longest([name], parts, fillvalue=""):
                yield _line([Text(str(label)), Text() + part], [names, 0], GAP)


def _widths(cells: dict[str, list[Text]]) -> dict[str, int]:
    return {
        name: max(cell_len(name), *(cell.cell_len for cell in column), 0)
        for name, column in cells.items()
    }


def _total(widths: dict[str, int], gap: int) -> int:
    return sum(widths.values()) + gap * (len(widths) - 1)


def _fits(cells: dict[str, list[Text]], gap: int, width: int | None) -> bool:
    return width is None or _total(_widths(cells), gap) <= width


def _cut(widths: dict[str, int], gap: int, width: int) -> None:
    """Takes from the widest of those columns that may be cut, until all fit."""
    while _total(widths, gap) > width:
        widest = max((name for name in CUT if name in widths), key=widths.__getitem__, default="")
        if not widest or widths[widest] <= CUT_TO:
            return
        widths[widest] -= 1


def _line(cells: list[Text], widths: list[int], gap: int) -> Text:
    line = Text()
    for cell, width in zip(cells[:-1], widths, strict=False):
        line += _padded(_ended(cell, width), width + gap)
    last = cells[-1]
    line += _ended(last, widths[-1]) if widths[-1] else last
    line.rstrip()
    return line


def _ended(cell: Text, width: int) -> Text:
    """The cell, with an ellipsis at its end where it is too wide."""
    if cell.cell_len <= width:
        return cell
    return Text(set_cell_size(cell.plain, width - 1) + "…", style=cell.style)


def _padded(cell: Text, width: int) -> Text:
    return cell + Text(" " * (width - cell.cell_len))


def _wrapped(text: Text, width: int) -> list[Text]:
    return [*text.wrap(Console(width=width), max(width, 1), overflow="fold")] or [Text()]


def _short(moment: Text, now: datetime) -> Text:
    """Of ``2026-11-23 04:00:00Z`` the time; the date as well where it is not today's."""
    shown = moment.plain
    today = shown.startswith(f"{now:%Y-%m-%d} ")
    return Text(shown[11:] if today or not shown else f"{shown[5:16]}Z")
