"""Events that somebody asked for say who it was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("by", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("events", "by")
