"""From an offer to an agreement: the steps that our side takes.

A consumer asks (`request_agreement`) or a provider offers (`offer_agreement`).
Each may answer the other with terms of its own (`counter`), until the provider
agrees to a request or the consumer accepts an offer. Then the provider agrees,
the consumer verifies, the provider finalises. Each step is one transaction that
holds the state, its evidence and the message that tells the peer. What comes
from the peer stands in `negotiation_messages`. Where our side has the next
step, `decide` is asked; if it waits, a person calls `proceed` or one of the
verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from consilium.dataspace.agreements import new_agreement
from consilium.dataspace.catalog import check_offer, facts_of, request_dataset
from consilium.dataspace.connector import Connector
from consilium.dataspace.datasets import get_dataset
from consilium.dataspace.machines import (
    ACCEPTED,
    AGREED,
    FINALIZED,
    NONE,
    OFFERED,
    REQUESTED,
    TERMINATED,
    VERIFIED,
)
from consilium.dataspace.policy import agreement_of, evaluate, offer_for, policy_of
from consilium.dataspace.ports import Action, Question
from consilium.dataspace.records import Negotiation, Role, Terms
from consilium.dataspace.steps import begin, post, step
from consilium.dataspace.store import add, find_dataset, get_process, list_history
from consilium.dataspace.vocabulary import OPERANDS, RECIPIENT, TIME
from consilium.dataspace.wire import builders
from consilium.kernel.clock import write_time
from consilium.kernel.errors import NotFoundError, StateError
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
    connector: Connector,
    provider: ParticipantId,
    *,
    dataset: DatasetId,
    offer: OfferId,
    terms: Terms | None = None,
) -> Negotiation:
    """Ask a provider for an agreement on one of its offers, as consumer.

    The offer is fetched anew and must allow us to use it now.

    Parameters
    ----------
    terms : Terms, optional
        Ask for these terms instead of the offer's own.

    Raises
    ------
    NotFoundError
        `dataspace.no_dataset`, `dataspace.no_offer`.
    DeniedError
        `dataspace.wrong_recipient`, `dataspace.outside_time` and the other terms.
    InputError
        `dataspace.bad_terms`.
    PeerError
        If the provider cannot be reached.

    Discloses
    ---------
    Our identifier and which offer we are interested in, to the provider.
    """
    listing = request_dataset(connector, provider, dataset)
    if listing.offer != offer:
        raise NotFoundError("dataspace.no_offer", offer=offer)
    wished = listing.policy if terms is None else policy_of(terms, offer=OfferId(new_urn()))
    _check_use(connector, wished, consumer=connector.me)
    policy = offer_for(wished, target=listing.dataset)
    process = new_negotiation(connector, Role.CONSUMER, provider, policy=policy)
    process = replace(process, peer_key=connector.directory.key_of(provider).text)
    message = builders.contract_request(process.pid, offer=policy, callback=connector.callback)
    return _open(connector, process, "/negotiations/request", message)


def offer_agreement(
    connector: Connector, consumer: ParticipantId, *, dataset: str, terms: Terms | None = None
) -> Negotiation:
    """Offer a participant an agreement on one of our datasets, as provider.

    Parameters
    ----------
    dataset : str
        Identifier or short name.
    terms : Terms, optional
        Offer these terms instead of the published ones.

    Raises
    ------
    NotFoundError
        `dataspace.no_dataset`, `dataspace.unknown_participant`.
    DeniedError
        `dataspace.wrong_recipient`, `dataspace.outside_time` if the consumer
        could not use it.
    InputError
        `dataspace.bad_terms`.

    Discloses
    ---------
    The dataset's identifier and the terms, to the consumer.
    """
    with connector.database.read() as connection:
        found = get_dataset(connection, dataset)
    offer = found.offer if terms is None else OfferId(new_urn())
    wished = policy_of(found.terms if terms is None else terms, offer=offer)
    check_offer(found, wished, facts_of(connector, consumer))
    policy = offer_for(wished, target=found.id)
    process = new_negotiation(connector, Role.PROVIDER, consumer, policy=policy)
    key = connector.directory.key_of(consumer).text
    process = replace(process, state=OFFERED, peer_key=key)
    message = builders.contract_offer(process.pid, offer=policy, callback=connector.callback)
    return _open(connector, process, "/negotiations/offers", message)


def counter(connector: Connector, pid: ProcessId, *, terms: Terms) -> Negotiation:
    """Answer the peer's request or offer with terms of our own.

    The terms become an offer with an identifier of its own; what was on the
    table before stays in the history and in the evidence.

    Raises
    ------
    NotFoundError
        `dataspace.no_process`.
    StateError
        `dataspace.bad_step` if it is not our turn, `dataspace.under_way`.
    DeniedError
        `dataspace.wrong_recipient`, `dataspace.outside_time` if the consumer
        could not use them.
    InputError
        `dataspace.bad_terms`.

    Discloses
    ---------
    The terms, to the peer.
    """
    wished = policy_of(terms, offer=OfferId(new_urn()))
    with connector.database.write() as tx:
        process = get_process(tx.connection, Negotiation, pid)
        is_provider = process.role is Role.PROVIDER
        _check_use(connector, wished, consumer=process.peer if is_provider else connector.me)
        policy = offer_for(wished, target=process.dataset)
        offer, before = OfferId(policy["@id"]), process.state
        to = OFFERED if is_provider else REQUESTED
        process = step(tx, process, to, connector=connector, policy=policy, offer=offer)
        write = (
            builders.contract_counter_offer if is_provider else builders.contract_counter_request
        )
        path = "/negotiations/{peer}/offers" if is_provider else "/negotiations/{peer}/request"
        post(tx, process, path, write(policy), connector=connector, before=before)
    return process


def take(connector: Connector, pid: ProcessId, *, to: str) -> Negotiation:
    """Bring a negotiation into one certain next state by a person's decision.

    Parameters
    ----------
    to : str
        `ACCEPTED`, `AGREED`, `VERIFIED` or `FINALIZED`.

    Raises
    ------
    NotFoundError
        `dataspace.no_process`.
    StateError
        `dataspace.bad_step` if that is not our next step, `dataspace.under_way`.

    Discloses
    ---------
    The step, to the peer.
    """
    with connector.database.write() as tx:
        process = get_process(tx.connection, Negotiation, pid)
        if _NEXT.get((process.role, process.state), ("", None))[0] != to:
            raise _no_step(process, to)
        return take_next(tx, process, connector)


def proceed(connector: Connector, pid: ProcessId) -> Negotiation:
    """Take our next step by a person's decision: accept, agree, verify or finalise.

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
        return take_next(tx, process, connector)


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
        return end_negotiation(tx, process, connector, code=code, reason=reason)


