"""From an agreement to a running study: the verbs of both sides.

Consumer: `request_transfer` → `on_start` → `complete`. Provider:
`on_transfer_request` (checks the signed study, starts). Either: `terminate`,
`on_completion`, `on_termination`. No data travel by a transfer; it opens the
way for a study's rounds, and its end closes it: the gate asks for its state in
each round.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import COMPLETED, FINALIZED, REQUESTED, STARTED, TERMINATED
from consilium.dataspace.ports import Action, Question
from consilium.dataspace.records import Agreement, Role, Transfer
from consilium.dataspace.revocation import check_not_revoked
from consilium.dataspace.steps import begin, check_pinned, get_peers_process, post, step
from consilium.dataspace.store import (
    find_dataset,
    find_process_of,
    find_transfer,
    get_agreement,
    get_process,
)
from consilium.dataspace.studies import StudyClaims, verify_study
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.messages import (
    Pids,
    TransferRequestMessage,
    TransferTerminationMessage,
)
from consilium.dataspace.wire.tokens import Caller
from consilium.kernel.clock import write_time
from consilium.kernel.errors import InputError, NotFoundError, StateError
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
        check_not_revoked(tx.connection, agreed)
        claims = _check_study(connector, agreed, signed_study)
        known = find_transfer(
            tx.connection, agreement=agreed.id, study=claims.study, role=Role.CONSUMER
        )
        if known is not None:
            return _same_study(known, claims)
        process = _new_transfer(
            connector, Role.CONSUMER, agreed, claims=claims, signed=signed_study, address=address
        )
        message = builders.transfer_request(
            process.pid,
            agreement=agreed.id,
            callback=connector.callback,
            address=address,
            study=signed_study,
        )
        begin(tx, process, connector=connector)
        post(tx, process, "/transfers/request", message, connector=connector)
    return process


def on_transfer_request(
    connector: Connector,
    message: TransferRequestMessage,
    *,
    address: dict[str, Any],
    by: Caller,
) -> Transfer:
    """Take a request to open a study, as provider, and start it if all is in order.

    A request that comes again (same consumer, same number) gives the transfer
    that it opened. A refused request opens none.

    Parameters
    ----------
    address : dict
        The message's data address as it was sent; empty if there was none.

    Raises
    ------
    NotFoundError
        `dataspace.no_agreement`, also if it belongs to others.
    InputError
        `dataspace.bad_format`, `dataspace.bad_study`, `dataspace.pid_reused`.
    StateError
        `dataspace.not_finalized`, `dataspace.agreement_revoked`, `dataspace.study_known`.
    IntegrityError
        `dataspace.key_changed`.
    DeniedError
        As `verify_study`.

    Discloses
    ---------
    Which rule refused the study, to its lead.
    """
    with connector.database.write() as tx:
        agreed = get_agreement(tx.connection, message.agreement)
        if agreed.consumer != by.participant:
            raise NotFoundError("dataspace.no_agreement", agreement=message.agreement)
        check_pinned(by.participant, shown=by.key.text, pinned=agreed.consumer_key)
        check_not_revoked(tx.connection, agreed)
        known = find_process_of(
            tx.connection,
            Transfer,
            role=Role.PROVIDER,
            peer=by.participant,
            peer_pid=message.consumer_pid,
        )
        if known is not None:
            return _same_request(known, message)
        if message.format != builders.FORMAT or not address.get("endpoint"):
            raise InputError("dataspace.bad_format", format=builders.FORMAT)
        claims = _check_study(connector, agreed, message.study)
        other = find_transfer(tx.connection, agreement=agreed.id, study=claims.study)
        if other is not None:
            raise StateError("dataspace.study_known", study=claims.study, now=other.state)
        process = _new_transfer(
            connector,
            Role.PROVIDER,
            agreed,
            claims=claims,
            signed=message.study,
            address=address,
            peer_pid=message.consumer_pid,
        )
        begin(tx, process, connector=connector, by=by)
        _decide(tx, process, agreed, connector)
    return process


def on_start(connector: Connector, pid: str, message: Pids, *, by: Caller) -> Transfer:
    """Take the peer's start.

    Raises
    ------
    StateError, NotFoundError, InputError, IntegrityError
        As `steps.step` and `steps.get_peers_process`.

    Discloses
    ---------
    Nothing.
    """
    return _on_step(connector, pid, message, to=STARTED, by=by)


def on_completion(connector: Connector, pid: str, message: Pids, *, by: Caller) -> Transfer:
    """Take the peer's completion; raises as `on_start`.

    Discloses
    ---------
    Nothing.
    """
    return _on_step(connector, pid, message, to=COMPLETED, by=by)


def on_termination(
    connector: Connector, pid: str, message: TransferTerminationMessage, *, by: Caller
) -> Transfer:
    """Take the peer's termination; raises as `on_start`.

    Discloses
    ---------
    Nothing.
    """
    reason = "; ".join(str(item) for item in message.reason)[:300]
    code = message.code[:80] or "dataspace.peer_terminated"
    return _on_step(connector, pid, message, to=TERMINATED, by=by, code=code, reason=reason)


def start(connector: Connector, pid: ProcessId) -> Transfer:
    """Start a transfer by a person's decision.

    Raises
    ------
    NotFoundError
        `dataspace.no_process`.
    StateError
        `dataspace.bad_step`.

    Discloses
    ---------
    The step, to the peer.
    """
    with connector.database.write() as tx:
        return _start(tx, get_process(tx.connection, Transfer, pid), connector)


def complete(connector: Connector, pid: ProcessId) -> Transfer:
    """Complete a transfer and tell the peer; raises as `start`.

    Discloses
    ---------
    The step, to the peer.
    """
    with connector.database.write() as tx:
        process = get_process(tx.connection, Transfer, pid)
        process = step(tx, process, COMPLETED, connector=connector)
        message = builders.transfer_completion()
        post(tx, process, "/transfers/{peer}/completion", message, connector=connector)
    return process


def terminate(connector: Connector, pid: ProcessId, *, code: str, reason: str) -> Transfer:
    """End a transfer from our side and tell the peer; raises as `start`.

    Discloses
    ---------
    Code and reason, to the peer.
    """
    with connector.database.write() as tx:
        process = get_process(tx.connection, Transfer, pid)
        return _terminate(tx, process, connector, code=code, reason=reason)


def _check_study(connector: Connector, agreed: Agreement, signed: str) -> StudyClaims:
    if agreed.state != FINALIZED:
        raise StateError(
            "dataspace.not_finalized", agreement=agreed.id, now=agreed.state, wanted=FINALIZED
        )
    return verify_study(signed, agreed, now=connector.clock.now())


def _new_transfer(
    connector: Connector,
    role: Role,
    agreed: Agreement,
    *,
    claims: StudyClaims,
    signed: str,
    address: dict[str, Any],
    peer_pid: str = "",
) -> Transfer:
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
    )


def _peer(agreed: Agreement, role: Role) -> ParticipantId:
    return agreed.provider if role is Role.CONSUMER else agreed.consumer


def _same_study(known: Transfer, claims: StudyClaims) -> Transfer:
    if known.study_digest != claims.digest:
        raise StateError("dataspace.study_known", study=known.study, now=known.state)
    return known


def _same_request(known: Transfer, message: TransferRequestMessage) -> Transfer:
    if (known.agreement, known.signed_study) != (message.agreement, message.study):
        raise InputError("dataspace.pid_reused", pid=known.peer_pid)
    return known


def _on_step(
    connector: Connector, pid: str, message: Pids, *, to: str, by: Caller, **changes: str
) -> Transfer:
    pids = {Role.PROVIDER: message.provider_pid, Role.CONSUMER: message.consumer_pid}
    with connector.database.write() as tx:
        process = get_peers_process(tx.connection, Transfer, pid, by=by, pids=pids)
        return step(tx, process, to, connector=connector, by=by, **changes)


def _decide(tx: Transaction, process: Transfer, agreed: Agreement, connector: Connector) -> None:
    dataset = find_dataset(tx.connection, agreed.dataset)
    now = connector.clock.now()
    verdict = connector.decide(Question(process=process, dataset=dataset, now=now))
    if verdict.action is Action.PROCEED:
        _start(tx, process, connector)
    elif verdict.action is Action.REFUSE:
        _terminate(tx, process, connector, code=verdict.code, reason=verdict.reason)


def _start(tx: Transaction, process: Transfer, connector: Connector) -> Transfer:
    process = step(tx, process, STARTED, connector=connector)
    message = builders.transfer_start()
    post(tx, process, "/transfers/{peer}/start", message, connector=connector)
    return process


def _terminate(
    tx: Transaction, process: Transfer, connector: Connector, *, code: str, reason: str
) -> Transfer:
    process = step(tx, process, TERMINATED, connector=connector, code=code, reason=reason)
    message = builders.transfer_termination(code, reason)
    post(tx, process, "/transfers/{peer}/termination", message, connector=connector)
    return process
