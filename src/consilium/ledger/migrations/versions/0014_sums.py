"""Tables of the room `federation`: secure sums that a hospital joined."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "secure_sum",
        sa.Column("study", sa.String(200), nullable=False),
        sa.Column("segment", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("plan", sa.String(80), nullable=False),
        sa.Column("encoded", sa.String(80), nullable=False),
        sa.Column("survivors", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("study", "segment", "attempt", "round", name="pk_secure_sum"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("secure_sum")
