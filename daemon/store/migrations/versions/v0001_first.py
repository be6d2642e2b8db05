"""The first schema: events, verdicts, dispatches, attempts, de-duplication, cursors, firings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("replay_of", sa.Text()),
        sa.Column("method", sa.Text()),
        sa.Column("path", sa.Text()),
        sa.Column("headers", sa.JSON()),
        sa.Column("query", sa.JSON()),
        sa.Column("params", sa.JSON()),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("client_ip", sa.Text()),
        sa.Column("scheduled_at", sa.BigInteger()),
        sa.Column("catch_up", sa.Boolean()),
        sa.Column("by_hand", sa.Boolean()),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_source_id", "events", ["source", "id"])
    op.create_index("ix_events_at", "events", ["at"])

    op.create_table(
        "verdicts",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("duplicate_of", sa.Text()),
        sa.PrimaryKeyConstraint("event_id", "position", name="pk_verdicts"),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name="fk_verdicts_event_id", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_verdicts_outcome_event_id", "verdicts", ["outcome", "event_id"])

    op.create_table(
        "dispatches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("repository", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("client_payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("retry_until", sa.BigInteger()),
        sa.Column("settled_at", sa.BigInteger()),
        sa.Column("replay_of", sa.Text()),
        sa.Column("wake_at", sa.BigInteger()),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("claimed_from", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_dispatches"),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name="fk_dispatches_event_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_dispatches_event_id", "dispatches", ["event_id"])
    op.create_index("ix_dispatches_entry_id", "dispatches", ["entry", "id"])
    op.create_index("ix_dispatches_state_id", "dispatches", ["state", "id"])
    unfinished = sa.text("wake_at IS NOT NULL")
    op.create_index(
        "ix_dispatches_wake_at_id",
        "dispatches",
        ["wake_at", "id"],
        sqlite_where=unfinished,
        postgresql_where=unfinished,
    )

    op.create_table(
        "attempts",
        sa.Column("dispatch_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("duration", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dispatch_id", "number", name="pk_attempts"),
        sa.ForeignKeyConstraint(
            ["dispatch_id"], ["dispatches.id"], name="fk_attempts_dispatch_id", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "dedupe",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("sticky", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "key", name="pk_dedupe"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_dedupe_expires_at", "dedupe", ["expires_at"])

    op.create_table(
        "cursors",
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cron", name="pk_cursors"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "firings",
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger()),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text()),
        sa.PrimaryKeyConstraint("cron", "scheduled_at", name="pk_firings"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_firings_scheduled_at", "firings", ["scheduled_at"])
