"""News: what the default `notify` is told; and what of the daemon is not well."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from daemon.store.migrations.undoing import refuse_while

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "news",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False, server_default=""),
        sa.Column("settled_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("kind", "ref", name="pk_news"),
        sqlite_with_rowid=False,
    )
    owed = sa.text("settled_at IS NULL")
    op.create_index("ix_news_at", "news", ["at"], sqlite_where=owed, postgresql_where=owed)
    op.create_index("ix_news_settled_at", "news", ["settled_at"])
    op.create_table(
        "ailments",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_ailments"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    refuse_while(
        "SELECT count(*) FROM news WHERE settled_at IS NULL", "messages to `notify` are still owed"
    )
    op.drop_table("ailments")
    op.drop_table("news")
