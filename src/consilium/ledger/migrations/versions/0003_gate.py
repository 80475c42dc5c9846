"""Tables of the room `gate`."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "gate_study",
        sa.Column("agreement", sa.String(200), nullable=False),
        sa.Column("study", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("layout", sa.Text(), nullable=False),
        sa.Column("admitted", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("agreement", "study", name="pk_gate_study"),
    )
    op.create_table(
        "gate_order",
        sa.Column("agreement", sa.String(200), nullable=False),
        sa.Column("study", sa.String(200), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("segment", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(80), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("admitted", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("agreement", "study", "attempt", "segment", name="pk_gate_order"),
    )
    op.create_table(
        "gate_round",
        sa.Column("agreement", sa.String(200), nullable=False),
        sa.Column("study", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("round", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("model_round", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("claimed", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint(
            "agreement", "study", "kind", "round", "model", name="pk_gate_round"
        ),
    )
    op.create_table(
        "gate_lease",
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("agreement", sa.String(200), nullable=False),
        sa.Column("study", sa.String(200), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(80), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("granted", sa.String(32), nullable=False),
        sa.Column("deadline", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gate_lease"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("gate_lease")
    op.drop_table("gate_round")
    op.drop_table("gate_order")
    op.drop_table("gate_study")
