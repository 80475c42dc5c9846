"""Tables of the room `gate`: federated statistics."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "gate_question",
        sa.Column("agreement", sa.String(200), nullable=False),
        sa.Column("content", sa.String(80), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(200), nullable=False),
        sa.Column("code", sa.String(80), nullable=False),
        sa.Column("asked", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("agreement", "content", name="pk_gate_question"),
    )
    op.create_table(
        "gate_answer",
        sa.Column("agreement", sa.String(200), nullable=False),
        sa.Column("content", sa.String(80), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dataset", sa.String(200), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("beta", sa.Text(), nullable=False),
        sa.Column("sites", sa.Text(), nullable=False),
        sa.Column("answered", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("agreement", "content", "step", name="pk_gate_answer"),
    )
    op.create_index("ix_gate_answer_dataset", "gate_answer", ["dataset"])
    op.create_table(
        "gate_told",
        sa.Column("dataset", sa.String(200), nullable=False),
        sa.Column("axis", sa.String(900), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "axis", name="pk_gate_told"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("gate_told")
    op.drop_index("ix_gate_answer_dataset", "gate_answer")
    op.drop_table("gate_answer")
    op.drop_table("gate_question")
