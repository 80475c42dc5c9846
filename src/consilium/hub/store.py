"""Tables of the hub and of the signer, and the rows they give.

Hub and signer are two processes with two databases; one schema serves both.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, Integer, RowMapping, Table, Text, select, text

from consilium.ledger.tables import METADATA


class Standing(StrEnum):
    """Whether a member is in."""

    ADMITTED = "admitted"
    REVOKED = "revoked"


HUB_MEMBERS = Table(
    "hub_members",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("participant", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("joined", Text, nullable=False),
    Column("renewed", Text, nullable=False),
)
"""One row a member; `key` repeats what the certificate proves, for queries."""

HUB_CHECKPOINTS = Table(
    "hub_checkpoints",
    METADATA,
    Column("member", Text, primary_key=True),
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("root", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("received", Text, nullable=False),
)
"""The last signed checkpoints that each member's evidence log has shown the hub."""

SIGNER_TOKENS = Table(
    "signer_tokens",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("member", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("minted", Text, nullable=False),
    Column("expires", Text, nullable=False),
    Column("used", Text),
    Column("request", Text),
    Column("answer", Text),
    Column("location", Text, nullable=False, server_default=text("''")),
)
"""One row a join token. `id` is the public half of its key; the secret is kept nowhere."""

SIGNER_MEMBERS = Table(
    "signer_members",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("renewed", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("location", Text, nullable=False, server_default=text("''")),
)
"""One row an admitted name; `key` is the one that must sign its next renewal."""

SIGNER_OWN = Table(
    "signer_own",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("hosts", Text, nullable=False),
    Column("certificate", Text, nullable=False),
    Column("issued", Text, nullable=False),
)
"""The hub's own certificates, the last of each kind; renewed by the signer for the same key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member as the hub knows it."""

    name: str
    participant: str
    title: str
    state: Standing
    key: str
    certificate: str
    joined: str
    renewed: str


def find_member(connection: Connection, name: str) -> Member | None:
    """Look a member up by its short name."""
    query = select(HUB_MEMBERS).where(HUB_MEMBERS.c.name == name)
    row = connection.execute(query).mappings().first()
    return _member(row) if row is not None else None


def list_members(connection: Connection) -> list[Member]:
    """List all members, revoked ones included, by name."""
    rows = connection.execute(select(HUB_MEMBERS).order_by(HUB_MEMBERS.c.name))
    return [_member(row) for row in rows.mappings()]


def _member(row: RowMapping) -> Member:
    values: dict[str, Any] = {item.name: row[item.name] for item in fields(Member)}
    return Member(**values | {"state": Standing(values["state"])})
