"""Tables of the room `ledger`: cosigned checkpoints."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "witnessed_logs",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("received", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name="pk_witnessed_logs"),
    )
    op.create_table(
        "cosignatures",
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("received", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("witness", "size", name="pk_cosignatures"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("cosignatures")
    op.drop_table("witnessed_logs")
