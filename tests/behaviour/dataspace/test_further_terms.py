"""Places, quorums, noise and kinds of result, as far as the protocol itself judges them."""

from __future__ import annotations

from typing import Any

import pytest
from dataspace_rehearsal import Hospital, Space, study_claims, terms

from consilium.dataspace import negotiation
from consilium.dataspace.catalog import request_catalog, request_dataset
from consilium.dataspace.records import Agreement, Role
from consilium.dataspace.studies import verify_study
from consilium.kernel.errors import DeniedError, NotFoundError
from consilium.ledger.statements import sign_statement


@pytest.mark.parametrize(
    ("place", "is_shown"), [("CN", True), ("CN-BJ", True), ("CH", False), ("C", False), ("", False)]
)
def test_an_offer_for_a_place_is_shown_only_to_members_in_it(
    space: Space, north: Hospital, south: Hospital, place: str, is_shown: bool
) -> None:
    dataset = south.register(terms=terms("north", spatial=("CN",)))
    space.places[north.me] = place
    assert bool(request_catalog(north.connector, south.me)) is is_shown
    if is_shown:
        assert request_dataset(north.connector, south.me, dataset.id).terms.spatial == ("CN",)
        return
    with pytest.raises(NotFoundError):
        request_dataset(north.connector, south.me, dataset.id)


def test_who_moved_away_since_the_catalogue_gets_no_agreement(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register(terms=terms("north", spatial=("CN",)))
    space.places[north.me] = "CN"
    (listing,) = request_catalog(north.connector, south.me)
    asked = negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    space.places[north.me] = "CH"
    space.settle()
    assert north.negotiation(asked.pid).state == "TERMINATED"
    assert "agreement.agreed" not in south.kinds()


def agree(space: Space, north: Hospital, south: Hospital, **changes: Any) -> Agreement:
    south.register(terms=terms("north", **changes))
    (listing,) = request_catalog(north.connector, south.me)
    asked = negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    space.settle()
    return north.agreement(north.negotiation(asked.pid).agreement, role=Role.CONSUMER)


@pytest.mark.parametrize(
    ("changes", "quorum", "code"),
    [
        ({"min_participants": 3}, 3, ""),
        ({"min_participants": 3}, 2, "dataspace.too_few_participants"),
        ({"min_participants": 3}, None, "dataspace.fact_missing"),
        ({"outputs": ("metrics",)}, 2, "dataspace.wrong_output"),
        ({"outputs": ("metrics", "model")}, 2, ""),
        ({"secure_aggregation": True}, 2, "dataspace.not_aggregated_securely"),
        ({"epsilon": 3.0, "delta": 1e-5}, 2, "dataspace.epsilon_exceeded"),
    ],
)
def test_a_study_is_judged_before_its_transfer_starts(
    space: Space,
    north: Hospital,
    south: Hospital,
    changes: dict[str, Any],
    quorum: int | None,
    code: str,
) -> None:
    agreement = agree(space, north, south, **changes)
    claims = study_claims(north, south, agreement, quorum=quorum)
    signed = sign_statement(north.key, "study", claims)
    given = south.agreement(agreement.id)
    if not code:
        verify_study(signed, given, now=space.clock.now())
        return
    with pytest.raises(DeniedError) as refusal:
        verify_study(signed, given, now=space.clock.now())
    assert refusal.value.code == code
