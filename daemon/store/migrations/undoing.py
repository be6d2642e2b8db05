"""What keeps a step from being undone."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

from daemon.errors import StoreError


def refuse_while(count: str, what: str) -> None:
    """Raises StoreError where the query ``count`` gives a number: the older version would lose that
    many of ``what``."""
    if found := op.get_bind().execute(text(count)).scalar_one():
        raise StoreError(
            f"{found} {what}, which an older dispatchd would lose: settle that first, or go back "
            "with a backup"
        )
