"""Rate limits, bursts, secrets that senders hand over, and what was fetched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from daemon.store.migrations.undoing import refuse_while

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admissions",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "key", "at", "event_id", name="pk_admissions"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_admissions_at", "admissions", ["at"])
    op.create_table(
        "bursts",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "key", name="pk_bursts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_bursts_at", "bursts", ["at"])
    op.create_table(
        "learned",
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("armed_until", sa.BigInteger()),
        sa.Column("secret", sa.Text()),
        sa.Column("learned_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("trigger", name="pk_learned"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fetched",
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("url", name="pk_fetched"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    refuse_while(
        "SELECT count(*) FROM learned WHERE secret IS NOT NULL",
        "triggers have a secret that their sender handed over and will not hand over again",
    )
    for table in ("admissions", "bursts", "learned", "fetched"):
        op.drop_table(table)
