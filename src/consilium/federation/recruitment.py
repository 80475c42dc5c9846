"""Recruiting 招募: from the hospitals a lead wishes for to those that agreed.

Each hospital is asked on its own, all at once: its catalogue, then an
agreement on the offer found there, unless one stands already. Who declines or
stays silent is named with the reason; the study goes on if enough remain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from consilium.dataspace.catalog import Listing, request_catalog
from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import FINALIZED, REQUESTED, STARTED, TERMINAL
from consilium.dataspace.negotiation import request_agreement
from consilium.dataspace.records import Agreement, Negotiation, Role, Transfer
from consilium.dataspace.revoked import find_revocation
from consilium.dataspace.store import (
    find_transfer,
    get_agreement,
    list_agreements,
    list_processes,
)
from consilium.dataspace.transfer import complete, request_transfer, terminate
from consilium.federation.proposal import Wish
from consilium.gate.orders import Invitation, Study
from consilium.kernel.clock import read_time
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    NotFoundError,
    PeerError,
    StateError,
)
from consilium.kernel.identifiers import AgreementId

ANSWER_S = 60.0
"""How long one hospital may take for each of its steps."""
AT_ONCE = 16

Say = Callable[[str, dict[str, Any]], None]
"""Told what happens: a kind of event and its facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recruit:
    """One hospital that agreed: its place in the plan, and its dataset as catalogued."""

    invitation: Invitation
    listing: Listing


def recruit(
    connector: Connector, wishes: Sequence[Wish], *, say: Say, answer_s: float = ANSWER_S
) -> list[Recruit]:
    """Ask every hospital; return those that agreed, in the order of the wishes.

    Each may take `answer_s` seconds: more where persons decide.

    Discloses
    ---------
    To each hospital: who asks, and for which offer.
    """
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(wishes))) as pool:
        found = list(pool.map(lambda wish: _recruit_one(connector, wish, say, answer_s), wishes))
    return [one for one in found if one is not None]


def find_listing(connector: Connector, wish: Wish, *, offer: str = "") -> Listing:
    """Find the dataset that a wish means in its hospital's catalogue.

    Parameters
    ----------
    offer : str, optional
        The offer that was read; another one in its place is not agreed to.

    Raises
    ------
    NotFoundError
        `study.no_offer`, `dataspace.no_offer`.
    PeerError
        When the hospital cannot be reached.

    Discloses
    ---------
    Who asks.
    """
    filters = {"name": wish.dataset}
    for listing in request_catalog(connector, wish.participant, filters=filters):
        if wish.dataset in {listing.name, listing.dataset}:
            if offer not in {"", listing.offer}:
                raise NotFoundError("dataspace.no_offer", offer=offer[:200])
            return listing
    raise NotFoundError("study.no_offer", participant=wish.participant, dataset=wish.dataset)


def agree(connector: Connector, listing: Listing, *, answer_s: float = ANSWER_S) -> Agreement:
    """Return an agreement on a listed offer: one that stands, or a new one.

    An agreement counts the studies made under it, so a standing one is used
    again rather than evaded by another. A request that waits at the other side
    for a person is not made twice.

    Raises
    ------
    DeniedError
        `study.negotiation_failed`, with the rule of the other side.
    PeerError
        `study.peer_silent`, `study.peer_decides`.

    Discloses
    ---------
    Which offer we are interested in, to its hospital.
    """
    standing = _find_standing(connector, listing)
    if standing is not None:
        return standing
    process = _find_asked(connector, listing) or request_agreement(
        connector, listing.participant, dataset=listing.dataset, offer=listing.offer
    )
    done = connector.wait_for(
        Negotiation, process.pid, states=TERMINAL | {FINALIZED}, timeout_s=answer_s
    )
    if done.state != FINALIZED:
        raise _refusal(done, answer_s)
    with connector.database.read() as connection:
        return get_agreement(connection, done.agreement, role=Role.CONSUMER)


