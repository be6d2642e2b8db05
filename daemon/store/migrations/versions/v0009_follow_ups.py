"""Follow-ups: what is owed after a dispatch went wrong."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from daemon.store.migrations.undoing import refuse_while

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "follow_ups",
        sa.Column("dispatch_id", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("run_attempt", sa.Integer(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("run_name", sa.Text(), nullable=False),
        sa.Column("run_conclusion", sa.Text(), nullable=False),
        sa.Column("run_url", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("wake_at", sa.BigInteger()),
        sa.Column("settled_at", sa.BigInteger()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("made", sa.Text()),
        sa.PrimaryKeyConstraint(
            "dispatch_id", "cause", "run_id", "run_attempt", name="pk_follow_ups"
        ),
        sa.ForeignKeyConstraint(
            ["dispatch_id"],
            ["dispatches.id"],
            name="fk_follow_ups_dispatch_id",
            ondelete="CASCADE",
        ),
        sqlite_with_rowid=False,
    )
    owed = sa.text("wake_at IS NOT NULL")
    op.create_index(
        "ix_follow_ups_wake_at",
        "follow_ups",
        ["wake_at"],
        sqlite_where=owed,
        postgresql_where=owed,
    )


def downgrade() -> None:
    refuse_while(
        "SELECT count(*) FROM follow_ups WHERE wake_at IS NOT NULL", "follow-ups are still owed"
    )
    op.drop_table("follow_ups")
