"""What we send satisfies the official schemas; what they allow we can read."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from dataspace_rehearsal import (
    Hospital,
    Space,
    participant,
    sign_claims,
    study_claims,
    terms,
)
from official_schemas import Official

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.decisions import ScriptDecide, refuse
from consilium.dataspace.endpoints import answer
from consilium.dataspace.ports import WireReply, WireRequest
from consilium.dataspace.records import Negotiation, Role
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.messages import MODELS, DidService, VersionResponse
from consilium.dataspace.wire.models import read_shape
from consilium.kernel.canonical import read_json
from consilium.kernel.errors import InputError

Document = dict[str, Any]

BROKEN = {"dataservice-did-service.json"}
"""Does not satisfy its own schema."""
NEVER_SENT = {"DatasetRequestMessage"}
"""The HTTPS binding has a path instead."""
ODD: tuple[Any, ...] = (None, 7, 1.5, True, "", "x", [], {}, [7], ["x"], [{}])


class Tap:
    """Keeps every document that passes a hospital's door, in both directions."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital
        self.seen: list[Document] = []
        hospital.space.doors[hospital.me] = self.pass_on

    def pass_on(self, request: WireRequest) -> WireReply:
        reply = answer(self.hospital.connector, request)
        for body in (request.body, reply.body):
            if body:
                found: Any = read_json(body)
                self.seen.append(found)
        return reply


def whole_way(space: Space, north: Hospital, south: Hospital) -> None:
    """Go every way that documents of ours are sent on, to the end and to refusals."""
    south.register()
    base = builders.BASE
    (listing,) = request_catalog(north.connector, south.me)
    asked = negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    space.settle()
    ours = north.negotiation(asked.pid)
    agreement = north.agreement(ours.agreement, role=Role.CONSUMER)
    for number, end in ((1, "complete"), (2, "terminate")):
        claims = study_claims(north, south, agreement, study=f"urn:uuid:s{number}")
        opened = transfer.request_transfer(
            north.connector,
            agreement.id,
            signed_study=sign_claims(north, claims),
            endpoint="grpc://hub:1",
            properties={"project": "p"},
        )
        space.settle()
        transfer.suspend(north.connector, opened.pid, code="local.hold", reason="x")
        space.settle()
        transfer.start(north.connector, opened.pid)
        space.settle()
        if end == "complete":
            transfer.complete(north.connector, opened.pid)
        else:
            transfer.terminate(north.connector, opened.pid, code="local.x", reason="y")
        space.settle()
        north.get(south, f"{base}/transfers/{north.transfer(opened.pid).peer_pid}")
        south.get(north, f"{base}/transfers/{opened.pid}")
    north.get(south, f"{base}/negotiations/{ours.peer_pid}")
    south.get(north, f"{base}/negotiations/{ours.pid}")
    north.get(south, f"{base}/catalog/datasets/{listing.dataset}")
    for path in ("catalog/datasets/x", "negotiations/x", "transfers/x"):
        north.get(south, f"{base}/{path}")
    for path in ("catalog/request", "negotiations/request", "transfers/request"):
        north.post(south, f"{base}/{path}", {"@type": "nothing"})
    no = refuse("local.ethics", "not met")
    south.connector = _with(south, ScriptDecide({(Negotiation, Role.PROVIDER, "REQUESTED"): no}))
    negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    space.settle()
    _back_and_forth(space, north, south)


def _back_and_forth(space: Space, north: Hospital, south: Hospital) -> None:
    south.connector = _with(south, ScriptDecide({}))
    offered = negotiation.offer_agreement(south.connector, north.me, dataset="heart")
    space.settle()
    ours = south.negotiation(offered.pid).peer_pid
    for who, pid, number in ((north, ours, 1), (south, offered.pid, 2)):
        negotiation.counter(who.connector, pid, terms=terms("north", count=number))
        space.settle()
    negotiation.proceed(north.connector, ours)
    space.settle()


