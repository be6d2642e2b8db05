"""Statements that are run for many rows, without what SQLAlchemy and the driver do anew for each of
them: that would take longer than the database itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Insert, Select, Update

Statement = Insert | Update | Select[Any]

TOGETHER = 50
"""Rows that one INSERT takes: SQLite's driver begins and ends a statement for each row, else."""

_POSITIONAL = re.compile(r"(INSERT INTO .* VALUES )(\([?, ]+\))")


class Prepared:
    """A statement as the driver takes it: its text, and how a row becomes its parameters."""

    def __init__(self, statement: Statement, dialect: Dialect, names: tuple[str, ...]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=names)
        self.text = str(compiled)
        insert = _POSITIONAL.fullmatch(self.text)
        self.together = insert[1] + ", ".join([insert[2]] * TOGETHER) if insert else ""
        self._named = not compiled.positional
        self._names = tuple(compiled.positiontup or names)
        self._values = itemgetter(*self._names)
        self._encoders: list[tuple[int, Callable[[Any], Any]]] = []
        for place, name in enumerate(self._names):
            kind = compiled.binds[name].type.dialect_impl(dialect)
            if (encoder := kind.bind_processor(dialect)) is not None:
                self._encoders.append((place, encoder))

    def parameters(self, row: Mapping[str, Any]) -> Any:
        values = list(self._values(row))
        for place, encoder in self._encoders:
            values[place] = encoder(values[place])
        return dict(zip(self._names, values, strict=True)) if self._named else tuple(values)


_prepared = lru_cache(maxsize=64)(Prepared)


def run_for_each(
    connection: Connection, statement: Statement, rows: Sequence[Mapping[str, Any]]
) -> CursorResult[Any]:
    """Runs ``statement``, which its caller keeps and which is compiled once, for each of ``rows``:
    at least one, all with the same keys in the same order, two or more."""
    prepared = _prepared(statement, connection.dialect, tuple(rows[0]))
    return connection.exec_driver_sql(prepared.text, [prepared.parameters(row) for row in rows])


def rows_of(
    connection: Connection, statement: Select[Any], values: Mapping[str, Any]
) -> Sequence[Any]:
    """What ``statement``, which its caller keeps, finds for two values or more; each row as the
    driver gives it."""
    prepared = _prepared(statement, connection.dialect, tuple(values))
    return connection.exec_driver_sql(prepared.text, prepared.parameters(values)).fetchall()


def insert_all(
    connection: Connection, statement: Insert, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Inserts ``rows``, which are as for `run_for_each`, or none: many at once where that is
    faster."""
    if not rows:
        return
    prepared = _prepared(statement, connection.dialect, tuple(rows[0]))
    parameters = [prepared.parameters(row) for row in rows]
    one_by_one = len(parameters) % TOGETHER if prepared.together else len(parameters)
    if one_by_one:
        connection.exec_driver_sql(prepared.text, parameters[:one_by_one])
    for start in range(one_by_one, len(parameters), TOGETHER):
        some = parameters[start : start + TOGETHER]
        connection.exec_driver_sql(prepared.together, tuple(chain.from_iterable(some)))
