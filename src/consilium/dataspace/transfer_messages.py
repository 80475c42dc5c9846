"""From an agreement to a running study: what the peer sends, and what our side makes of it.

Provider: `on_transfer_request` (checks the signed study, starts). Either:
`on_start`, `on_suspension`, `on_completion`, `on_termination`. A message that
is no news changes nothing and is answered with the state as it stands.
"""

from __future__ import annotations

from typing import Any

from consilium.dataspace.arrivals import admit_message, check_pinned, get_peers_process
from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import COMPLETED, FINALIZED, STARTED, SUSPENDED, TERMINATED
from consilium.dataspace.ports import Action, Question, Verdict
from consilium.dataspace.records import Agreement, Role, Transfer
from consilium.dataspace.revoked import check_not_revoked
from consilium.dataspace.steps import begin, step
from consilium.dataspace.store import (
    find_dataset,
    find_process_of,
    find_transfer,
    get_agreement,
)
from consilium.dataspace.studies import StudyClaims, no_study
from consilium.dataspace.transfer import check_study, end_transfer, new_transfer, start_transfer
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.anybody import ANYBODY
from consilium.dataspace.wire.messages import (
    Pids,
    TransferRequestMessage,
    TransferSuspensionMessage,
    TransferTerminationMessage,
    WithCode,
)
from consilium.dataspace.wire.tokens import Caller
from consilium.kernel.errors import DeniedError, InputError, NotFoundError, StateError
from consilium.ledger.database import Transaction


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
        known = find_process_of(
            tx.connection,
            Transfer,
            role=Role.PROVIDER,
            peer=by.participant,
            peer_pid=message.consumer_pid,
        )
        if known is not None:
            return _same_request(known, message)
        check_not_revoked(tx.connection, agreed)
        claims = _claims_of(connector, agreed, message, address=address)
        other = find_transfer(tx.connection, agreement=agreed.id, study=claims.study)
        if other is not None:
            raise StateError("dataspace.study_known", study=claims.study, now=other.state)
        process = new_transfer(
            connector,
            Role.PROVIDER,
            agreed,
            claims=claims,
            signed=message.study,
            address=address,
            peer_pid=message.consumer_pid,
            callback=message.callback,
        )
        process = begin(tx, process, connector=connector, by=by)
        _decide(tx, process, connector)
    return process


def _claims_of(
    connector: Connector,
    agreed: Agreement,
    message: TransferRequestMessage,
    *,
    address: dict[str, Any],
) -> StudyClaims:
    """Read the signed study; a conformance run has none, and its transfer opens no gate."""
    if agreed.consumer == ANYBODY:
        if agreed.state != FINALIZED:
            raise StateError(
                "dataspace.not_finalized", agreement=agreed.id, now=agreed.state, wanted=FINALIZED
            )
        return no_study(message.consumer_pid)
    if message.format != builders.FORMAT or not address.get("endpoint"):
        raise InputError("dataspace.bad_format", format=builders.FORMAT)
    return check_study(connector, agreed, message.study)


def on_start(connector: Connector, pid: str, message: Pids, *, by: Caller) -> Transfer:
    """Take the peer's start. What we have suspended is resumed only if `decide` says so.

    Raises
    ------
    DeniedError
        `dataspace.held`.
    StateError, NotFoundError, InputError, IntegrityError
        As `steps.step` and `arrivals.get_peers_process`.

    Discloses
    ---------
    Nothing.
    """
    with connector.database.write() as tx:
        found = get_peers_process(tx.connection, Transfer, pid, by=by, message=message)
        process = admit_message(tx, found, message, to=STARTED)
        if process is None:
            return found
        is_held = process.state == SUSPENDED and process.holder == process.role
        process = step(
            tx, process, STARTED, connector=connector, by=by, code="", reason="", holder=""
        )
        if is_held and not _lets_go(tx, found, connector):
            raise DeniedError("dataspace.held", rule="suspended")
    return process


def on_suspension(
    connector: Connector, pid: str, message: TransferSuspensionMessage, *, by: Caller
) -> Transfer:
    """Take the peer's pause; raises as `on_start`, but for `dataspace.held`.

    Discloses
    ---------
    Nothing.
    """
    code, reason = _why(message, "dataspace.peer_suspended")
    return _on_step(connector, pid, message, to=SUSPENDED, by=by, code=code, reason=reason)


def on_completion(connector: Connector, pid: str, message: Pids, *, by: Caller) -> Transfer:
    """Take the peer's completion; raises as `on_suspension`.

    Discloses
    ---------
    Nothing.
    """
    return _on_step(connector, pid, message, to=COMPLETED, by=by)


def on_termination(
    connector: Connector, pid: str, message: TransferTerminationMessage, *, by: Caller
) -> Transfer:
    """Take the peer's termination; raises as `on_suspension`.

    Discloses
    ---------
    Nothing.
    """
    code, reason = _why(message, "dataspace.peer_terminated")
    return _on_step(connector, pid, message, to=TERMINATED, by=by, code=code, reason=reason)


def _why(message: WithCode, otherwise: str) -> tuple[str, str]:
    reason = "; ".join(str(item) for item in message.reason)[:300]
    return message.code[:80] or otherwise, reason


def _on_step(
    connector: Connector, pid: str, message: Pids, *, to: str, by: Caller, **changes: str
) -> Transfer:
    with connector.database.write() as tx:
        found = get_peers_process(tx.connection, Transfer, pid, by=by, message=message)
        process = admit_message(tx, found, message, to=to)
        if process is None:
            return found
        changes["holder"] = process.role.other.value if to == SUSPENDED else ""
        return step(tx, process, to, connector=connector, by=by, **changes)


def _same_request(known: Transfer, message: TransferRequestMessage) -> Transfer:
    if (known.agreement, known.signed_study) != (message.agreement, message.study):
        raise InputError("dataspace.pid_reused", pid=known.peer_pid)
    return known


def _ask(tx: Transaction, process: Transfer, connector: Connector) -> Verdict:
    dataset = None
    if process.role is Role.PROVIDER:
        agreed = get_agreement(tx.connection, process.agreement)
        dataset = find_dataset(tx.connection, agreed.dataset)
    now = connector.clock.now()
    return connector.decide(Question(process=process, dataset=dataset, now=now))


def _lets_go(tx: Transaction, process: Transfer, connector: Connector) -> bool:
    return _ask(tx, process, connector).action is Action.PROCEED


def _decide(tx: Transaction, process: Transfer, connector: Connector) -> None:
    verdict = _ask(tx, process, connector)
    if verdict.action is Action.PROCEED:
        start_transfer(tx, process, connector)
    elif verdict.action is Action.REFUSE:
        end_transfer(tx, process, connector, code=verdict.code, reason=verdict.reason)
    else:
        connector.waiting(tx, process, verdict)
