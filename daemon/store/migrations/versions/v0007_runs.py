"""Runs: those that dispatches started, and what is known of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("expect_within", sa.BigInteger()),
        sa.Column("expect_workflow", sa.Text(), nullable=False, server_default=""),
        sa.Column("on_ambiguous", sa.Text(), nullable=False, server_default="verify"),
        sa.Column("sent_at", sa.BigInteger()),
        sa.Column("match", sa.Text(), nullable=False, server_default="untracked"),
        sa.Column("diagnosis", sa.Text(), nullable=False, server_default=""),
        sa.Column("run_outcome", sa.Text(), nullable=False, server_default=""),
        sa.Column("look_at", sa.BigInteger()),
    ):
        op.add_column("dispatches", column)
    # What was still to be sent by then is followed like all that comes after it.
    op.execute("UPDATE dispatches SET expect_within = 300000000 WHERE settled_at IS NULL")
    looked_for = sa.text("look_at IS NOT NULL")
    op.create_index(
        "ix_dispatches_repository_look_at",
        "dispatches",
        ["repository", "look_at"],
        sqlite_where=looked_for,
        postgresql_where=looked_for,
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("dispatch_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("conclusion", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("look_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", "repository", name="pk_runs"),
        sa.ForeignKeyConstraint(
            ["dispatch_id"],
            ["dispatches.id"],
            name="fk_runs_dispatch_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_runs_dispatch_id", "runs", ["dispatch_id"])
    op.create_index(
        "ix_runs_repository_look_at",
        "runs",
        ["repository", "look_at"],
        sqlite_where=looked_for,
        postgresql_where=looked_for,
    )


def downgrade() -> None:
    op.drop_table("runs")
    op.drop_index("ix_dispatches_repository_look_at", "dispatches")
    for column in (
        "look_at",
        "run_outcome",
        "diagnosis",
        "match",
        "sent_at",
        "on_ambiguous",
        "expect_workflow",
        "expect_within",
    ):
        op.drop_column("dispatches", column)
