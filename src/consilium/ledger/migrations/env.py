"""Alembic's entry: runs the scripts on the connection that the caller holds.

There is no `alembic.ini`: `consilium.ledger.migration` hands the connection in,
inside a transaction that it began, so a failed migration leaves nothing behind.
"""

from alembic import context

from consilium.ledger.migration import VERSION_TABLE
from consilium.ledger.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
