"""The one `MetaData` of the house, and the tables of the evidence log.

Every room's `store.py` adds its tables to `METADATA`. Migrations, not this
file, make tables; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Names of constraints follow one rule, so that migrations can speak of them."""

EVIDENCE = Table(
    "evidence",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("time", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Index("ix_evidence_kind_seq", "kind", "seq"),
    Index("ix_evidence_subject_seq", "subject", "seq"),
)
"""One row an entry, counted from 1. `body` is what is proved; the columns repeat it for queries."""

EVIDENCE_HEAD = Table(
    "evidence_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", Integer, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
)
"""One row, `id` 1: the tree's right edge, and the signed note over it."""

EVIDENCE_CHECKPOINTS = Table(
    "evidence_checkpoints",
    METADATA,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("time", Text, nullable=False),
    Column("note", Text, nullable=False),
)
"""The notes that were handed out, kept so that a rewrite shows and can be narrowed down."""

WITNESSED_LOGS = Table(
    "witnessed_logs",
    METADATA,
    Column("origin", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("root", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("received", Text, nullable=False),
)
"""One row a log of somebody else: the largest checkpoint of it that we have cosigned."""

COSIGNATURES = Table(
    "cosignatures",
    METADATA,
    Column("witness", Text, primary_key=True),
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("received", Text, nullable=False),
)
"""What others have cosigned of our own log; the checkpoint itself is in `evidence_checkpoints`."""
