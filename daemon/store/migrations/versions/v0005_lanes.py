"""A queue for each credential, crons and calls first in it; and what the pacing has counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "dispatches", sa.Column("urgent", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("dispatches", sa.Column("lane", sa.Text(), nullable=False, server_default=""))
    # What is owed already goes in the same order as what is added to it.
    op.execute(
        "UPDATE dispatches SET urgent = TRUE WHERE wake_at IS NOT NULL AND event_id IN "
        "(SELECT id FROM events WHERE kind = 'firing' OR source = '/dispatch')"
    )
    op.drop_index("ix_dispatches_wake_at_id", "dispatches")
    unfinished = sa.text("wake_at IS NOT NULL")
    op.create_index(
        "ix_dispatches_lane_urgent_wake_at_id",
        "dispatches",
        ["lane", "urgent", "wake_at", "id"],
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    op.create_table(
        "budgets",
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("spent", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("lane", name="pk_budgets"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("budgets")
    op.drop_index("ix_dispatches_lane_urgent_wake_at_id", "dispatches")
    unfinished = sa.text("wake_at IS NOT NULL")
    op.create_index(
        "ix_dispatches_wake_at_id",
        "dispatches",
        ["wake_at", "id"],
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )
    op.drop_column("dispatches", "lane")
    op.drop_column("dispatches", "urgent")
