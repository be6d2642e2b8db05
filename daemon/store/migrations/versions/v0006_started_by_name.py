"""Dispatches that start a workflow by its name, and the run that GitHub names in its answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from daemon.store.migrations.undoing import refuse_while

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("workflow", sa.Text(), nullable=False, server_default=""),
        sa.Column("ref", sa.Text(), nullable=False, server_default=""),
        sa.Column("run_id", sa.BigInteger()),
        sa.Column("run_url", sa.Text(), nullable=False, server_default=""),
    ):
        op.add_column("dispatches", column)


def downgrade() -> None:
    refuse_while(
        "SELECT count(*) FROM dispatches WHERE workflow <> '' AND settled_at IS NULL",
        "dispatches that start a workflow by its name are still to be sent",
    )
    for column in ("run_url", "run_id", "ref", "workflow"):
        op.drop_column("dispatches", column)
