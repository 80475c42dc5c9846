"""Tables of the gate and the queries on them.

What was admitted, which rounds were spent and which leases are out stands in
the node's database, so that a restart forgets nothing and no counter can be
claimed twice: every claim is one transaction, and transactions take turns.
"""

from __future__ import annotations

import sqlalchemy as sa

from consilium.kernel.canonical import Digest
from consilium.kernel.identifiers import AgreementId, LeaseId, StudyId
from consilium.ledger.tables import METADATA

STUDIES = sa.Table(
    "gate_study",
    METADATA,
    sa.Column("agreement", sa.String(200), primary_key=True),
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("digest", sa.String(80), nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("layout", sa.Text, nullable=False),
    sa.Column("admitted", sa.String(32), nullable=False),
)
"""Studies admitted under an agreement. `place` counts them from 1, in order of
admission; `layout` is that of the first update that was let out."""

ORDERS = sa.Table(
    "gate_order",
    METADATA,
    sa.Column("agreement", sa.String(200), primary_key=True),
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("segment", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(80), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("admitted", sa.String(32), nullable=False),
)
"""Orders admitted, each with its fingerprint and text."""

ROUNDS = sa.Table(
    "gate_round",
    METADATA,
    sa.Column("agreement", sa.String(200), primary_key=True),
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("model", sa.String(80), primary_key=True),
    sa.Column("model_round", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("claimed", sa.String(32), nullable=False),
)
"""Every model that data were opened for. `model_round` says which round's model
it was shown as; `attempt` is the latest in which it was shown."""

LEASES = sa.Table(
    "gate_lease",
    METADATA,
    sa.Column("id", sa.String(80), primary_key=True),
    sa.Column("agreement", sa.String(200), nullable=False),
    sa.Column("study", sa.String(200), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("segment", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("model", sa.String(80), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("granted", sa.String(32), nullable=False),
    sa.Column("deadline", sa.String(32), nullable=False),
)
"""Leases by number, each under one admitted order. `state` is `out`, `used` or `refused`."""

CHARGES = sa.Table(
    "gate_charge",
    METADATA,
    sa.Column("agreement", sa.String(200), primary_key=True),
    sa.Column("purpose", sa.String(20), primary_key=True),
    sa.Column("reference", sa.String(200), primary_key=True),
    sa.Column("dataset", sa.String(200), nullable=False),
    sa.Column("epsilon", sa.BigInteger, nullable=False),
    sa.Column("delta", sa.BigInteger, nullable=False),
    sa.Column("charged", sa.String(32), nullable=False),
    sa.Index("ix_gate_charge_dataset", "dataset"),
)
"""Every privacy loss that was paid for, never taken back. `epsilon` is in
millionths, `delta` in units of 1e-12, both rounded up, so that sums are exact;
`purpose` is a kind of computation, `reference` names the one it paid for."""

KEPT = sa.Table(
    "gate_kept",
    METADATA,
    sa.Column("agreement", sa.String(200), primary_key=True),
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(80), nullable=False),
)
"""What this site kept after a round of a study, by the file's digest; the latest rounds only."""


def find_lease(connection: sa.Connection, lease: LeaseId) -> sa.RowMapping | None:
    """Return a lease's row, or None."""
    return connection.execute(sa.select(LEASES).where(LEASES.c.id == lease)).mappings().first()


def count_leases(
    connection: sa.Connection,
    *,
    agreement: AgreementId,
    study: StudyId,
    task: tuple[str, int, Digest],
) -> int:
    """Count the leases granted for one task: kind, round and model."""
    kind, number, model = task
    query = sa.select(sa.func.count()).where(
        LEASES.c.agreement == agreement,
        LEASES.c.study == study,
        LEASES.c.kind == kind,
        LEASES.c.round == number,
        LEASES.c.model == model,
    )
    return int(connection.execute(query).scalar_one())


def find_admission(
    connection: sa.Connection, *, agreement: AgreementId, study: StudyId
) -> sa.RowMapping | None:
    """Return a study's row under an agreement, or None when it was never admitted."""
    query = sa.select(STUDIES).where(STUDIES.c.agreement == agreement, STUDIES.c.study == study)
    return connection.execute(query).mappings().first()


def find_newest_order(
    connection: sa.Connection, *, agreement: AgreementId, study: StudyId
) -> sa.RowMapping | None:
    """Return the row of the newest order admitted for a study, or None."""
    query = (
        sa.select(ORDERS)
        .where(ORDERS.c.agreement == agreement, ORDERS.c.study == study)
        .order_by(ORDERS.c.attempt.desc(), ORDERS.c.segment.desc())
        .limit(1)
    )
    return connection.execute(query).mappings().first()


def count_orders(connection: sa.Connection, *, agreement: AgreementId, study: StudyId) -> int:
    """Count the orders that were admitted for a study."""
    query = sa.select(sa.func.count()).where(
        ORDERS.c.agreement == agreement, ORDERS.c.study == study
    )
    return int(connection.execute(query).scalar_one())


def find_last_shown(
    connection: sa.Connection, *, agreement: AgreementId, study: StudyId, attempt: int
) -> int:
    """Return the latest round whose model was shown here in an attempt; -1 before the first."""
    query = sa.select(sa.func.max(ROUNDS.c.model_round)).where(
        ROUNDS.c.agreement == agreement, ROUNDS.c.study == study, ROUNDS.c.attempt == attempt
    )
    found = connection.execute(query).scalar_one()
    return -1 if found is None else int(found)


def find_shown_model(
    connection: sa.Connection, *, agreement: AgreementId, study: StudyId, model_round: int
) -> sa.RowMapping | None:
    """Return the row of the model that was last shown here as that of a round, or None."""
    query = (
        sa.select(ROUNDS)
        .where(
            ROUNDS.c.agreement == agreement,
            ROUNDS.c.study == study,
            ROUNDS.c.model_round == model_round,
        )
        .order_by(ROUNDS.c.attempt.desc(), ROUNDS.c.claimed.desc())
        .limit(1)
    )
    return connection.execute(query).mappings().first()
