"""From an offer to an agreement: what the peer sends, and what our side makes of it.

Provider: `on_contract_request`, `on_counter_request`, `on_verification`,
`on_event` (accepted). Consumer: `on_offer`, `on_counter_offer`,
`on_agreement`, `on_event` (finalised). Either: `on_termination`. A message that
is no news changes nothing and is answered with the state as it stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from consilium.dataspace.agreements import check_agreement, new_agreement
from consilium.dataspace.arrivals import admit_message, get_peers_process
from consilium.dataspace.catalog import find_offered
from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import (
    AGREED,
    NEGOTIATION,
    OFFERED,
    REQUESTED,
    TERMINATED,
    VERIFIED,
)
from consilium.dataspace.negotiation import decide_next, end_negotiation, new_negotiation
from consilium.dataspace.policy import evaluate, is_same_rules, terms_of
from consilium.dataspace.records import Negotiation, Role
from consilium.dataspace.steps import begin, step
from consilium.dataspace.store import add, find_process_of, list_history
from consilium.dataspace.vocabulary import OPERANDS, RECIPIENT, TIME
from consilium.dataspace.wire.messages import (
    ContractAgreementMessage,
    ContractNegotiationTerminationMessage,
    ContractOfferMessage,
    ContractRequestMessage,
    Pids,
)
from consilium.dataspace.wire.tokens import Caller
from consilium.kernel.errors import DeniedError, InputError
from consilium.kernel.identifiers import AgreementId, OfferId, ProcessId
from consilium.ledger.database import Transaction

Policy = dict[str, Any]
"""An offer or agreement as it was sent."""


def on_contract_request(
    connector: Connector, message: ContractRequestMessage, *, policy: Policy, by: Caller
) -> Negotiation:
    """Take a first request for an agreement, as provider, and decide on it.

    A request that comes again (same consumer, same number) gives the
    negotiation that it opened.

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
    _require(message.callback, "ContractRequestMessage", "callbackAddress")
    with connector.database.write() as tx:
        known = _find_opened(tx, Role.PROVIDER, by, message.consumer_pid, policy)
        if known is not None:
            return known
        now = connector.clock.now()
        find_offered(tx.connection, message.offer.target, by.participant, now=now)
        terms_of(policy)
        process = replace(
            new_negotiation(connector, Role.PROVIDER, by.participant, policy=policy),
            peer_pid=ProcessId(message.consumer_pid),
            peer_key=by.key.text,
            callback=message.callback,
        )
        process = begin(tx, process, connector=connector, by=by)
        decide_next(tx, process, connector)
    return process


def on_offer(
    connector: Connector, message: ContractOfferMessage, *, policy: Policy, by: Caller
) -> Negotiation:
    """Take a first offer of a provider, as consumer, and decide on it.

    An offer that comes again (same provider, same number) gives the negotiation
    that it opened.

    Raises
    ------
    DeniedError
        `dataspace.unknown_term`, `dataspace.wrong_recipient`,
        `dataspace.outside_time`.
    InputError
        `dataspace.bad_message`, `dataspace.bad_terms`, `dataspace.pid_reused`.

    Discloses
    ---------
    Nothing.
    """
    _require(message.callback, "ContractOfferMessage", "callbackAddress")
    with connector.database.write() as tx:
        known = _find_opened(tx, Role.CONSUMER, by, message.provider_pid, policy)
        if known is not None:
            return known
        _check_offered(connector, policy, by)
        process = replace(
            new_negotiation(connector, Role.CONSUMER, by.participant, policy=policy),
            state=OFFERED,
            peer_pid=ProcessId(message.provider_pid),
            peer_key=by.key.text,
            callback=message.callback,
        )
        process = begin(tx, process, connector=connector, by=by)
        decide_next(tx, process, connector)
    return process


def on_counter_request(
    connector: Connector, pid: str, message: ContractRequestMessage, *, policy: Policy, by: Caller
) -> Negotiation:
    """Take the consumer's answer to our offer: a request with terms of its own.

    Raises
    ------
    DeniedError
        `dataspace.unknown_term`.
    InputError
        `dataspace.bad_message`, `dataspace.bad_terms`, `dataspace.other_target`.
    StateError, NotFoundError, IntegrityError
        As `steps.step` and `arrivals.get_peers_process`.

    Discloses
    ---------
    Nothing.
    """
    _require(message.provider_pid, "ContractRequestMessage", "providerPid")
    return _on_counter(connector, pid, message, to=REQUESTED, policy=policy, by=by)


def on_counter_offer(
    connector: Connector, pid: str, message: ContractOfferMessage, *, policy: Policy, by: Caller
) -> Negotiation:
    """Take the provider's answer to our request: an offer with terms of its own.

    Raises
    ------
    DeniedError
        `dataspace.unknown_term`, `dataspace.wrong_recipient`,
        `dataspace.outside_time`.
    InputError
        `dataspace.bad_message`, `dataspace.bad_terms`, `dataspace.other_target`.
    StateError, NotFoundError, IntegrityError
        As `steps.step` and `arrivals.get_peers_process`.

    Discloses
    ---------
    Nothing.
    """
    _require(message.consumer_pid, "ContractOfferMessage", "consumerPid")
    return _on_counter(connector, pid, message, to=OFFERED, policy=policy, by=by)


