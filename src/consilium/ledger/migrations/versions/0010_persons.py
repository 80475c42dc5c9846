"""Tables of the room `persons`."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "persons",
        _text("id"),
        _text("name"),
        _text("folded"),
        _text("hash"),
        _text("state"),
        sa.Column("tries", sa.Integer(), nullable=False),
        _text("tried"),
        _text("created"),
        sa.PrimaryKeyConstraint("id", name="pk_persons"),
    )
    op.create_index("uq_persons_folded", "persons", ["folded"], unique=True)
    op.create_table(
        "person_roles",
        _text("person"),
        _text("role"),
        _text("study"),
        _text("organisation"),
        _text("granted"),
        sa.PrimaryKeyConstraint("person", "role", "study", "organisation", name="pk_person_roles"),
        _of_person("person", "fk_person_roles_person_persons"),
    )
    op.create_table(
        "person_queue",
        _text("id"),
        _text("kind"),
        _text("subject"),
        _text("reason"),
        _text("due"),
        _text("role"),
        _text("study"),
        _text("organisation"),
        sa.Column("needed", sa.Integer(), nullable=False),
        _text("delegate"),
        _text("delegated_by"),
        _text("ruling"),
        _text("settled_by"),
        _text("settled_reason"),
        _text("asked"),
        _text("settled"),
        sa.PrimaryKeyConstraint("id", name="pk_person_queue"),
    )
    op.create_index("ix_person_queue_subject", "person_queue", ["subject"])
    op.create_index("ix_person_queue_ruling_due", "person_queue", ["ruling", "due"])
    op.create_table(
        "person_releases",
        _text("id"),
        _text("kind"),
        _text("digest"),
        _text("reason"),
        _text("study"),
        _text("organisation"),
        sa.Column("needed", sa.Integer(), nullable=False),
        _text("requested_by"),
        _text("state"),
        _text("requested"),
        _text("expires"),
        _text("changed"),
        sa.PrimaryKeyConstraint("id", name="pk_person_releases"),
        _of_person("requested_by", "fk_person_releases_requested_by_persons"),
    )
    op.create_index("ix_person_releases_digest", "person_releases", ["digest"])
    op.create_table(
        "person_consents",
        _text("thing"),
        _text("person"),
        _text("given"),
        sa.PrimaryKeyConstraint("thing", "person", name="pk_person_consents"),
        _of_person("person", "fk_person_consents_person_persons"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "person_consents",
        "person_releases",
        "person_queue",
        "person_roles",
        "persons",
    ):
        op.drop_table(table)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _of_person(column: str, name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], ["persons.id"], name=name)
