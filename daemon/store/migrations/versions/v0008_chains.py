"""Dispatches know their parents, and what holds them; what each entry made lately is counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from daemon.store.migrations.undoing import refuse_while

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("parent_id", sa.Text()),
        sa.Column("depth", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("held_by", sa.Text()),
    ):
        op.add_column("dispatches", column)
    # Nothing else held anything up to now.
    op.execute("UPDATE dispatches SET held_by = 'pause' WHERE state = 'held'")
    known = sa.text("parent_id IS NOT NULL")
    op.create_index(
        "ix_dispatches_parent_id",
        "dispatches",
        ["parent_id"],
        sqlite_where=known,
        postgresql_where=known,
    )
    op.create_table(
        "tallies",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("deep", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "slot", name="pk_tallies"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    refuse_while(
        "SELECT count(*) FROM dispatches WHERE state = 'held' AND held_by <> 'pause'",
        "dispatches are held for another reason than a pause",
    )
    op.drop_table("tallies")
    op.drop_index("ix_dispatches_parent_id", "dispatches")
    for column in ("held_by", "depth", "parent_id"):
        op.drop_column("dispatches", column)
