"""Privacy budgets of the rooms `gate` and `dataspace`; members' places in the room `hub`."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_USUAL = '{"delta":0.0001,"epsilon":10}'
_NOWHERE = sa.text("''")
_PLACED = ("signer_tokens", "signer_members")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "gate_charge",
        sa.Column("agreement", sa.String(200), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("dataset", sa.String(200), nullable=False),
        sa.Column("epsilon", sa.BigInteger(), nullable=False),
        sa.Column("delta", sa.BigInteger(), nullable=False),
        sa.Column("charged", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("agreement", "purpose", "reference", name="pk_gate_charge"),
    )
    op.create_index("ix_gate_charge_dataset", "gate_charge", ["dataset"])
    op.add_column("datasets", sa.Column("budget", sa.Text(), nullable=False, server_default=_USUAL))
    for table in _PLACED:
        op.add_column(
            table, sa.Column("location", sa.Text(), nullable=False, server_default=_NOWHERE)
        )


def downgrade() -> None:
    """Drop the tables."""
    for table in _PLACED:
        op.drop_column(table, "location")
    op.drop_column("datasets", "budget")
    op.drop_index("ix_gate_charge_dataset", table_name="gate_charge")
    op.drop_table("gate_charge")
