"""Tables of the room `dataspace`: whole protocol, both roles."""

import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NUMBERS = (("negotiations", ("sent", "taken")), ("transfers", ("sent", "taken")))
_TEXTS = (("transfers", ("holder", "callback")), ("dataspace_outbox", ("before", "error")))


def _text(name: str, *, is_new: bool = False) -> sa.Column[str]:
    default = sa.text("''") if is_new else None
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def upgrade() -> None:
    """Make the tables."""
    for table, names in _NUMBERS:
        for name in names:
            op.add_column(table, _number(name))
    for table, names in _TEXTS:
        for name in names:
            op.add_column(table, _text(name, is_new=True))
    op.add_column("dataspace_outbox", _number("number"))
    op.create_index("ix_dataspace_outbox_due", "dataspace_outbox", ["due"])
    op.create_table(
        "dataspace_history",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        *(_text(name) for name in ("process", "state", "sender", "policy")),
        *(_text(name) for name in ("code", "reason", "at")),
        sa.PrimaryKeyConstraint("id", name="pk_dataspace_history"),
    )
    op.create_index("ix_dataspace_history_process_id", "dataspace_history", ["process", "id"])
    shown = op.create_table(
        "dataset_shown",
        *(_text(name) for name in ("recipient", "name", "dataset", "until")),
        sa.Column("public", sa.Boolean(), nullable=False),
        *(_text(name) for name in ("words", "purposes")),
        sa.PrimaryKeyConstraint("recipient", "name", name="pk_dataset_shown"),
    )
    op.create_index("ix_dataset_shown_dataset", "dataset_shown", ["dataset"])
    _show_present_datasets(shown)


def _show_present_datasets(shown: sa.Table) -> None:
    """Enter the datasets that are offered already."""
    datasets = sa.table(
        "datasets",
        *(sa.column(name) for name in ("id", "name", "title", "schema", "governance", "terms")),
        sa.column("public", sa.Boolean()),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(datasets)).all():
        terms, governance = json.loads(row.terms), json.loads(row.governance)
        columns = [field["name"] for field in json.loads(row.schema).get("fields", [])]
        entry = {
            "name": row.name,
            "dataset": row.id,
            "until": min(_utc(terms["not_after"]), _utc(governance["ethics_expires"])),
            "public": row.public,
            "words": "\n".join([row.name, row.title, *columns]).lower(),
            "purposes": "\n".join(["", *terms["purposes"], ""]),
        }
        for recipient in terms["recipients"]:
            connection.execute(shown.insert().values(recipient=recipient, **entry))


def _utc(text: str) -> str:
    """Write a moment as the house does: in UTC with microseconds and `Z`."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("dataset_shown")
    op.drop_table("dataspace_history")
    op.drop_index("ix_dataspace_outbox_due", "dataspace_outbox")
    op.drop_column("dataspace_outbox", "number")
    for table, names in (*_TEXTS, *_NUMBERS):
        for name in names:
            op.drop_column(table, name)