def on_agreement(
    connector: Connector,
    pid: str,
    message: ContractAgreementMessage,
    *,
    policy: Policy,
    by: Caller,
) -> Negotiation:
    """Take the provider's agreement, as consumer, and verify it.

    If it is not what was asked for or accepted, it is refused and the
    negotiation ended.

    Raises
    ------
    DeniedError
        `dataspace.agreement_differs`, `dataspace.unknown_term`.
    StateError, NotFoundError, InputError, IntegrityError
        As `steps.step` and `arrivals.get_peers_process`.

    Discloses
    ---------
    Nothing.
    """
    try:
        with connector.database.write() as tx:
            found = get_peers_process(tx.connection, Negotiation, pid, by=by, message=message)
            asked = admit_message(tx, found, message, to=AGREED)
            if asked is None:
                return found
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
            decide_next(tx, process, connector)
    except DeniedError as error:
        _end_refused(connector, pid, message, error, by=by)
        raise
    return process


def on_verification(connector: Connector, pid: str, message: Pids, *, by: Caller) -> Negotiation:
    """Take the consumer's verification, as provider, and finalise.

    Raises
    ------
    StateError, NotFoundError, InputError, IntegrityError
        As `steps.step` and `arrivals.get_peers_process`.

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
    reason = "; ".join(str(item) for item in message.reason)[:300]
    code = message.code[:80] or "dataspace.peer_terminated"
    return _on_step(connector, pid, message, to=TERMINATED, by=by, code=code, reason=reason)


def _on_step(
    connector: Connector, pid: str, message: Pids, *, to: str, by: Caller, **changes: str
) -> Negotiation:
    with connector.database.write() as tx:
        found = get_peers_process(tx.connection, Negotiation, pid, by=by, message=message)
        process = admit_message(tx, found, message, to=to)
        if process is None:
            return found
        process = step(tx, process, to, connector=connector, by=by, **changes)
        decide_next(tx, process, connector)
    return process


def _on_counter(
    connector: Connector,
    pid: str,
    message: ContractRequestMessage | ContractOfferMessage,
    *,
    to: str,
    policy: Policy,
    by: Caller,
) -> Negotiation:
    with connector.database.write() as tx:
        found = get_peers_process(tx.connection, Negotiation, pid, by=by, message=message)
        process = admit_message(tx, found, message, to=to)
        if process is None:
            return found
        offer = OfferId(policy["@id"])
        process = step(tx, process, to, connector=connector, by=by, policy=policy, offer=offer)
        if policy.get("target") != process.dataset:
            raise InputError("dataspace.other_target", dataset=process.dataset)
        if process.role is Role.CONSUMER:
            _check_offered(connector, policy, by)
        terms_of(policy)
        decide_next(tx, process, connector)
    return process


def _find_opened(
    tx: Transaction, role: Role, by: Caller, peer_pid: str, policy: Policy
) -> Negotiation | None:
    """Look for the negotiation that this very message opened before.

    Raises
    ------
    InputError
        `dataspace.pid_reused` if the number stands for another one.
    """
    known = find_process_of(
        tx.connection, Negotiation, role=role, peer=by.participant, peer_pid=peer_pid
    )
    if known is None:
        return None
    first = next(iter(list_history(tx.connection, known.pid)), None)
    opened = known.policy if first is None or first.policy is None else first.policy
    is_ours = first is not None and first.sender is role
    if is_ours or known.dataset != policy.get("target") or not is_same_rules(opened, policy):
        raise InputError("dataspace.pid_reused", pid=known.peer_pid)
    return known


def _check_offered(connector: Connector, policy: Policy, by: Caller) -> None:
    """Refuse an offer that we could not use, or that names other parties."""
    terms_of(policy)
    facts = {RECIPIENT: connector.me, TIME: connector.clock.now()}
    evaluate(policy, facts, later=OPERANDS.keys() - facts.keys()).require()
    parties = {"assigner": by.participant, "assignee": connector.me}
    for name, party in parties.items():
        if policy.get(name, party) != party:
            raise DeniedError("dataspace.wrong_recipient", rule=name)


def _end_refused(
    connector: Connector, pid: str, message: Pids, error: DeniedError, *, by: Caller
) -> None:
    """End a negotiation whose agreement we have refused.

    After we have accepted an offer only the provider may end it; it does when it
    learns of the refusal.
    """
    with connector.database.write() as tx:
        process = get_peers_process(tx.connection, Negotiation, pid, by=by, message=message)
        if TERMINATED not in NEGOTIATION[process.role][process.state]:
            return
        end_negotiation(tx, process, connector, code=error.code, reason=error.rule)


def _require(value: str, message: str, place: str) -> None:
    """Refuse a message that belongs on another path."""
    if not value:
        raise InputError("dataspace.bad_message", message=message, place=place)
