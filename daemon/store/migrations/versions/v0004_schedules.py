"""Pauses, firings that wait for the one before, incidents; and how many instants a record of missed
ones stands for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from daemon.store.migrations.undoing import refuse_while

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cursors", sa.Column("offset", sa.BigInteger()))
    op.create_table(
        "firings_new",
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text()),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cron", "scheduled_at", "first", name="pk_firings"),
        sqlite_with_rowid=False,
    )
    # How many instants an older row of several stands for, nobody counted: 0.
    op.execute(
        "INSERT INTO firings_new "
        "SELECT cron, scheduled_at, coalesce(first, scheduled_at), outcome, reason, event_id, "
        "CASE WHEN first IS NULL THEN 1 ELSE 0 END FROM firings"
    )
    op.drop_table("firings")
    op.rename_table("firings_new", "firings")
    op.create_index("ix_firings_scheduled_at", "firings", ["scheduled_at"])
    op.create_table(
        "buffered",
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("behind", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("cron", name="pk_buffered"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_buffered_behind", "buffered", ["behind"])
    op.create_table(
        "pauses",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("resumed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("entry", name="pk_pauses"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "incidents",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "last", "kind", name="pk_incidents"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_incidents_at", "incidents", ["at"])
    op.create_table(
        "incident_counts",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "kind", name="pk_incident_counts"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deadlines",
        sa.Column("dispatch_id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=False),
        sa.Column("alert_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dispatch_id", name="pk_deadlines"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_deadlines_at", "deadlines", ["at"])


def downgrade() -> None:
    refuse_while("SELECT count(*) FROM buffered", "firings wait for the one before")
    refuse_while("SELECT count(*) FROM pauses", "entries are paused, or what they held is not sent")
    for table in ("buffered", "pauses", "incidents", "incident_counts", "deadlines"):
        op.drop_table(table)
    op.create_table(
        "firings_old",
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text()),
        sa.PrimaryKeyConstraint("cron", "scheduled_at", name="pk_firings"),
        sqlite_with_rowid=False,
    )
    # Of one instant it had one row: that it fired counts more than how often it was missed.
    op.execute(
        "INSERT INTO firings_old SELECT cron, scheduled_at, nullif(min(first), scheduled_at), "
        "min(outcome), min(reason), max(event_id) FROM firings GROUP BY cron, scheduled_at"
    )
    op.drop_table("firings")
    op.rename_table("firings_old", "firings")
    op.create_index("ix_firings_scheduled_at", "firings", ["scheduled_at"])
    op.drop_column("cursors", "offset")
