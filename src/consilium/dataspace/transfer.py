"""From an agreement to a running study: the steps that our side takes.

A consumer asks (`request_transfer`), the provider starts. From then on either
side may suspend, resume, complete or terminate it. What comes from the peer
stands in `transfer_messages`. No data travel by a transfer; it opens the way for
a study's rounds, and its end or pause closes it: the gate asks for its state in
each round.

Who has suspended a transfer holds it (`Transfer.holder`), and resumes it. The
protocol lets the other side ask for that too: it sends its start, and the
holder's `decide` says whether it may. A refused start is taken back. When both
sides suspend at once, the provider holds it: the data are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consilium.dataspace.arrivals import check_pinned
from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import (
    COMPLETED,
    FINALIZED,
    NONE,
    REQUESTED,
    STARTED,
    SUSPENDED,
    TERMINATED,
)
from consilium.dataspace.records import Agreement, Role, Transfer
from consilium.dataspace.revoked import check_not_revoked
from consilium.dataspace.steps import begin, post, step
from consilium.dataspace.store import find_transfer, get_agreement, get_process
from consilium.dataspace.studies import StudyClaims, verify_study
from consilium.dataspace.wire import builders
from consilium.kernel.clock import write_time
from consilium.kernel.errors import StateError
from consilium.kernel.identifiers import AgreementId, ParticipantId, ProcessId, new_urn
from consilium.ledger.database import Transaction


def request_transfer(
    connector: Connector,
    agreement: AgreementId,
    *,
    signed_study: str,
    endpoint: str,
    properties: Mapping[str, str] | None = None,
) -> Transfer:
    """Open a study under an agreement, as consumer.

    Asked again for the same study, it gives the transfer that there is.

    Parameters
    ----------
    signed_study : str
        The lead's statement of kind `study`.
    endpoint : str
        URL of the aggregator that the provider is to call.
    properties : mapping of str to str, optional
        Further facts on the aggregator.

    Raises
    ------
    NotFoundError
        `dataspace.no_agreement`.
    StateError
        `dataspace.not_finalized`, `dataspace.agreement_revoked`, `dataspace.study_known`.
    IntegrityError
        `dataspace.key_changed` if the provider's key is not the agreed one.
    InputError, DeniedError
        As `verify_study`: what the provider would refuse is refused here.

    Discloses
    ---------
    The signed study and the aggregator's address, to the provider.
    """
    address = builders.data_address(endpoint, properties or {})
    with connector.database.write() as tx:
        agreed = get_agreement(tx.connection, agreement, role=Role.CONSUMER)
        shown = connector.directory.key_of(agreed.provider).text
        check_pinned(agreed.provider, shown=shown, pinned=agreed.provider_key)
        claims = check_study(connector, agreed, signed_study)
        known = find_transfer(
            tx.connection, agreement=agreed.id, study=claims.study, role=Role.CONSUMER
        )
        if known is not None:
            return _same_study(known, claims)
        check_not_revoked(tx.connection, agreed)
        process = new_transfer(
            connector, Role.CONSUMER, agreed, claims=claims, signed=signed_study, address=address
        )
        message = builders.transfer_request(
            process.pid,
            agreement=agreed.id,
            callback=connector.callback,
            address=address,
            study=signed_study,
        )
        process = begin(tx, process, connector=connector)
        post(tx, process, "/transfers/request", message, connector=connector, before=NONE)
    return process


def start(connector: Connector, pid: ProcessId) -> Transfer:
    """Start a transfer, or resume one that is suspended, by a person's decision.

    Raises
    ------
    NotFoundError
        `dataspace.no_process`.
    StateError
        `dataspace.bad_step`, `dataspace.under_way`.

    Discloses
    ---------
    The step, to the peer.
    """
    with connector.database.write() as tx:
        return start_transfer(tx, get_process(tx.connection, Transfer, pid), connector)


def resume(connector: Connector, pid: ProcessId) -> Transfer:
    """Resume a suspended transfer; raises as `start`.

    Discloses
    ---------
    The step, to the peer.
    """
    with connector.database.write() as tx:
        process = get_process(tx.connection, Transfer, pid)
        if process.state != SUSPENDED:
            raise StateError(
                "dataspace.bad_step", now=process.state, wanted=STARTED, sender=process.role.value
            )
        return start_transfer(tx, process, connector)


def suspend(connector: Connector, pid: ProcessId, *, code: str, reason: str) -> Transfer:
    """Pause a transfer; until it is resumed it gives no lease. Raises as `start`.

    Discloses
    ---------
    Code and reason, to the peer.
    """
    with connector.database.write() as tx:
        process = get_process(tx.connection, Transfer, pid)
        before, holder = process.state, process.role.value
        process = step(
            tx, process, SUSPENDED, connector=connector, code=code, reason=reason, holder=holder
        )
        message = builders.transfer_suspension(code, reason)
        path = "/transfers/{peer}/suspension"
        post(tx, process, path, message, connector=connector, before=before)
    return process


def complete(connector: Connector, pid: ProcessId) -> Transfer:
    """Complete a transfer and tell the peer; raises as `start`.

    Discloses
    ---------
    The step, to the peer.
    """
    with connector.database.write() as tx:
        process = get_process(tx.connection, Transfer, pid)
        before = process.state
        process = step(tx, process, COMPLETED, connector=connector)
        message = builders.transfer_completion()
        path = "/transfers/{peer}/completion"
        post(tx, process, path, message, connector=connector, before=before)
    return process


def terminate(connector: Connector, pid: ProcessId, *, code: str, reason: str) -> Transfer:
    """End a transfer from our side and tell the peer; raises as `start`.

    Discloses
    ---------
    Code and reason, to the peer.
    """
    with connector.database.write() as tx:
        process = get_process(tx.connection, Transfer, pid)
        return end_transfer(tx, process, connector, code=code, reason=reason)


def start_transfer(tx: Transaction, process: Transfer, connector: Connector) -> Transfer:
    """Start or resume a transfer; raises and discloses as `start` does."""
    before = process.state
    process = step(tx, process, STARTED, connector=connector, code="", reason="", holder="")
    message = builders.transfer_start()
    path = "/transfers/{peer}/start"
    post(tx, process, path, message, connector=connector, before=before)
    return process


def end_transfer(
    tx: Transaction, process: Transfer, connector: Connector, *, code: str, reason: str
) -> Transfer:
    """End a transfer; raises and discloses as `terminate` does."""
    before = process.state
    process = step(
        tx, process, TERMINATED, connector=connector, code=code, reason=reason, holder=""
    )
    message = builders.transfer_termination(code, reason)
    path = "/transfers/{peer}/termination"
    post(tx, process, path, message, connector=connector, before=before)
    return process


def check_study(connector: Connector, agreed: Agreement, signed: str) -> StudyClaims:
    """Check a signed study against a finalised agreement; raises as `verify_study`."""
    if agreed.state != FINALIZED:
        raise StateError(
            "dataspace.not_finalized", agreement=agreed.id, now=agreed.state, wanted=FINALIZED
        )
    return verify_study(signed, agreed, now=connector.clock.now())


def new_transfer(
    connector: Connector,
    role: Role,
    agreed: Agreement,
    *,
    claims: StudyClaims,
    signed: str,
    address: dict[str, Any],
    peer_pid: str = "",
    callback: str = "",
) -> Transfer:
    """Write a transfer that nobody knows of yet, in the state of its first message."""
    now = write_time(connector.clock.now())
    return Transfer(
        pid=ProcessId(new_urn()),
        peer_pid=ProcessId(peer_pid),
        role=role,
        peer=_peer(agreed, role),
        agreement=agreed.id,
        study=claims.study,
        study_digest=claims.digest,
        signed_study=signed,
        data_address=address,
        state=REQUESTED,
        code="",
        reason="",
        created=now,
        updated=now,
        callback=callback,
    )


def _peer(agreed: Agreement, role: Role) -> ParticipantId:
    return agreed.provider if role is Role.CONSUMER else agreed.consumer


def _same_study(known: Transfer, claims: StudyClaims) -> Transfer:
    if known.study_digest != claims.digest:
        raise StateError("dataspace.study_known", study=known.study, now=known.state)
    return known