def open_study(
    connector: Connector,
    plan: Study,
    signed: str,
    *,
    endpoint: str,
    say: Say,
    answer_s: float = ANSWER_S,
) -> list[AgreementId]:
    """Bring the signed plan to every hospital; return the agreements that opened for it.

    Asked again after a restart, it finds what it opened before.

    Discloses
    ---------
    The signed plan, to each invited hospital.
    """

    def open_one(site: Invitation) -> AgreementId | None:
        try:
            transfer = request_transfer(
                connector, site.agreement, signed_study=signed, endpoint=endpoint
            )
            done = connector.wait_for(
                Transfer, transfer.pid, states=TERMINAL | {STARTED}, timeout_s=answer_s
            )
            if done.state != STARTED:
                raise _refusal(done, answer_s)
        except ConsiliumError as error:
            say("declined", {"participant": site.participant, **error.as_record()})
            return None
        say("opened", {"participant": site.participant})
        return site.agreement

    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(plan.sites))) as pool:
        return [agreement for agreement in pool.map(open_one, plan.sites) if agreement]


def close_study(connector: Connector, plan: Study, *, code: str = "", reason: str = "") -> None:
    """End the transfers of a study: completed, or terminated with a code.

    A transfer that a hospital has not started cannot be completed and is
    terminated; one that a hospital ends in this moment stays as it ended it.

    Discloses
    ---------
    That the study has ended, and why, to each hospital.
    """
    for site in plan.sites:
        transfer = _find_open(connector, site.agreement, plan)
        if transfer is None:
            continue
        try:
            if transfer.state == STARTED and not code:
                complete(connector, transfer.pid)
            else:
                terminate(connector, transfer.pid, code=code or "completed", reason=reason)
        except StateError:
            if _find_open(connector, site.agreement, plan) is not None:
                raise


def _recruit_one(connector: Connector, wish: Wish, say: Say, answer_s: float) -> Recruit | None:
    say("invited", {"participant": wish.participant, "dataset": wish.dataset})
    try:
        listing = find_listing(connector, wish)
        agreement = agree(connector, listing, answer_s=answer_s)
    except ConsiliumError as error:
        say("declined", {"participant": wish.participant, **error.as_record()})
        return None
    say("agreed", {"participant": wish.participant, "agreement": agreement.id})
    invitation = Invitation(
        participant=agreement.provider,
        agreement=agreement.id,
        dataset=agreement.dataset,
        key=agreement.provider_key,
    )
    return Recruit(invitation=invitation, listing=listing)


def _refusal(done: Negotiation | Transfer, answer_s: float) -> ConsiliumError:
    """Say why a process is not where we want it: ended, waiting for a person, or no answer."""
    if done.state in TERMINAL:
        reason = done.code or done.state.lower()
        return DeniedError(
            "study.negotiation_failed", participant=done.peer, reason=reason, rule=reason
        )
    if done.peer_pid:
        return PeerError("study.peer_decides", participant=done.peer, seconds=round(answer_s))
    return PeerError("study.peer_silent", participant=done.peer, seconds=round(answer_s))


def _find_asked(connector: Connector, listing: Listing) -> Negotiation | None:
    """Look for a request on this very offer that the other side has, and has not settled."""
    with connector.database.read() as connection:
        asked = list_processes(connection, Negotiation, role=Role.CONSUMER)
    for process in asked:
        same = (process.peer, process.offer) == (listing.participant, listing.offer)
        if same and process.peer_pid and process.state == REQUESTED:
            return process
    return None


def _find_standing(connector: Connector, listing: Listing) -> Agreement | None:
    now = connector.clock.now()
    with connector.database.read() as connection:
        standing = [
            agreement
            for agreement in list_agreements(connection, role=Role.CONSUMER)
            if find_revocation(connection, agreement.id, role=Role.CONSUMER) is None
        ]
    for agreement in standing:
        same = (agreement.provider, agreement.dataset) == (listing.participant, listing.dataset)
        if agreement.state == FINALIZED and same and agreement.terms == listing.terms:
            key = connector.directory.key_of(agreement.provider).text
            if key == agreement.provider_key and now < read_time(agreement.terms.not_after):
                return agreement
    return None


def _find_open(connector: Connector, agreement: AgreementId, plan: Study) -> Transfer | None:
    with connector.database.read() as connection:
        found = find_transfer(connection, agreement=agreement, study=plan.study, role=Role.CONSUMER)
    return found if found is not None and found.state not in TERMINAL else None
