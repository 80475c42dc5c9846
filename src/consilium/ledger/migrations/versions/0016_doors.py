"""Tables of the room `persons`: sessions, second factors, the first administrator's code."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "session",
        _text("id"),
        _text("person"),
        _text("token"),
        _text("agent"),
        _text("began"),
        _text("used"),
        _text("ends"),
        sa.PrimaryKeyConstraint("id", name="pk_session"),
        _of_person("fk_session_person_persons"),
    )
    op.create_index("uq_session_token", "session", ["token"], unique=True)
    op.create_index("ix_session_person", "session", ["person"])
    op.create_table(
        "second_factor",
        _text("person"),
        _text("secret"),
        _text("state"),
        sa.Column("step", sa.Integer(), nullable=False),
        _text("made"),
        sa.PrimaryKeyConstraint("person", name="pk_second_factor"),
        _of_person("fk_second_factor_person_persons"),
    )
    op.create_table(
        "welcome_code",
        _text("code"),
        _text("made"),
        sa.PrimaryKeyConstraint("code", name="pk_welcome_code"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("welcome_code", "second_factor", "session"):
        op.drop_table(table)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _of_person(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["person"], ["persons.id"], name=name)
