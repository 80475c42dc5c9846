"""Caution after a revocation: who was shown the door is not let in again by a policy alone.

Revoking ends an agreement, not the offer. Without this the same participant could
ask again a second later, and the published offer would be agreed to of itself.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from consilium.dataspace.machines import REQUESTED
from consilium.dataspace.ports import Action, Decide, Question, Verdict
from consilium.dataspace.records import Negotiation, Role
from consilium.dataspace.tables import AGREEMENTS, REVOCATIONS
from consilium.kernel.identifiers import DatasetId, ParticipantId
from consilium.ledger.database import Database

CODE = "dataspace.revoked_before"
"""Code under which a request waits for a person."""


class AfterRevocation:
    """Leaves a request to a person when this participant ended an agreement of the same kind.

    Parameters
    ----------
    otherwise : Decide
        Answers everything else.
    database : Database
        Ours, with the revocations.
    """

    def __init__(self, otherwise: Decide, database: Database) -> None:
        self._otherwise = otherwise
        self._database = database

    def __call__(self, question: Question) -> Verdict:
        """Wait, or let the other one answer."""
        process = question.process
        if isinstance(process, Negotiation) and _asks_us(process):
            with self._database.read() as connection:
                before = has_revoked(connection, peer=process.peer, dataset=process.dataset)
            if before:
                reason = "an earlier agreement on this dataset was revoked by its provider"
                return Verdict(action=Action.WAIT, code=CODE, reason=reason)
        return self._otherwise(question)


def has_revoked(connection: Connection, *, peer: ParticipantId, dataset: DatasetId) -> bool:
    """Say whether we as provider have ended an agreement with a participant on a dataset.

    Discloses
    ---------
    Nothing.
    """
    ours = (REVOCATIONS.c.agreement == AGREEMENTS.c.id) & (REVOCATIONS.c.role == AGREEMENTS.c.role)
    query = (
        select(REVOCATIONS.c.agreement)
        .join(AGREEMENTS, ours)
        .where(
            AGREEMENTS.c.role == Role.PROVIDER.value,
            AGREEMENTS.c.consumer == peer,
            AGREEMENTS.c.dataset == dataset,
            REVOCATIONS.c.by == AGREEMENTS.c.provider,
        )
    )
    return connection.execute(query).first() is not None


def _asks_us(process: Negotiation) -> bool:
    return (process.role, process.state) == (Role.PROVIDER, REQUESTED)
