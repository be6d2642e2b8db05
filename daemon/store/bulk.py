"""Statements as the driver takes them, prepared once, without what SQLAlchemy does anew for each of
them and for each row: that would take longer than the database itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Select, Update

from daemon.store.engine import CHUNK, driven

Statement = Insert | Update | Select[Any]

TOGETHER = 50
"""Rows that one INSERT takes: SQLite's driver begins and ends a statement for each row, else."""

_POSITIONAL = re.compile(r"(INSERT INTO .* VALUES )(\([?, ]+\))")


class Prepared:
    """A statement as the driver takes it: its text, how rows of the values of ``names`` become its
    parameters, and how what it finds becomes our values. Of the names, those in ``lists`` stand for
    as many values each."""

    def __init__(
        self,
        statement: Statement,
        dialect: Dialect,
        names: tuple[str, ...],
        lists: tuple[tuple[str, int], ...] = (),
    ) -> None:
        if lists:
            statement = statement.params({name: [None] * size for name, size in lists})
        compiled = statement.compile(
            dialect=dialect, column_keys=names, compile_kwargs={"render_postcompile": bool(lists)}
        )
        kinds = {name: compiled.binds[name].type for name in names}
        for name, size in lists:
            kind = kinds.pop(name)
            kinds |= {f"{name}_{number}": kind for number in range(1, size + 1)}
        given = list(kinds)
        self.text = str(compiled)
        insert = _POSITIONAL.fullmatch(self.text)
        self.together = insert[1] + ", ".join([insert[2]] * TOGETHER) if insert else ""
        self._names = None if compiled.positional else given
        self._order = [given.index(name) for name in compiled.positiontup or given]
        self._encoders: list[tuple[int, Callable[[Any], Any]]] = []
        for place, kind in enumerate(kinds.values()):
            encoder = kind.dialect_impl(dialect).bind_processor(dialect)
            if encoder is not None:
                self._encoders.append((place, encoder))
        self._decoders: list[tuple[int, Callable[[Any], Any]]] = []
        if isinstance(statement, Select):
            for place, column in enumerate(statement.selected_columns):
                decoder = column.type.dialect_impl(dialect).result_processor(dialect, None)
                if decoder is not None:
                    self._decoders.append((place, decoder))

    def parameters(self, rows: Iterable[Iterable[Any]]) -> list[Any]:
        """Rows of the values in the order of the names, as the driver takes them. One column after
        the other is converted, which is quicker than row by row."""
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for place, encoder in self._encoders:
            columns[place] = list(map(encoder, columns[place]))
        parameters = zip(*[columns[place] for place in self._order], strict=True)
        if self._names is None:
            return list(parameters)
        return [dict(zip(self._names, each, strict=True)) for each in parameters]

    def values(self, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """Rows as the driver gives them, with our values in them."""
        if not rows or not self._decoders:
            return rows
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for place, decoder in self._decoders:
            columns[place] = list(map(decoder, columns[place]))
        return list(zip(*columns, strict=True))


_prepared = lru_cache(maxsize=128)(Prepared)


def run_for_each(
    connection: Connection, statement: Insert | Update, rows: Sequence[Mapping[str, Any]]
) -> int:
    """Runs ``statement``, which its caller keeps and which is compiled once, for each of ``rows``:
    at least one, all with the same keys in the same order. Returns how many rows of the database
    that changed."""
    names = tuple(rows[0])
    return run_with(connection, statement, names, (row.values() for row in rows))


def run_with(
    connection: Connection,
    statement: Insert | Update,
    names: tuple[str, ...],
    rows: Iterable[Iterable[Any]],
) -> int:
    """As `run_for_each`, for rows of the values of the parameters ``names``."""
    prepared = _prepared(statement, connection.dialect, names)
    parameters = prepared.parameters(rows)
    return int(driven(connection, prepared.text, parameters, many=True).rowcount)


def rows_of(
    connection: Connection, statement: Select[Any], values: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """What ``statement``, which its caller keeps, finds for the values. A list of them, one to
    `CHUNK`, is for an `expanding` parameter; `chunks` gives such."""
    listed: list[Any] = []
    lists: list[tuple[str, int]] = []
    for name, value in values.items():
        if isinstance(value, list):
            # The last value fills it up to a power of two, so that there are few statements.
            size = min(1 << (len(value) - 1).bit_length(), CHUNK)
            listed += value + value[-1:] * (size - len(value))
            lists.append((name, size))
    single = [value for value in values.values() if not isinstance(value, list)]
    prepared = _prepared(statement, connection.dialect, tuple(values), tuple(lists))
    (parameters,) = prepared.parameters([single + listed])
    return prepared.values(driven(connection, prepared.text, parameters).fetchall())


def insert_all(
    connection: Connection,
    statement: Insert,
    names: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
) -> None:
    """Inserts ``rows`` of the values of the columns ``names``, or none: many at once where that is
    faster. Its caller keeps ``statement``."""
    if not rows:
        return
    prepared = _prepared(statement, connection.dialect, names)
    parameters = prepared.parameters(rows)
    one_by_one = len(parameters) % TOGETHER if prepared.together else len(parameters)
    if one_by_one:
        driven(connection, prepared.text, parameters[:one_by_one], many=True)
    for start in range(one_by_one, len(parameters), TOGETHER):
        some = parameters[start : start + TOGETHER]
        driven(connection, prepared.together, tuple(chain.from_iterable(some)))
