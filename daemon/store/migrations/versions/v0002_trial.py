"""What `ping` writes to, and the index by which retention spares events under a sticky key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trial",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("filler", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trial"),
    )
    op.create_index(
        "ix_dedupe_event_id",
        "dedupe",
        ["event_id"],
        sqlite_where=sa.text("sticky = 1"),
        postgresql_where=sa.text("sticky"),
    )


def downgrade() -> None:
    op.drop_index("ix_dedupe_event_id", "dedupe")
    op.drop_table("trial")