def new_negotiation(
    connector: Connector, role: Role, peer: ParticipantId, *, policy: dict[str, Any]
) -> Negotiation:
    """Write a negotiation that nobody knows of yet, in the state of its first message."""
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


def decide_next(tx: Transaction, process: Negotiation, connector: Connector) -> None:
    """Ask whether our side takes its next step, and take it in the same transaction.

    Discloses
    ---------
    The step, to the peer, if it is taken.
    """
    if not has_next(process):
        return
    is_provider = process.role is Role.PROVIDER
    dataset = find_dataset(tx.connection, process.dataset) if is_provider else None
    ours = _last_offer(tx, process)
    now = connector.clock.now()
    verdict = connector.decide(Question(process=process, dataset=dataset, now=now, ours=ours))
    if verdict.action is Action.PROCEED:
        take_next(tx, process, connector)
    elif verdict.action is Action.REFUSE:
        end_negotiation(tx, process, connector, code=verdict.code, reason=verdict.reason)
    else:
        connector.waiting(tx, process, verdict)


def take_next(tx: Transaction, process: Negotiation, connector: Connector) -> Negotiation:
    """Take our next step; raises and discloses as `proceed` does."""
    _, take_it = _NEXT.get((process.role, process.state), ("", None))
    if take_it is None:
        raise _no_step(process, "next")
    return take_it(tx, process, connector)


