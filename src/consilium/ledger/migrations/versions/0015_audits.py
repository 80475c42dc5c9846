"""Tables of the room `node`: hospitals' verdicts on models."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "model_audits",
        sa.Column("passport", sa.Text(), nullable=False),
        sa.Column("agreement", sa.Text(), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("passport", "agreement", name="pk_model_audits"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("model_audits")
