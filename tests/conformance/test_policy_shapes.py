"""An offer and an agreement with every term of the profile satisfy the official schemas."""

from __future__ import annotations

from dataclasses import replace

from dataspace_rehearsal import Hospital, Space, terms
from official_schemas import Official

from consilium.dataspace import negotiation
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.records import Role
from consilium.dataspace.wire import builders


def test_every_term_is_written_as_the_official_schemas_want_it(
    space: Space, north: Hospital, south: Hospital, official: Official
) -> None:
    full = replace(
        terms("north"),
        min_participants=3,
        epsilon=2.5,
        delta=1e-5,
        outputs=("aggregate", "metrics", "model"),
        secure_aggregation=False,
        spatial=("CN", "DE-BY"),
    )
    space.places[north.me] = "CN-BJ"
    south.register(terms=full)
    _, catalog = north.post(south, f"{builders.BASE}/catalog/request", builders.catalog_request())
    assert official.errors("Catalog", catalog) == []
    (offer,) = catalog["dataset"][0]["hasPolicy"]
    assert len(offer["permission"][0]["constraint"]) == 13
    (listing,) = request_catalog(north.connector, south.me)
    assert listing.terms == replace(full, not_after=listing.terms.not_after)
    asked = negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    space.settle()
    made = north.agreement(north.negotiation(asked.pid).agreement, role=Role.CONSUMER)
    message = builders.contract_agreement(made.policy)
    pids = {"providerPid": "urn:uuid:p", "consumerPid": "urn:uuid:c"}
    assert official.errors("ContractAgreementMessage", message | pids) == []
