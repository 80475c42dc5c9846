"""What follows when a peer refuses a step of ours: both sides must end in one state.

The peer stands where it stood, so our step is taken back first. Then the process
is ended, with the peer's own reason, wherever the protocol lets us; a process
that lingers in a state which one side refuses would help nobody. Only a wish to
resume a transfer may fail without an end: it stays suspended.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import (
    FINALIZED,
    NONE,
    STARTED,
    SUSPENDED,
    TERMINATED,
    machine_of,
)
from consilium.dataspace.negotiation import end_negotiation
from consilium.dataspace.records import Negotiation, Process
from consilium.dataspace.steps import abandon, take_back
from consilium.dataspace.transfer import end_transfer
from consilium.ledger.database import Transaction


def settle_refusal(
    tx: Transaction,
    process: Process,
    row: Row[Any],
    *,
    connector: Connector,
    code: str,
    reason: str,
) -> None:
    """Bring a process in order whose message `row` the peer has refused for good.

    Discloses
    ---------
    To the peer: that the process has ended, with the reason that it gave itself.
    """
    code, reason = code[:80] or "dataspace.peer_refused", reason[:300]
    if row.before == NONE or row.wanted in {FINALIZED, TERMINATED}:
        abandon(tx, process, connector=connector, code=code, reason=reason)
        return
    undone = take_back(tx, process, before=row.before, number=row.number, code=code)
    if (row.before, row.wanted) == (SUSPENDED, STARTED):
        return
    if TERMINATED not in machine_of(undone)[undone.role][undone.state]:
        abandon(tx, undone, connector=connector, code=code, reason=reason)
    elif isinstance(undone, Negotiation):
        end_negotiation(tx, undone, connector, code=code, reason=reason)
    else:
        end_transfer(tx, undone, connector, code=code, reason=reason)
