"""What the pacing of each lane has counted, so that a restart neither forgets a wait that GitHub
imposed nor begins a new hour."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from sqlalchemy import Connection, select

from daemon.pacing import Spent
from daemon.store import schema
from daemon.store.bulk import run_for_each
from daemon.store.engine import Upsert, insert
from daemon.store.rows import reading

table = schema.budgets


def keep(connection: Connection, spent: Mapping[str, Spent]) -> None:
    """Writes them over those of before. It is done along with what else is written of an answer,
    and costs one row for each lane in a commit."""
    if spent:
        rows = [{"lane": lane, "spent": _row(each)} for lane, each in spent.items()]
        run_for_each(connection, _keeping(connection.dialect.name), rows)


def read(connection: Connection) -> dict[str, Spent]:
    """By lane."""
    found: dict[str, Spent] = {}
    for row in connection.execute(select(table)):
        writes = tuple((start, count) for start, count in row.spent["writes"])
        found[row.lane] = Spent(**{**row.spent, "writes": writes})
    return found


_row = reading([*Spent.__struct_fields__])


@cache
def _keeping(dialect: str) -> Upsert:
    statement = insert(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=["lane"], set_={"spent": statement.excluded.spent}
    )
