"""Expiry: what runs out ends by itself, without anybody asking.

The gate asks `check_time` at every step. The node's timer calls `end_expired`,
so that the counterpart learns at once, by the termination of its transfer, that
nothing more will come, and why.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from consilium.dataspace.connector import Connector
from consilium.dataspace.governance import expired
from consilium.dataspace.machines import TERMINAL
from consilium.dataspace.policy import evaluate
from consilium.dataspace.records import Agreement, Dataset, Role, Transfer
from consilium.dataspace.steps import abandon
from consilium.dataspace.store import (
    find_agreement,
    find_dataset,
    get_process,
    list_live_transfers,
)
from consilium.dataspace.transfer import end_transfer
from consilium.dataspace.vocabulary import OPERANDS, TIME
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import ParticipantId

EXPELLED = "consilium:member_revoked"
"""Code of the end of a transfer whose other side is no member any more."""
CODE = "consilium:expired"
"""Code of the termination of a transfer whose time has run out."""


def check_time(agreement: Agreement, dataset: Dataset, *, now: datetime) -> None:
    """Return if neither the agreement nor an approval of its dataset has run out.

    Raises
    ------
    DeniedError
        The code of the agreement's own term (`dataspace.outside_time`), or
        `dataspace.governance_ended`.

    Discloses
    ---------
    Nothing by itself; the refusal names the term or the field that has run out.
    """
    evaluate(agreement.policy, {TIME: now}, later=OPERANDS.keys() - {TIME}).require()
    field = expired(dataset.governance, now)
    if field:
        raise DeniedError("dataspace.governance_ended", dataset=dataset.id, field=field)


def end_expired(connector: Connector) -> list[Transfer]:
    """End every transfer that we provide and whose time has run out; return those.

    Discloses
    ---------
    To each consumer: that its transfer has ended, and which term has run out.
    """
    with connector.database.read() as connection:
        live = list_live_transfers(connection, role=Role.PROVIDER)
        over = [one for one in live if _why(connector, connection, one)]
    return [ended for one in over if (ended := _end(connector, one)) is not None]


def end_with(connector: Connector, peer: ParticipantId) -> None:
    """End every transfer with a member that was revoked; it is not told, for it may not be asked.

    Discloses
    ---------
    Nothing.
    """
    with connector.database.write() as tx:
        for role in Role:
            for transfer in list_live_transfers(tx.connection, role=role, peer=peer):
                reason = "the member was revoked"
                abandon(tx, transfer, connector=connector, code=EXPELLED, reason=reason)


def _why(connector: Connector, connection: Connection, transfer: Transfer) -> DeniedError | None:
    """Say what has run out under a transfer, or None."""
    agreement = find_agreement(connection, transfer.agreement)
    dataset = find_dataset(connection, agreement.dataset) if agreement is not None else None
    if agreement is None or dataset is None:
        return None
    try:
        check_time(agreement, dataset, now=connector.clock.now())
    except DeniedError as refusal:
        return refusal
    return None


def _end(connector: Connector, transfer: Transfer) -> Transfer | None:
    """End one transfer, unless it has ended in the meantime."""
    with connector.database.write() as tx:
        present = get_process(tx.connection, Transfer, transfer.pid)
        refusal = _why(connector, tx.connection, present)
        if present.state in TERMINAL or refusal is None:
            return None
        reason = f"{refusal.code}: {refusal.public}"[:300]
        return end_transfer(tx, present, connector, code=CODE, reason=reason)
