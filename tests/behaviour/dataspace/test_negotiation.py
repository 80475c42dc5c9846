"""From catalogue to agreement, between two hospitals."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from dataspace_rehearsal import Hospital, Space, participant, terms

from consilium.dataspace import negotiation
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.decisions import PROCEED, WAIT, ScriptDecide, refuse
from consilium.dataspace.policy import offer_for, policy_of
from consilium.dataspace.records import Negotiation, Role
from consilium.dataspace.wire import builders
from consilium.kernel.errors import NotFoundError, StateError
from consilium.ledger.keys import SigningKey

BASE = builders.BASE
REQUEST = f"{BASE}/negotiations/request"


def ask(north: Hospital, south: Hospital) -> Negotiation:
    (listing,) = request_catalog(north.connector, south.me)
    return negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )


def own_request(south: Hospital, *, consumer: str = "urn:uuid:c1", **changes: Any) -> Any:
    """Write a contract request by hand, on the offer of south's dataset."""
    dataset = south.register()
    offer = offer_for(policy_of(dataset.terms, offer=dataset.offer), target=dataset.id)
    return builders.contract_request(consumer, offer=offer | changes, callback="https://x/cb")


def test_a_published_offer_becomes_a_finalised_agreement_on_both_sides(
    space: Space, north: Hospital, south: Hospital
) -> None:
    dataset = south.register()
    asked = ask(north, south)
    assert asked.state == "REQUESTED"
    space.settle()
    ours = north.negotiation(asked.pid)
    theirs = south.negotiation(ours.peer_pid)
    assert (ours.state, theirs.state) == ("FINALIZED", "FINALIZED")
    assert theirs.peer_pid == ours.pid
    kept = north.agreement(ours.agreement, role=Role.CONSUMER)
    given = south.agreement(ours.agreement)
    assert kept.policy == given.policy
    assert kept.terms == given.terms == replace(dataset.terms, not_after=given.terms.not_after)
    assert given.consumer_key == kept.consumer_key == north.key.public.text
    assert given.provider_key == kept.provider_key == south.key.public.text
    assert (given.state, given.dataset, given.consumer) == ("FINALIZED", dataset.id, north.me)


