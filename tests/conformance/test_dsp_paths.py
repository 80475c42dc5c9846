"""The HTTPS binding: paths, statuses and error documents (what the public kit leaves untested)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from dataspace_rehearsal import Hospital, Space, participant, terms
from machine_rehearsal import N_MESSAGES, T_MESSAGES, Both

from consilium.dataspace import negotiation
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.decisions import ScriptDecide
from consilium.dataspace.policy import offer_for, policy_of
from consilium.dataspace.ports import WireRequest
from consilium.dataspace.records import Negotiation, Process, Role, Transfer
from consilium.dataspace.wire import builders
from consilium.dataspace.wire.tokens import LIFETIME_S, MAX_LIFETIME_S
from consilium.kernel.canonical import canonical_bytes, digest_of
from consilium.kernel.identifiers import OfferId, ProcessId
from consilium.ledger.statements import peek_statement

BASE = builders.BASE


@pytest.fixture
def open_negotiation(space: Space) -> tuple[Hospital, Hospital, Negotiation]:
    """Give a negotiation that waits in REQUESTED, as south has it."""
    north, south = space.add("lead"), space.add("holder", decide=ScriptDecide({}))
    dataset = south.register(terms=terms(north.name))
    offer = offer_for(policy_of(dataset.terms, offer=dataset.offer), target=dataset.id)
    message = builders.contract_request("urn:uuid:c1", offer=offer, callback="https://x/cb")
    status, told = north.post(south, f"{BASE}/negotiations/request", message)
    assert status == 201
    return north, south, south.negotiation(told["providerPid"])


def test_the_first_request_is_answered_201_and_shows_its_state(
    open_negotiation: tuple[Hospital, Hospital, Negotiation],
) -> None:
    north, south, process = open_negotiation
    status, told = north.get(south, f"{BASE}/negotiations/{process.pid}")
    assert status == 200
    assert told["@type"] == "ContractNegotiation"
    assert (told["providerPid"], told["consumerPid"]) == (process.pid, "urn:uuid:c1")
    assert told["state"] == "REQUESTED"


def test_a_wrong_step_is_a_400_that_names_both_numbers(
    open_negotiation: tuple[Hospital, Hospital, Negotiation],
) -> None:
    north, south, process = open_negotiation
    message = builders.with_pids(
        builders.agreement_verification(), provider=process.pid, consumer="urn:uuid:c1"
    )
    path = f"{BASE}/negotiations/{process.pid}/agreement/verification"
    status, error = north.post(south, path, message)
    assert status == 400
    assert error["@type"] == "ContractNegotiationError"
    assert error["code"] == "dataspace.bad_step"
    assert (error["providerPid"], error["consumerPid"]) == (process.pid, "urn:uuid:c1")
    assert south.negotiation(process.pid) == process


@pytest.mark.parametrize("which", ["providerPid", "consumerPid"])
def test_path_and_document_must_speak_of_the_same_process(
    open_negotiation: tuple[Hospital, Hospital, Negotiation], which: str
) -> None:
    north, south, process = open_negotiation
    message = builders.with_pids(
        builders.negotiation_termination("x", ""), provider=process.pid, consumer="urn:uuid:c1"
    )
    path = f"{BASE}/negotiations/{process.pid}/termination"
    status, error = north.post(south, path, message | {which: "urn:uuid:other"})
    assert (status, error["code"]) == (400, "dataspace.wrong_pid")
    assert south.negotiation(process.pid).state == "REQUESTED"


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/catalog/datasets/urn:uuid:none", "CatalogError"),
        ("GET", "/negotiations/urn:uuid:none", "ContractNegotiationError"),
        ("GET", "/transfers/urn:uuid:none", "TransferError"),
    ],
)
def test_what_is_unknown_is_a_404_of_its_kind(
    north: Hospital, south: Hospital, method: str, path: str, kind: str
) -> None:
    status, error = north.get(south, BASE + path)
    assert (status, error["@type"], method) == (404, kind, "GET")
    assert error["reason"]


def test_a_dataset_entry_follows_the_json_rules(north: Hospital, south: Hospital) -> None:
    dataset = south.register()
    _, entry = north.get(south, f"{BASE}/catalog/datasets/{dataset.id}")
    (offer,) = entry["hasPolicy"]
    assert "target" not in offer
    for term in offer["permission"][0]["constraint"]:
        assert ":" in term["leftOperand"]
        assert isinstance(term["rightOperand"], dict | list)
    (distribution,) = entry["distribution"]
    assert distribution["format"] == "FederatedCompute-PUSH"
    assert distribution["accessService"]["endpointURL"].endswith("/2025-1")


def test_a_token_opens_one_request_once(north: Hospital, south: Hospital) -> None:
    north.post(south, f"{BASE}/catalog/request", builders.catalog_request())
    (sent,) = north.transport.sent
    again = south.answer(sent)
    assert again.status == 401
    moved = WireRequest(method="GET", path=f"{BASE}/negotiations/x", token=sent.token)
    assert south.answer(moved).status == 401
    assert LIFETIME_S < MAX_LIFETIME_S == 300


def test_a_changed_body_is_not_the_senders(north: Hospital, south: Hospital) -> None:
    request_catalog(north.connector, south.me)
    (sent,) = north.transport.sent
    changed = WireRequest(
        method="POST", path=sent.path, token=sent.token, body=sent.body.replace(b"Catalog", b"X")
    )
    assert south.answer(changed).status == 401


def test_a_hospital_that_is_consumer_answers_on_the_same_paths(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register()
    (listing,) = request_catalog(north.connector, south.me)
    asked = negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    space.settle()
    status, told = south.get(north, f"{BASE}/negotiations/{asked.pid}")
    assert (status, told["state"]) == (200, "FINALIZED")


@pytest.fixture
def running(space: Space) -> Both:
    return Both(space)


def _asked(both: Both, who: Hospital, kind: type[Process], pid: str) -> list[tuple[int, Any]]:
    """Let somebody ask south for a process, and send it every message there is."""
    noun, names = ("negotiations", N_MESSAGES) if kind is Negotiation else ("transfers", T_MESSAGES)
    process = replace(both.find(Role.PROVIDER, kind), pid=ProcessId(pid))
    found = [who.get(both.south, f"{BASE}/{noun}/{pid}")]
    for name in names:
        path, message = both.message(process, name)
        document = builders.with_pids(message, provider=pid, consumer="urn:uuid:c")
        found.append(who.post(both.south, path, document))
    return found


@pytest.mark.parametrize("kind", [Negotiation, Transfer])
def test_what_belongs_to_others_looks_like_what_does_not_exist(
    running: Both, space: Space, kind: type[Process]
) -> None:
    stranger = space.add("stranger")
    real = running.find(Role.PROVIDER, kind).pid
    unknown = "urn:uuid:00000000-0000-4000-8000-000000000000"
    theirs = _asked(running, stranger, kind, real)
    nothing = _asked(running, stranger, kind, unknown)
    assert {status for status, _ in (*theirs, *nothing)} == {404}
    assert [_nameless(it, real) for it in theirs] == [_nameless(it, unknown) for it in nothing]


def test_a_dataset_or_agreement_of_others_looks_like_none(running: Both, space: Space) -> None:
    stranger = space.add("stranger")
    dataset, agreement = running.asked.dataset, running.asked.agreement
    unknown = "urn:uuid:00000000-0000-4000-8000-000000000000"
    for real in (dataset, unknown):
        assert stranger.get(running.south, f"{BASE}/catalog/datasets/{real}")[0] == 404
    answers = []
    for name, about in ((dataset, "dataset"), (unknown, "dataset")):
        offer = offer_for(policy_of(terms("stranger"), offer=OfferId("urn:o")), target=name)
        message = builders.contract_request("urn:uuid:c", offer=offer, callback="https://x/cb")
        told = stranger.post(running.south, f"{BASE}/negotiations/request", message)
        answers.append((about, _nameless(told, name)))
    for name, about in ((agreement, "agreement"), (unknown, "agreement")):
        message = builders.transfer_request(
            "urn:uuid:c",
            agreement=name,
            callback="https://x/cb",
            address=builders.data_address("grpc://hub:1", {}),
            study="a.b.c",
        )
        told = stranger.post(running.south, f"{BASE}/transfers/request", message)
        answers.append((about, _nameless(told, name)))
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]
    assert {status for _, (status, _) in answers} == {404}


def _nameless(told: tuple[int, Any], name: str) -> tuple[int, str]:
    """Give an answer without the identifier that was asked for."""
    return told[0], canonical_bytes(told[1]).decode().replace(name, "NAME")


def test_the_same_request_from_many_threads_opens_one_negotiation(
    north: Hospital, south: Hospital
) -> None:
    dataset = south.register()
    offer = offer_for(policy_of(dataset.terms, offer=dataset.offer), target=dataset.id)
    message = builders.contract_request("urn:uuid:c1", offer=offer, callback="https://x/cb")
    with ThreadPoolExecutor(8) as pool:
        told = list(
            pool.map(lambda _: north.post(south, f"{BASE}/negotiations/request", message), range(8))
        )
    assert {status for status, _ in told} == {201}
    assert len({answer["providerPid"] for _, answer in told}) == 1
    assert south.kinds().count("agreement.agreed") == 1


def test_the_version_tells_how_to_prove_who_one_is() -> None:
    (entry,) = builders.version_response(participant("south"))["protocolVersions"]
    assert entry["auth"] == {"protocol": "consilium-token", "version": "1"}
    assert (entry["identifierType"], entry["serviceId"]) == ("did:web", participant("south"))


def test_a_token_is_shaped_like_a_self_issued_identity_token(
    north: Hospital, south: Hospital
) -> None:
    request_catalog(north.connector, south.me)
    claims = peek_statement(north.transport.sent[0].token)
    assert claims["iss"] == claims["sub"] == north.me
    assert claims["aud"] == south.me
    assert 0 < claims["exp"] - claims["iat"] <= 300
    assert claims["jti"]
    assert claims["body"] == digest_of(north.transport.sent[0].body)
