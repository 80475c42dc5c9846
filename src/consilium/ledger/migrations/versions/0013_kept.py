"""Tables of the room `gate`: what a site keeps between rounds."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "gate_kept",
        sa.Column("agreement", sa.String(200), nullable=False),
        sa.Column("study", sa.String(200), nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("agreement", "study", "round", name="pk_gate_kept"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("gate_kept")
