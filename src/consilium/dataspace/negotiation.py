"""From an offer to an agreement: the verbs of both sides.

Consumer: `request_agreement` → `on_agreement` (verifies) → `on_finalized`.
Provider: `on_contract_request` (agrees) → `on_verification` (finalises).
Either: `terminate`, `on_termination`. Each is one transaction that holds the
state, its evidence and the message that tells the peer. Where our side has the
next step, `decide` is asked; if it waits, a person calls `proceed`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from consilium.dataspace.agreements import check_agreement, new_agreement
from consilium.dataspace.catalog import find_offered, request_dataset
from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import AGREED, FINALIZED, REQUESTED, TERMINATED, VERIFIED
from consilium.dataspace.policy import (
    agreement_of,
    evaluate,
    is_same_rules,
    offer_for,
    terms_of,
)
from consilium.dataspace.ports import Action, Question
from consilium.dataspace.records import Negotiation, Role
from consilium.dataspace.steps import begin, get_peers_process, post, step
from consilium.dataspace.store import (
    add,
    find_dataset,
    find_process_of,
    get_process,
)
from consilium.dataspace.vocabulary import OPERANDS, RECIPIENT, TIME
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.messages import (
    ContractAgreementMessage,
    ContractNegotiationTerminationMessage,
    ContractRequestMessage,
    Pids,
)
from consilium.dataspace.wire.tokens import Caller
from consilium.kernel.clock import write_time
from consilium.kernel.errors import DeniedError, InputError, NotFoundError, StateError
from consilium.kernel.identifiers import (
    AgreementId,
    DatasetId,
    OfferId,
    ParticipantId,
    ProcessId,
    new_urn,
)
from consilium.ledger.database import Transaction


def request_agreement(
    connector: Connector, provider: ParticipantId, *, dataset: DatasetId, offer: OfferId
) -> Negotiation:
    """Ask a provider for an agreement on one of its offers, as consumer.

    The offer is fetched anew and must allow us to use it now.

    Raises
    ------
    NotFoundError
        `dataspace.no_dataset`, `dataspace.no_offer`.
    DeniedError
        `dataspace.wrong_recipient`, `dataspace.outside_time` and the other terms.
    PeerError
        If the provider cannot be reached.

    Discloses
    ---------
    Our identifier and which offer we are interested in, to the provider.
    """
    listing = request_dataset(connector, provider, dataset)
    if listing.offer != offer:
        raise NotFoundError("dataspace.no_offer", offer=offer)
    facts = {RECIPIENT: connector.me, TIME: connector.clock.now()}
    evaluate(listing.policy, facts, later=OPERANDS.keys() - facts.keys()).require()
    policy = offer_for(listing.policy, target=listing.dataset)
    process = _new_negotiation(connector, Role.CONSUMER, provider, policy=policy)
    process = replace(process, peer_key=connector.directory.key_of(provider).text)
    message = builders.contract_request(process.pid, offer=policy, callback=connector.callback)
    with connector.database.write() as tx:
        begin(tx, process, connector=connector)
        post(tx, process, "/negotiations/request", message, connector=connector)
    return process


def on_contract_request(
    connector: Connector,
    message: ContractRequestMessage,
    *,
    policy: dict[str, Any],
    by: Caller,
) -> Negotiation:
    """Take a request for an agreement, as provider, and decide on it.

    A request that comes again (same consumer, same number) gives the
    negotiation that it opened.

    Parameters
    ----------
    policy : dict
        The message's offer as it was sent.

    Returns
    -------
    Negotiation
        In the state that the request brought it into; a repeated one as it
        stands now.

    Raises
    ------
    NotFoundError
        `dataspace.no_dataset`, also if it is not offered to the caller.
    DeniedError
        `dataspace.unknown_term`.
    InputError
        `dataspace.bad_message`, `dataspace.bad_terms`, `dataspace.pid_reused`.

    Discloses
    ---------
    Whether the dataset is offered to the caller.
    """
    if not message.callback:
        raise InputError(
            "dataspace.bad_message", message="ContractRequestMessage", place="callbackAddress"
        )
    with connector.database.write() as tx:
        known = find_process_of(
            tx.connection,
            Negotiation,
            role=Role.PROVIDER,
            peer=by.participant,
            peer_pid=message.consumer_pid,
        )
        if known is not None:
            return _same_request(known, policy)
        now = connector.clock.now()
        location = connector.directory.location_of(by.participant)
        target = message.offer.target
        find_offered(tx.connection, target, by.participant, now=now, location=location)
        terms_of(policy)
        process = replace(
            _new_negotiation(connector, Role.PROVIDER, by.participant, policy=policy),
            peer_pid=ProcessId(message.consumer_pid),
            peer_key=by.key.text,
            callback=message.callback,
        )
        begin(tx, process, connector=connector, by=by)
        _decide(tx, process, connector)
    return process


def on_agreement(
    connector: Connector,
    pid: str,
    message: ContractAgreementMessage,
    *,
    policy: dict[str, Any],
    by: Caller,
) -> Negotiation:
    """Take the provider's agreement, as consumer, and verify it.

    If it is not what was asked for, it is refused and the negotiation ended.

    Raises
    ------
    DeniedError
        `dataspace.agreement_differs`, `dataspace.unknown_term`.
    StateError, NotFoundError, InputError, IntegrityError
        As `steps.step` and `steps.get_peers_process`.

    Discloses
    ---------
    Nothing.
    """
    try:
        with connector.database.write() as tx:
            asked = get_peers_process(tx.connection, Negotiation, pid, by=by, pids=_pids(message))
            process = step(
                tx,
                asked,
                AGREED,
                connector=connector,
                by=by,
                agreement=AgreementId(message.agreement.id),
                policy=policy,
            )
            check_agreement(tx, asked, policy, me=connector.me)
            add(tx, new_agreement(connector, process, agreed=message.agreement.timestamp))
            _decide(tx, process, connector)
    except DeniedError as error:
        terminate(connector, ProcessId(pid), code=error.code, reason=error.rule)
        raise
    return process


def on_verification(connector: Connector, pid: str, message: Pids, *, by: Caller) -> Negotiation:
    """Take the consumer's verification, as provider, and finalise.

    Raises
    ------
    StateError, NotFoundError, InputError, IntegrityError
        As `steps.step` and `steps.get_peers_process`.

    Discloses
    ---------
    Nothing.
    """
    return _on_step(connector, pid, message, to=VERIFIED, by=by)


def on_event(
    connector: Connector, pid: str, message: Pids, *, event: str, by: Caller
) -> Negotiation:
    """Take `FINALIZED` as consumer, or `ACCEPTED` as provider; raises as `on_verification`.

    Discloses
    ---------
    Nothing.
    """
    return _on_step(connector, pid, message, to=event, by=by)


def on_termination(
    connector: Connector, pid: str, message: ContractNegotiationTerminationMessage, *, by: Caller
) -> Negotiation:
    """Take the peer's termination; raises as `on_verification`.

    Discloses
    ---------
    Nothing.
    """
    with connector.database.write() as tx:
        process = get_peers_process(tx.connection, Negotiation, pid, by=by, pids=_pids(message))
        reason = "; ".join(str(item) for item in message.reason)[:300]
        code = message.code[:80] or "dataspace.peer_terminated"
        return step(tx, process, TERMINATED, connector=connector, by=by, code=code, reason=reason)


def proceed(connector: Connector, pid: ProcessId) -> Negotiation:
    """Take our next step by a person's decision: agree, verify or finalise.

    Raises
    ------
    NotFoundError
        `dataspace.no_process`.
    StateError
        `dataspace.bad_step` if the next step is not ours.

    Discloses
    ---------
    The step, to the peer.
    """
    with connector.database.write() as tx:
        process = get_process(tx.connection, Negotiation, pid)
        return _take_next(tx, process, connector)


def terminate(connector: Connector, pid: ProcessId, *, code: str, reason: str) -> Negotiation:
    """End a negotiation from our side and tell the peer.

    Raises
    ------
    NotFoundError
        `dataspace.no_process`.
    StateError
        `dataspace.bad_step` where the protocol does not let us.

    Discloses
    ---------
    Code and reason, to the peer.
    """
    with connector.database.write() as tx:
        process = get_process(tx.connection, Negotiation, pid)
        return _terminate(tx, process, connector, code=code, reason=reason)


def _new_negotiation(
    connector: Connector, role: Role, peer: ParticipantId, *, policy: dict[str, Any]
) -> Negotiation:
    now = write_time(connector.clock.now())
    return Negotiation(
        pid=ProcessId(new_urn()),
        peer_pid=ProcessId(""),
        role=role,
        peer=peer,
        peer_key="",
        state=REQUESTED,
        dataset=DatasetId(policy["target"]),
        offer=OfferId(policy["@id"]),
        policy=policy,
        agreement=AgreementId(""),
        callback="",
        code="",
        reason="",
        created=now,
        updated=now,
    )


def _same_request(known: Negotiation, policy: dict[str, Any]) -> Negotiation:
    if known.dataset != policy.get("target") or not is_same_rules(known.policy, policy):
        raise InputError("dataspace.pid_reused", pid=known.peer_pid)
    return known


def _on_step(connector: Connector, pid: str, message: Pids, *, to: str, by: Caller) -> Negotiation:
    with connector.database.write() as tx:
        process = get_peers_process(tx.connection, Negotiation, pid, by=by, pids=_pids(message))
        process = step(tx, process, to, connector=connector, by=by)
        _decide(tx, process, connector)
    return process


def _decide(tx: Transaction, process: Negotiation, connector: Connector) -> None:
    """Ask whether our side takes its next step, and take it in the same transaction."""
    is_ours = process.role is Role.PROVIDER
    dataset = find_dataset(tx.connection, process.dataset) if is_ours else None
    now = connector.clock.now()
    verdict = connector.decide(Question(process=process, dataset=dataset, now=now))
    if verdict.action is Action.PROCEED:
        _take_next(tx, process, connector)
    elif verdict.action is Action.REFUSE:
        _terminate(tx, process, connector, code=verdict.code, reason=verdict.reason)


def _take_next(tx: Transaction, process: Negotiation, connector: Connector) -> Negotiation:
    take = _NEXT.get((process.role, process.state))
    if take is None:
        raise StateError(
            "dataspace.bad_step", now=process.state, wanted="next", sender=process.role.value
        )
    return take(tx, process, connector)


def _agree(tx: Transaction, process: Negotiation, connector: Connector) -> Negotiation:
    agreement = AgreementId(new_urn())
    agreed = write_time(connector.clock.now())
    policy = agreement_of(
        process.policy,
        agreement=agreement,
        assigner=connector.me,
        assignee=process.peer,
        timestamp=agreed,
    )
    process = step(tx, process, AGREED, connector=connector, agreement=agreement, policy=policy)
    add(tx, new_agreement(connector, process, agreed=agreed))
    message = builders.contract_agreement(policy)
    post(tx, process, "/negotiations/{peer}/agreement", message, connector=connector)
    return process


def _verify(tx: Transaction, process: Negotiation, connector: Connector) -> Negotiation:
    process = step(tx, process, VERIFIED, connector=connector)
    message = builders.agreement_verification()
    post(tx, process, "/negotiations/{peer}/agreement/verification", message, connector=connector)
    return process


def _finalize(tx: Transaction, process: Negotiation, connector: Connector) -> Negotiation:
    process = step(tx, process, FINALIZED, connector=connector)
    message = builders.negotiation_finalized()
    post(tx, process, "/negotiations/{peer}/events", message, connector=connector)
    return process


_NEXT = {
    (Role.PROVIDER, REQUESTED): _agree,
    (Role.CONSUMER, AGREED): _verify,
    (Role.PROVIDER, VERIFIED): _finalize,
}


def _terminate(
    tx: Transaction, process: Negotiation, connector: Connector, *, code: str, reason: str
) -> Negotiation:
    process = step(tx, process, TERMINATED, connector=connector, code=code, reason=reason)
    message = builders.negotiation_termination(code, reason)
    post(tx, process, "/negotiations/{peer}/termination", message, connector=connector)
    return process


def _pids(message: Pids) -> dict[Role, str]:
    return {Role.PROVIDER: message.provider_pid, Role.CONSUMER: message.consumer_pid}
