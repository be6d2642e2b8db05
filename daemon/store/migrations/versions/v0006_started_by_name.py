"""Dispatches that start a workflow by its name, and the run that GitHub names in its answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

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
