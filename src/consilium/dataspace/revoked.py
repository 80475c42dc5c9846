"""What is known of revoked agreements: the record and the queries on it.

The verbs are in `revocation`, which stands above the transfers that it ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from consilium.dataspace.machines import FINALIZED
from consilium.dataspace.records import Agreement, Role
from consilium.dataspace.tables import REVOCATIONS
from consilium.kernel.errors import StateError
from consilium.kernel.identifiers import AgreementId, ParticipantId

REVOKED = "REVOKED"
"""How a revoked agreement is shown; the protocol itself knows no such state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The end of an agreement, seen from the side that we have in it.

    `by` is the participant that ended it and `time` when it says that it did;
    `person` is who asked for it here, empty for the counterpart's. `statement`
    is the revoker's signed statement, `learned` when we wrote it down.
    """

    agreement: AgreementId
    role: Role
    by: ParticipantId
    person: str
    reason: str
    time: str
    statement: str
    learned: str


def find_revocation(
    connection: Connection, agreement: AgreementId | str, *, role: Role = Role.PROVIDER
) -> Revocation | None:
    """Look whether an agreement that we made in this role is revoked, by whichever side.

    Discloses
    ---------
    Nothing.
    """
    query = select(REVOCATIONS).where(
        REVOCATIONS.c.agreement == agreement, REVOCATIONS.c.role == role.value
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else Revocation(**{**row, "role": Role(row["role"])})


def list_revocations(connection: Connection, *, role: Role) -> list[Revocation]:
    """List the revoked agreements that we made in this role, the oldest first.

    Discloses
    ---------
    Nothing.
    """
    query = (
        select(REVOCATIONS)
        .where(REVOCATIONS.c.role == role.value)
        .order_by(REVOCATIONS.c.learned, REVOCATIONS.c.agreement)
    )
    rows = connection.execute(query).mappings()
    return [Revocation(**{**row, "role": role}) for row in rows]


def check_not_revoked(connection: Connection, agreed: Agreement) -> None:
    """Return if nobody has revoked an agreement.

    Raises
    ------
    StateError
        `dataspace.agreement_revoked`.

    Discloses
    ---------
    Nothing by itself; the refusal tells a party of the agreement who revoked it, and when.
    """
    mark = find_revocation(connection, agreed.id, role=agreed.role)
    if mark is not None:
        raise StateError(
            "dataspace.agreement_revoked",
            agreement=agreed.id,
            by=mark.by,
            time=mark.time,
            now=REVOKED,
            wanted=FINALIZED,
        )