def has_next(process: Negotiation) -> bool:
    """Tell whether the step that leads on is ours.

    Discloses
    ---------
    Nothing.
    """
    return (process.role, process.state) in _NEXT


def end_negotiation(
    tx: Transaction, process: Negotiation, connector: Connector, *, code: str, reason: str
) -> Negotiation:
    """End a negotiation; raises and discloses as `terminate` does."""
    before = process.state
    process = step(tx, process, TERMINATED, connector=connector, code=code, reason=reason)
    message = builders.negotiation_termination(code, reason)
    path = "/negotiations/{peer}/termination"
    post(tx, process, path, message, connector=connector, before=before)
    return process


def _open(
    connector: Connector, process: Negotiation, path: str, message: builders.Document
) -> Negotiation:
    with connector.database.write() as tx:
        process = begin(tx, process, connector=connector)
        post(tx, process, path, message, connector=connector, before=NONE)
    return process


def _check_use(connector: Connector, policy: dict[str, Any], *, consumer: ParticipantId) -> None:
    """Refuse terms that the consumer could not use now."""
    facts = {RECIPIENT: consumer, TIME: connector.clock.now()}
    evaluate(policy, facts, later=OPERANDS.keys() - facts.keys()).require()


def _last_offer(tx: Transaction, process: Negotiation) -> dict[str, Any] | None:
    """Give the last offer of our side in this negotiation."""
    ours = [
        moved.policy
        for moved in list_history(tx.connection, process.pid)
        if moved.sender is process.role and moved.state in {REQUESTED, OFFERED} and moved.policy
    ]
    return ours[-1] if ours else None


def _no_step(process: Negotiation, wanted: str) -> StateError:
    return StateError(
        "dataspace.bad_step", now=process.state, wanted=wanted, sender=process.role.value
    )


def _accept(tx: Transaction, process: Negotiation, connector: Connector) -> Negotiation:
    process = step(tx, process, ACCEPTED, connector=connector)
    message = builders.negotiation_accepted()
    path = "/negotiations/{peer}/events"
    post(tx, process, path, message, connector=connector, before=OFFERED)
    return process


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
    before = process.state
    process = step(tx, process, AGREED, connector=connector, agreement=agreement, policy=policy)
    add(tx, new_agreement(connector, process, agreed=agreed))
    message = builders.contract_agreement(policy)
    path = "/negotiations/{peer}/agreement"
    post(tx, process, path, message, connector=connector, before=before)
    return process


def _verify(tx: Transaction, process: Negotiation, connector: Connector) -> Negotiation:
    process = step(tx, process, VERIFIED, connector=connector)
    message = builders.agreement_verification()
    path = "/negotiations/{peer}/agreement/verification"
    post(tx, process, path, message, connector=connector, before=AGREED)
    return process


def _finalize(tx: Transaction, process: Negotiation, connector: Connector) -> Negotiation:
    process = step(tx, process, FINALIZED, connector=connector)
    message = builders.negotiation_finalized()
    path = "/negotiations/{peer}/events"
    post(tx, process, path, message, connector=connector, before=VERIFIED)
    return process


_NEXT: Mapping[
    tuple[Role, str], tuple[str, Callable[[Transaction, Negotiation, Connector], Negotiation]]
] = {
    (Role.PROVIDER, REQUESTED): (AGREED, _agree),
    (Role.PROVIDER, ACCEPTED): (AGREED, _agree),
    (Role.PROVIDER, VERIFIED): (FINALIZED, _finalize),
    (Role.CONSUMER, OFFERED): (ACCEPTED, _accept),
    (Role.CONSUMER, AGREED): (VERIFIED, _verify),
}
"""The step that leads on towards an agreement, where it is ours."""