def test_each_step_stands_in_the_evidence_of_both_sides(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register()
    asked = ask(north, south)
    space.settle()
    steps = ["negotiation.requested", "agreement.agreed"]
    steps += ["agreement.verified", "agreement.finalized"]
    assert north.kinds() == steps
    assert south.kinds() == ["dataset.registered", "offer.published", *steps]
    agreement = north.negotiation(asked.pid).agreement
    (last,) = south.database.evidence.entries(kind="agreement.finalized")
    assert last.subject == agreement
    (verified,) = south.database.evidence.entries(kind="agreement.verified")
    assert verified.facts["signed_by_peer"].count(".") == 2


def test_a_hospital_can_agree_with_itself(space: Space, north: Hospital) -> None:
    north.register()
    asked = ask(north, north)
    space.settle()
    ours = north.negotiation(asked.pid)
    assert ours.state == north.negotiation(ours.peer_pid).state == "FINALIZED"
    assert north.agreement(ours.agreement).id == ours.agreement
    assert north.agreement(ours.agreement, role=Role.CONSUMER).id == ours.agreement


def test_who_is_not_named_sees_nothing_and_gets_nothing(
    north: Hospital, south: Hospital, stranger: Hospital
) -> None:
    dataset = south.register()
    assert request_catalog(stranger.connector, south.me) == []
    with pytest.raises(NotFoundError):
        negotiation.request_agreement(
            stranger.connector, south.me, dataset=dataset.id, offer=dataset.offer
        )
    offer = offer_for(policy_of(dataset.terms, offer=dataset.offer), target=dataset.id)
    message = builders.contract_request("urn:uuid:1", offer=offer, callback="https://x/cb")
    status, error = stranger.post(south, REQUEST, message)
    assert (status, error["code"]) == (404, "dataspace.no_dataset")
    hidden = stranger.get(south, f"{BASE}/catalog/datasets/{dataset.id}")
    absent = stranger.get(south, f"{BASE}/catalog/datasets/urn:uuid:none")
    assert hidden[0] == absent[0] == 404
    assert {key: hidden[1][key] for key in ("@type", "code")} == {
        key: absent[1][key] for key in ("@type", "code")
    }


def test_others_cannot_read_or_end_a_negotiation(
    space: Space, north: Hospital, south: Hospital, stranger: Hospital
) -> None:
    south.register()
    asked = ask(north, south)
    space.settle()
    pid = north.negotiation(asked.pid).peer_pid
    assert north.get(south, f"{BASE}/negotiations/{pid}")[0] == 200
    assert stranger.get(south, f"{BASE}/negotiations/{pid}")[0] == 404
    end = builders.with_pids(
        builders.negotiation_termination("x", ""), provider=pid, consumer=asked.pid
    )
    assert stranger.post(south, f"{BASE}/negotiations/{pid}/termination", end)[0] == 404
    assert south.negotiation(pid).state == "FINALIZED"
    (entry, _) = south.database.evidence.entries(kind="request.refused")
    assert entry.subject == stranger.me


def test_a_request_that_comes_again_opens_one_negotiation(
    space: Space, north: Hospital, south: Hospital
) -> None:
    message = own_request(south)
    first = north.post(south, REQUEST, message)
    second = north.post(south, REQUEST, message)
    assert first[0] == second[0] == 201
    assert first[1]["providerPid"] == second[1]["providerPid"]
    assert south.kinds().count("negotiation.requested") == 1
    assert south.kinds().count("agreement.agreed") == 1


def test_a_number_cannot_stand_for_two_requests(north: Hospital, south: Hospital) -> None:
    message = own_request(south)
    north.post(south, REQUEST, message)
    other = dict(message, offer=message["offer"] | {"prohibition": [{"action": "use"}]})
    status, error = north.post(south, REQUEST, other)
    assert (status, error["code"]) == (400, "dataspace.pid_reused")


def test_an_unknown_term_is_refused_at_the_request(north: Hospital, south: Hospital) -> None:
    term = {"leftOperand": "odrl:event", "operator": "eq", "rightOperand": "EU"}
    message = own_request(south, permission=[{"action": "use", "constraint": [term]}])
    status, error = north.post(south, REQUEST, message)
    assert (status, error["code"]) == (400, "dataspace.unknown_term")
    assert "odrl:event" in error["reason"][0]
    assert "negotiation.requested" not in south.kinds()


def test_other_terms_than_published_are_not_agreed_to(
    space: Space, north: Hospital, south: Hospital
) -> None:
    dataset = south.register()
    more = policy_of(replace(dataset.terms, count=99), offer=dataset.offer)
    offer = offer_for(more, target=dataset.id)
    message = builders.contract_request("urn:uuid:1", offer=offer, callback="https://x/cb")
    status, reply = north.post(south, REQUEST, message)
    assert status == 201
    ended = south.negotiation(reply["providerPid"])
    assert (ended.state, ended.code) == ("TERMINATED", "dataspace.offer_not_published")


def test_an_offer_that_has_run_out_is_no_longer_shown_or_agreed_to(
    space: Space, north: Hospital, south: Hospital
) -> None:
    dataset = south.register()
    (listing,) = request_catalog(north.connector, south.me)
    space.held.advance(timedelta(days=365))
    assert request_catalog(north.connector, south.me) == []
    with pytest.raises(NotFoundError):
        negotiation.request_agreement(
            north.connector, south.me, dataset=dataset.id, offer=listing.offer
        )


def test_a_dataset_whose_ethics_approval_has_ended_is_not_offered(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register(terms=terms("north", not_after="2030-01-01T00:00:00Z"))
    assert len(request_catalog(north.connector, south.me)) == 1
    space.held.advance(timedelta(days=500))
    assert request_catalog(north.connector, south.me) == []


def test_an_offer_that_was_replaced_cannot_be_requested(north: Hospital, south: Hospital) -> None:
    dataset = south.register()
    with pytest.raises(NotFoundError) as refused:
        negotiation.request_agreement(
            north.connector,
            south.me,
            dataset=dataset.id,
            offer=dataset.offer[:-1] + "x",  # type: ignore[arg-type]
        )
    assert refused.value.code == "dataspace.no_offer"


def test_an_agreement_that_differs_from_the_request_is_refused_and_ended(space: Space) -> None:
    north = space.add("north")
    script = ScriptDecide({(Negotiation, Role.PROVIDER, "REQUESTED"): WAIT})
    south = space.add("south", decide=script)
    south.register()
    asked = ask(north, south)
    space.settle()
    theirs = north.negotiation(asked.pid).peer_pid
    wrong = policy_of(terms("north", count=1), offer="urn:uuid:o") | {  # type: ignore[arg-type]
        "@id": "urn:uuid:a",
        "@type": "Agreement",
        "target": asked.dataset,
        "assigner": south.me,
        "assignee": north.me,
        "timestamp": "2026-11-23T08:00:00Z",
    }
    message = builders.with_pids(
        builders.contract_agreement(wrong), provider=theirs, consumer=asked.pid
    )
    status, error = south.post(north, f"{BASE}/negotiations/{asked.pid}/agreement", message)
    assert (status, error["code"]) == (400, "dataspace.agreement_differs")
    space.settle()
    assert north.negotiation(asked.pid).state == "TERMINATED"
    assert south.negotiation(theirs).state == "TERMINATED"
    with pytest.raises(NotFoundError):
        north.agreement("urn:uuid:a", role=Role.CONSUMER)


@pytest.mark.parametrize("field", ["target", "assigner", "assignee", "timestamp"])
def test_an_agreement_must_name_what_and_whom_it_binds(space: Space, field: str) -> None:
    north = space.add("north")
    south = space.add("south", decide=ScriptDecide({}))
    dataset = south.register()
    asked = ask(north, south)
    space.settle()
    theirs = north.negotiation(asked.pid).peer_pid
    body = policy_of(dataset.terms, offer="urn:uuid:a") | {  # type: ignore[arg-type]
        "@type": "Agreement",
        "target": asked.dataset,
        "assigner": south.me,
        "assignee": north.me,
        "timestamp": "2026-11-23T08:00:00Z",
    }
    body = {key: value for key, value in body.items() if key != "timestamp" or field != key}
    if field != "timestamp":
        body[field] = participant("other")
    message = builders.with_pids(
        builders.contract_agreement(body), provider=theirs, consumer=asked.pid
    )
    status, error = south.post(north, f"{BASE}/negotiations/{asked.pid}/agreement", message)
    assert (status, error["code"]) == (400, "dataspace.agreement_differs")
    assert field in error["reason"][0]


def test_a_person_can_take_each_step_that_waits(space: Space) -> None:
    north = space.add("north", decide=ScriptDecide({}))
    south = space.add("south", decide=ScriptDecide({}))
    south.register()
    asked = ask(north, south)
    space.settle()
    theirs = north.negotiation(asked.pid).peer_pid
    with pytest.raises(StateError):
        negotiation.proceed(north.connector, asked.pid)
    for hospital, number in ((south, theirs), (north, asked.pid), (south, theirs)):
        negotiation.proceed(hospital.connector, number)
        space.settle()
    assert north.negotiation(asked.pid).state == "FINALIZED"


def test_a_refusal_tells_the_consumer_why(space: Space) -> None:
    north = space.add("north")
    no = refuse("local.ethics", "the board has not met")
    script = ScriptDecide({(Negotiation, Role.PROVIDER, "REQUESTED"): no})
    south = space.add("south", decide=script)
    south.register()
    asked = ask(north, south)
    space.settle()
    ended = north.negotiation(asked.pid)
    assert (ended.state, ended.code) == ("TERMINATED", "local.ethics")
    assert ended.reason == "the board has not met"


def test_a_consumer_can_withdraw_its_request(space: Space) -> None:
    north = space.add("north")
    south = space.add("south", decide=ScriptDecide({}))
    south.register()
    asked = ask(north, south)
    negotiation.terminate(north.connector, asked.pid, code="local.changed", reason="")
    space.settle()
    theirs = north.negotiation(asked.pid).peer_pid
    assert south.negotiation(theirs).state == "TERMINATED"
    assert south.negotiation(theirs).code == "local.changed"


def test_a_finalised_agreement_cannot_be_terminated_by_a_message(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register()
    asked = ask(north, south)
    space.settle()
    with pytest.raises(StateError):
        negotiation.terminate(north.connector, asked.pid, code="x", reason="")


def test_a_changed_key_waits_for_a_person(space: Space) -> None:
    north = space.add("north")
    first = (Negotiation, Role.PROVIDER, "REQUESTED")
    south = space.add("south", decide=ScriptDecide({first: PROCEED}))
    south.register()
    asked = ask(north, south)
    south.outbox.deliver_due()
    north.outbox.deliver_due()
    south.outbox.deliver_due()
    assert north.negotiation(asked.pid).state == "VERIFIED"
    north.key = SigningKey.generate()
    space.keys[north.me] = north.key.public
    north.connector = replace(north.connector, key=north.key)
    theirs = north.negotiation(asked.pid).peer_pid
    message = builders.with_pids(
        builders.agreement_verification(), provider=theirs, consumer=asked.pid
    )
    path = f"{BASE}/negotiations/{theirs}/agreement/verification"
    status, error = north.post(south, path, message)
    assert (status, error["code"]) == (403, "dataspace.key_changed")
    assert south.negotiation(theirs).state == "AGREED"
    (entry,) = south.database.evidence.entries(kind="request.refused")
    assert entry.facts["code"] == "dataspace.key_changed"
