"""The room's tables. Times and JSON stand as text, so that every database is alike."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, PrimaryKeyConstraint, Table, Text, text

from consilium.ledger.tables import METADATA

DATASETS = Table(
    "datasets",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("schema", Text, nullable=False),
    Column("quality", Text, nullable=False),
    Column("governance", Text, nullable=False),
    Column("public", Boolean, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("arrays", Text, nullable=False),
    Column("n_train", Integer, nullable=False),
    Column("n_test", Integer, nullable=False),
    Column("terms", Text, nullable=False),
    Column("offer", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("budget", Text, nullable=False, server_default='{"delta":0.0001,"epsilon":10}'),
    Index("uq_datasets_name", "name", unique=True),
)

NEGOTIATIONS = Table(
    "negotiations",
    METADATA,
    Column("pid", Text, primary_key=True),
    Column("peer_pid", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("peer_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("offer", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("agreement", Text, nullable=False),
    Column("callback", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("updated", Text, nullable=False),
    Column("sent", Integer, nullable=False, server_default="0"),
    Column("taken", Integer, nullable=False, server_default="0"),
    Index("ix_negotiations_peer_peer_pid", "peer", "peer_pid"),
)

AGREEMENTS = Table(
    "agreements",
    METADATA,
    Column("id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("consumer", Text, nullable=False),
    Column("provider_key", Text, nullable=False),
    Column("consumer_key", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("terms", Text, nullable=False),
    Column("negotiation", Text, nullable=False),
    Column("agreed", Text, nullable=False),
    PrimaryKeyConstraint("id", "role", name="pk_agreements"),
)
"""A participant may agree with itself, so one agreement can stand here once for each role."""

TRANSFERS = Table(
    "transfers",
    METADATA,
    Column("pid", Text, primary_key=True),
    Column("peer_pid", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("agreement", Text, nullable=False),
    Column("study", Text, nullable=False),
    Column("study_digest", Text, nullable=False),
    Column("signed_study", Text, nullable=False),
    Column("data_address", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("updated", Text, nullable=False),
    Column("sent", Integer, nullable=False, server_default="0"),
    Column("taken", Integer, nullable=False, server_default="0"),
    Column("holder", Text, nullable=False, server_default=text("''")),
    Column("callback", Text, nullable=False, server_default=text("''")),
    Index("ix_transfers_peer_peer_pid", "peer", "peer_pid"),
    Index("uq_transfers_agreement_study_role", "agreement", "study", "role", unique=True),
)
"""A study opens one transfer under an agreement, once."""

OUTBOX = Table(
    "dataspace_outbox",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("process", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("wanted", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due", Text, nullable=False),
    Column("deadline", Text, nullable=False),
    Column("number", Integer, nullable=False, server_default="0"),
    Column("before", Text, nullable=False, server_default=text("''")),
    Column("error", Text, nullable=False, server_default=text("''")),
    Index("ix_dataspace_outbox_process_id", "process", "id"),
    Index("ix_dataspace_outbox_due", "due"),
)
"""Messages that were decided on and are not delivered yet; one queue for each process.

`before` is the state that the message leads out of, `wanted` the one it leads into.
"""

HISTORY = Table(
    "dataspace_history",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("process", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Text, nullable=False),
    Index("ix_dataspace_history_process_id", "process", "id"),
)
"""Every step of every process, for people; the proof of each stands in the evidence."""

SHOWN = Table(
    "dataset_shown",
    METADATA,
    Column("recipient", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("public", Boolean, nullable=False),
    Column("words", Text, nullable=False),
    Column("purposes", Text, nullable=False),
    PrimaryKeyConstraint("recipient", "name", name="pk_dataset_shown"),
    Index("ix_dataset_shown_dataset", "dataset"),
)
"""Who may see which dataset until when, and what a catalogue's filter asks: made from the offers.

It only finds a page of candidates quickly; the offer itself decides.
"""

REVOCATIONS = Table(
    "revocations",
    METADATA,
    Column("agreement", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("statement", Text, nullable=False),
    Column("learned", Text, nullable=False),
    PrimaryKeyConstraint("agreement", "role", name="pk_revocations"),
)
"""Agreements that either side has ended; a row is written once and never changes."""