def _with(hospital: Hospital, decide: ScriptDecide) -> Any:
    return replace(hospital.connector, decide=decide)


def test_every_document_that_we_send_satisfies_the_official_schemas(
    space: Space, north: Hospital, south: Hospital, official: Official
) -> None:
    taps = [Tap(north), Tap(south)]
    whole_way(space, north, south)
    seen = [one for tap in taps for one in tap.seen if one.get("@type") != "nothing"]
    for document in seen:
        assert official.errors(document["@type"], document) == [], document
    kinds = {document["@type"] for document in seen}
    assert kinds == MODELS.keys() - NEVER_SENT
    assert official.errors("VersionResponse", builders.version_response(participant("a"))) == []


def test_an_empty_catalogue_satisfies_the_official_schema(
    north: Hospital, south: Hospital, official: Official
) -> None:
    _, catalog = north.post(south, f"{builders.BASE}/catalog/request", builders.catalog_request())
    assert "dataset" not in catalog
    assert official.errors("Catalog", catalog) == []


def test_every_usable_example_of_the_specification_can_be_read(official: Official) -> None:
    others = {
        "protocol-version.json": VersionResponse,
        "catalogservice-did-service.json": DidService,
    }
    read = 0
    for name, example in official.examples().items():
        if name in BROKEN:
            assert official.errors("DidService", example)
            continue
        read_shape(others.get(name) or MODELS[example["@type"]], example)
        read += 1
    assert read == 26


def _spoiled(document: Any) -> Iterator[Any]:
    """Spoil a document at every place, down to its depth, in every simple way."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield {other: kept for other, kept in document.items() if other != key}
            for odd in ODD:
                yield document | {key: odd}
            for changed in _spoiled(value):
                yield document | {key: changed}
    elif isinstance(document, list):
        yield [*document, 7]
        for place, value in enumerate(document):
            for changed in _spoiled(value):
                yield [*document[:place], changed, *document[place + 1 :]]


def _can_read(kind: str, document: Any) -> bool:
    try:
        read_shape(MODELS[kind], document)
    except InputError:
        return False
    return True


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_our_models_and_the_official_schemas_judge_alike(kind: str, official: Official) -> None:
    examples = [one for one in official.examples().values() if one.get("@type") == kind]
    refused = 0
    for example in examples:
        for spoiled in _spoiled(copy.deepcopy(example)):
            fine = not official.errors(kind, spoiled)
            refused += not fine
            assert _can_read(kind, spoiled) == fine, spoiled
    assert refused > 20


PATHS = {
    "CatalogRequestMessage": "/catalog/request",
    "ContractRequestMessage": "/negotiations/request",
    "ContractOfferMessage": "/negotiations/offers",
    "ContractAgreementMessage": "/negotiations/x/agreement",
    "ContractAgreementVerificationMessage": "/negotiations/x/agreement/verification",
    "ContractNegotiationEventMessage": "/negotiations/x/events",
    "ContractNegotiationTerminationMessage": "/negotiations/x/termination",
    "TransferRequestMessage": "/transfers/request",
    "TransferStartMessage": "/transfers/x/start",
    "TransferSuspensionMessage": "/transfers/x/suspension",
    "TransferCompletionMessage": "/transfers/x/completion",
    "TransferTerminationMessage": "/transfers/x/termination",
}


def test_what_the_official_schemas_refuse_is_refused_with_a_protocol_error(
    north: Hospital, south: Hospital, official: Official
) -> None:
    refused = 0
    for kind, path in PATHS.items():
        examples = [one for one in official.examples().values() if one.get("@type") == kind]
        bad = [one for example in examples for one in _spoiled(example)]
        bad = bad[:: max(1, len(bad) // 14)]
        for document in [one for one in bad if official.errors(kind, one)]:
            status, error = north.post(south, builders.BASE + path, document)
            assert status == 400, document
            assert error["code"] == "dataspace.bad_message"
            assert official.errors(error["@type"], error) == []
            refused += 1
    assert refused >= 100
    assert south.kinds() == []
