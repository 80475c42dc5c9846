"""From an agreement to a started study, and its end."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from dataspace_rehearsal import Hospital, Space, sign_claims, study_claims

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.decisions import ScriptDecide
from consilium.dataspace.machines import STARTED
from consilium.dataspace.records import Agreement, Role
from consilium.dataspace.store import find_transfer
from consilium.dataspace.wire import builders
from consilium.kernel.canonical import digest_json
from consilium.kernel.errors import ConsiliumError, DeniedError, IntegrityError, StateError
from consilium.ledger.keys import SigningKey

BASE = builders.BASE
REQUEST = f"{BASE}/transfers/request"
ENDPOINT = "grpc://hub.example.org:8002"
Claims = dict[str, Any]


def agree(space: Space, north: Hospital, south: Hospital) -> Agreement:
    (listing,) = request_catalog(north.connector, south.me)
    asked = negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    space.settle()
    return north.agreement(north.negotiation(asked.pid).agreement, role=Role.CONSUMER)


@pytest.fixture
def agreement(space: Space, north: Hospital, south: Hospital) -> Agreement:
    south.register()
    return agree(space, north, south)


def own_request(
    agreement: Agreement, study: str, *, consumer: str = "urn:uuid:t1", **changes: Any
) -> dict[str, Any]:
    message = builders.transfer_request(
        consumer,
        agreement=agreement.id,
        callback="https://x/cb",
        address=builders.data_address(ENDPOINT, {}),
        study=study,
    )
    return message | changes


def test_a_signed_study_opens_a_transfer_that_runs_to_its_end(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    claims = study_claims(north, south, agreement)
    opened = transfer.request_transfer(
        north.connector, agreement.id, signed_study=sign_claims(north, claims), endpoint=ENDPOINT
    )
    space.settle()
    assert north.transfer(opened.pid).state == STARTED
    with south.database.read() as connection:
        theirs = find_transfer(connection, agreement=agreement.id, study=opened.study)
    assert theirs is not None
    assert theirs.state == STARTED
    assert theirs.study_digest == digest_json(claims)
    assert theirs.data_address["endpoint"] == ENDPOINT
    transfer.complete(north.connector, opened.pid)
    space.settle()
    assert south.transfer(theirs.pid).state == "COMPLETED"
    assert south.kinds()[-3:] == ["transfer.requested", "transfer.started", "transfer.completed"]


def test_the_hospital_ends_a_transfer_and_it_cannot_start_again(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    signed = sign_claims(north, study_claims(north, south, agreement))
    opened = transfer.request_transfer(
        north.connector, agreement.id, signed_study=signed, endpoint=ENDPOINT
    )
    space.settle()
    theirs = north.transfer(opened.pid).peer_pid
    transfer.terminate(south.connector, theirs, code="local.ethics", reason="on hold")
    space.settle()
    ended = north.transfer(opened.pid)
    assert (ended.state, ended.code, ended.reason) == ("TERMINATED", "local.ethics", "on hold")
    with pytest.raises(StateError):
        transfer.start(south.connector, theirs)
    status, error = north.post(south, REQUEST, own_request(agreement, signed))
    assert (status, error["code"]) == (400, "dataspace.study_known")


def test_asking_again_for_the_same_study_gives_the_same_transfer(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    signed = sign_claims(north, study_claims(north, south, agreement))
    first = transfer.request_transfer(
        north.connector, agreement.id, signed_study=signed, endpoint=ENDPOINT
    )
    again = transfer.request_transfer(
        north.connector, agreement.id, signed_study=signed, endpoint=ENDPOINT
    )
    assert first.pid == again.pid
    space.settle()
    changed = sign_claims(north, study_claims(north, south, agreement, rounds=11))
    with pytest.raises(StateError) as refused:
        transfer.request_transfer(
            north.connector, agreement.id, signed_study=changed, endpoint=ENDPOINT
        )
    assert refused.value.code == "dataspace.study_known"


def test_a_request_that_comes_again_opens_one_transfer(
    north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    signed = sign_claims(north, study_claims(north, south, agreement))
    first = north.post(south, REQUEST, own_request(agreement, signed))
    second = north.post(south, REQUEST, own_request(agreement, signed))
    assert first[0] == second[0] == 201
    assert first[1]["providerPid"] == second[1]["providerPid"]
    assert south.kinds().count("transfer.started") == 1
    other = sign_claims(north, study_claims(north, south, agreement, rounds=9))
    status, error = north.post(south, REQUEST, own_request(agreement, other))
    assert (status, error["code"]) == (400, "dataspace.pid_reused")


WRONG: dict[str, tuple[str, Callable[[Claims], Claims]]] = {
    "purpose": ("dataspace.wrong_purpose", lambda c: c | {"purpose": "marketing"}),
    "rounds": ("dataspace.too_many_rounds", lambda c: c | {"rounds": 21}),
    "recipe": (
        "dataspace.wrong_algorithm",
        lambda c: c | {"recipe": {"name": "tabular-logistic", "digest": "sha256:00"}},
    ),
    "ends too late": ("dataspace.outside_time", lambda c: c | {"expires": "2027-07-01T00:00:00Z"}),
    "ended": ("dataspace.outside_time", lambda c: c | {"expires": "2026-11-01T00:00:00Z"}),
    "lead": ("dataspace.study_elsewhere", lambda c: c | {"lead": "did:web:example.org:south"}),
    "agreement": ("dataspace.study_elsewhere", lambda c: _site(c, agreement="urn:uuid:other")),
    "dataset": ("dataspace.study_elsewhere", lambda c: _site(c, dataset="urn:uuid:other")),
    "key": ("dataspace.study_elsewhere", lambda c: _site(c, key="A" * 43)),
    "site": ("dataspace.study_elsewhere", lambda c: _site(c, participant="did:web:x:other")),
    "no sites": ("dataspace.study_elsewhere", lambda c: c | {"sites": []}),
    "no rounds": ("dataspace.bad_study", lambda c: {k: v for k, v in c.items() if k != "rounds"}),
    "odd rounds": ("dataspace.bad_study", lambda c: c | {"rounds": "10"}),
    "odd recipe": ("dataspace.bad_study", lambda c: c | {"recipe": []}),
    "odd sites": ("dataspace.bad_study", lambda c: c | {"sites": ["south"]}),
    "odd time": ("dataspace.bad_study", lambda c: c | {"expires": "soon"}),
}


def _site(claims: Claims, **changes: str) -> Claims:
    return claims | {"sites": [claims["sites"][0] | changes]}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_a_study_outside_the_agreement_is_refused_on_both_sides(
    north: Hospital, south: Hospital, agreement: Agreement, case: str
) -> None:
    code, change = WRONG[case]
    signed = sign_claims(north, change(study_claims(north, south, agreement)))
    with pytest.raises(ConsiliumError) as refused:
        transfer.request_transfer(
            north.connector, agreement.id, signed_study=signed, endpoint=ENDPOINT
        )
    assert refused.value.code == code
    status, error = north.post(south, REQUEST, own_request(agreement, signed))
    assert (status, error["@type"], error["code"]) == (400, "TransferError", code)
    assert error["consumerPid"] == "urn:uuid:t1"
    assert "transfer.requested" not in south.kinds()
    assert ("request.refused" in south.kinds()) == (code != "dataspace.bad_study")


def test_a_study_that_the_lead_did_not_sign_is_refused(
    north: Hospital, south: Hospital, stranger: Hospital, agreement: Agreement
) -> None:
    claims = study_claims(north, south, agreement)
    signed = sign_claims(north, claims)
    forged = [
        sign_claims(stranger, claims),
        sign_claims(north, claims, kind="round"),
        signed[:-3] + "AAA",
        "",
        "no statement",
    ]
    for text in forged:
        message = own_request(agreement, text)
        status, error = north.post(south, REQUEST, message)
        assert (status, error["code"]) == (400, "dataspace.study_not_signed")


def test_an_agreement_of_others_looks_like_none(
    north: Hospital, south: Hospital, stranger: Hospital, agreement: Agreement
) -> None:
    signed = sign_claims(stranger, study_claims(stranger, south, agreement))
    status, error = stranger.post(south, REQUEST, own_request(agreement, signed))
    assert (status, error["code"]) == (404, "dataspace.no_agreement")
    lost = replace(agreement, id="urn:uuid:none")  # type: ignore[arg-type]
    status, error = stranger.post(south, REQUEST, own_request(lost, signed))
    assert (status, error["code"]) == (404, "dataspace.no_agreement")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "HttpData-PULL"},
        {"dataAddress": {"@type": "DataAddress", "endpointType": "consilium:aggregator"}},
    ],
)
def test_a_transfer_of_rows_is_refused(
    north: Hospital, south: Hospital, agreement: Agreement, change: dict[str, Any]
) -> None:
    signed = sign_claims(north, study_claims(north, south, agreement))
    status, error = north.post(south, REQUEST, own_request(agreement, signed, **change))
    assert (status, error["code"]) == (400, "dataspace.bad_format")


def test_an_agreement_that_is_not_final_opens_nothing(space: Space) -> None:
    north, south = space.add("north"), space.add("south", decide=ScriptDecide({}))
    south.register()
    (listing,) = request_catalog(north.connector, south.me)
    asked = negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    space.settle()
    negotiation.proceed(south.connector, north.negotiation(asked.pid).peer_pid)
    space.settle()
    waiting = north.negotiation(asked.pid)
    assert waiting.state == "VERIFIED"
    agreement = north.agreement(waiting.agreement, role=Role.CONSUMER)
    signed = sign_claims(north, study_claims(north, south, agreement))
    with pytest.raises(StateError):
        transfer.request_transfer(
            north.connector, agreement.id, signed_study=signed, endpoint=ENDPOINT
        )
    status, error = north.post(south, REQUEST, own_request(agreement, signed))
    assert (status, error["code"]) == (400, "dataspace.not_finalized")


def test_another_key_than_the_agreed_one_opens_nothing(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    signed = sign_claims(north, study_claims(north, south, agreement))
    opened = transfer.request_transfer(
        north.connector, agreement.id, signed_study=signed, endpoint=ENDPOINT
    )
    space.settle()
    theirs = north.transfer(opened.pid).peer_pid
    north.key = SigningKey.generate()
    space.keys[north.me] = north.key.public
    north.connector = replace(north.connector, key=north.key)
    request = own_request(agreement, signed, consumer="urn:uuid:t2")
    assert north.post(south, REQUEST, request)[1]["code"] == "dataspace.key_changed"
    message = builders.with_pids(
        builders.transfer_completion(), provider=theirs, consumer=opened.pid
    )
    status, error = north.post(south, f"{BASE}/transfers/{theirs}/completion", message)
    assert (status, error["code"]) == (403, "dataspace.key_changed")
    assert south.transfer(theirs).state == STARTED


def test_a_provider_with_another_key_than_agreed_is_not_sent_a_study(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    signed = sign_claims(north, study_claims(north, south, agreement))
    space.keys[south.me] = SigningKey.generate().public
    with pytest.raises(IntegrityError) as refused:
        transfer.request_transfer(
            north.connector, agreement.id, signed_study=signed, endpoint=ENDPOINT
        )
    assert refused.value.code == "dataspace.key_changed"
    assert "transfer.requested" not in north.kinds()


def test_a_steward_may_keep_a_transfer_waiting(space: Space) -> None:
    north = space.add("north")
    south = space.add("south")
    south.register()
    agreement = agree(space, north, south)
    south.connector = replace(south.connector, decide=ScriptDecide({}))
    signed = sign_claims(north, study_claims(north, south, agreement))
    opened = transfer.request_transfer(
        north.connector, agreement.id, signed_study=signed, endpoint=ENDPOINT
    )
    space.settle()
    waiting = north.transfer(opened.pid)
    assert waiting.state == "REQUESTED"
    transfer.start(south.connector, waiting.peer_pid)
    space.settle()
    assert north.transfer(opened.pid).state == STARTED


def test_an_expired_agreement_opens_nothing(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    space.held.advance(timedelta(days=365))
    late = study_claims(north, south, agreement, expires="2028-01-01T00:00:00Z")
    with pytest.raises(DeniedError) as refused:
        transfer.request_transfer(
            north.connector, agreement.id, signed_study=sign_claims(north, late), endpoint=ENDPOINT
        )
    assert refused.value.rule == "odrl:dateTime"


def test_states_can_be_asked_for_on_both_sides(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    signed = sign_claims(north, study_claims(north, south, agreement))
    opened = transfer.request_transfer(
        north.connector, agreement.id, signed_study=signed, endpoint=ENDPOINT
    )
    space.settle()
    ours = north.transfer(opened.pid)
    expected = {"providerPid": ours.peer_pid, "consumerPid": ours.pid, "state": STARTED}
    for asker, asked, pid in ((north, south, ours.peer_pid), (south, north, ours.pid)):
        status, told = asker.get(asked, f"{BASE}/transfers/{pid}")
        assert status == 200
        assert {key: told[key] for key in expected} == expected
