"""Tables of the room `dataspace`."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "datasets",
        _text("id"),
        _text("name"),
        _text("title"),
        _text("schema"),
        _text("quality"),
        _text("governance"),
        sa.Column("public", sa.Boolean(), nullable=False),
        _text("fingerprint"),
        _text("arrays"),
        sa.Column("n_train", sa.Integer(), nullable=False),
        sa.Column("n_test", sa.Integer(), nullable=False),
        _text("terms"),
        _text("offer"),
        _text("created"),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
    )
    op.create_index("uq_datasets_name", "datasets", ["name"], unique=True)
    op.create_table(
        "negotiations",
        _text("pid"),
        _text("peer_pid"),
        _text("role"),
        _text("peer"),
        _text("peer_key"),
        _text("state"),
        _text("dataset"),
        _text("offer"),
        _text("policy"),
        _text("agreement"),
        _text("callback"),
        _text("code"),
        _text("reason"),
        _text("created"),
        _text("updated"),
        sa.PrimaryKeyConstraint("pid", name="pk_negotiations"),
    )
    op.create_index("ix_negotiations_peer_peer_pid", "negotiations", ["peer", "peer_pid"])
    op.create_table(
        "agreements",
        _text("id"),
        _text("role"),
        _text("dataset"),
        _text("provider"),
        _text("consumer"),
        _text("provider_key"),
        _text("consumer_key"),
        _text("policy"),
        _text("terms"),
        _text("negotiation"),
        _text("agreed"),
        sa.PrimaryKeyConstraint("id", "role", name="pk_agreements"),
    )
    op.create_table(
        "transfers",
        _text("pid"),
        _text("peer_pid"),
        _text("role"),
        _text("peer"),
        _text("agreement"),
        _text("study"),
        _text("study_digest"),
        _text("signed_study"),
        _text("data_address"),
        _text("state"),
        _text("code"),
        _text("reason"),
        _text("created"),
        _text("updated"),
        sa.PrimaryKeyConstraint("pid", name="pk_transfers"),
    )
    op.create_index("ix_transfers_peer_peer_pid", "transfers", ["peer", "peer_pid"])
    op.create_index(
        "uq_transfers_agreement_study_role",
        "transfers",
        ["agreement", "study", "role"],
        unique=True,
    )
    op.create_table(
        "dataspace_outbox",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        _text("process"),
        _text("kind"),
        _text("path"),
        _text("message"),
        _text("wanted"),
        sa.Column("tries", sa.Integer(), nullable=False),
        _text("due"),
        _text("deadline"),
        sa.PrimaryKeyConstraint("id", name="pk_dataspace_outbox"),
    )
    op.create_index("ix_dataspace_outbox_process_id", "dataspace_outbox", ["process", "id"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("dataspace_outbox", "transfers", "agreements", "negotiations", "datasets"):
        op.drop_table(table)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)
