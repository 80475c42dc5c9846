"""An agreement that one side ends: marked on both sides, its transfers over, nothing new opens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest
from dataspace_rehearsal import (
    GOVERNANCE,
    Hospital,
    Space,
    sign_claims,
    study_claims,
    terms,
    unreachable,
)

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.caution import AfterRevocation
from consilium.dataspace.decisions import PolicyDecide
from consilium.dataspace.endpoints import answer
from consilium.dataspace.expiry import end_expired, end_with
from consilium.dataspace.records import Agreement, Role, Transfer
from consilium.dataspace.revocation import (
    BASE,
    CODE,
    KIND,
    PATH,
    Revocation,
    find_revocation,
    is_told,
    revoke,
)
from consilium.dataspace.revocation_routes import REVOCATION_ROUTES
from consilium.dataspace.store import list_processes
from consilium.dataspace.wire import builders
from consilium.kernel.errors import InputError, NotFoundError, PeerError, StateError
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement, verify_statement

NOTICES = BASE + PATH
ENDPOINT = "grpc://hub.example.org:8002"
REASON = "the consent was withdrawn"


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


@pytest.fixture
def started(space: Space, north: Hospital, south: Hospital, agreement: Agreement) -> Transfer:
    """A study's transfer, started; as the lead sees it."""
    opened = transfer.request_transfer(
        north.connector,
        agreement.id,
        signed_study=sign_claims(north, study_claims(north, south, agreement)),
        endpoint=ENDPOINT,
    )
    space.settle()
    return north.transfer(opened.pid)


def mark_of(hospital: Hospital, agreement: Agreement, role: Role) -> Revocation | None:
    with hospital.database.read() as connection:
        return find_revocation(connection, agreement.id, role=role)


def only_transfer(hospital: Hospital, role: Role) -> Transfer:
    with hospital.database.read() as connection:
        (found,) = list_processes(connection, Transfer, role=role)
    return found


@pytest.mark.parametrize("revoker", ["north", "south"])
def test_either_side_ends_an_agreement_and_the_other_learns_who_when_and_why(
    space: Space, agreement: Agreement, started: Transfer, revoker: str
) -> None:
    sides = {"north": Role.CONSUMER, "south": Role.PROVIDER}
    mine = space.hospitals[revoker]
    revoke(mine.connector, agreement.id, reason=f"  {REASON}\n", person="steward")
    space.settle()
    for name, role in sides.items():
        hospital = space.hospitals[name]
        mark = mark_of(hospital, agreement, role)
        assert mark is not None
        assert (mark.by, mark.reason, mark.time) == (mine.me, REASON, "2026-11-23T08:00:00.000000Z")
        assert mark.person == ("steward" if name == revoker else "")
        assert verify_statement(mark.statement, KIND, mine.key.public)["agreement"] == agreement.id
        ended = only_transfer(hospital, role)
        assert (ended.state, ended.code, ended.reason) == ("TERMINATED", CODE, REASON)
        kinds = hospital.kinds()
        assert kinds.count("agreement.revoked") == kinds.count("transfer.terminated") == 1
    assert "notice.delivered" in mine.kinds()
    with mine.database.read() as connection:
        assert is_told(connection, mark_of(mine, agreement, sides[revoker]))  # type: ignore[arg-type]


def test_revoking_again_changes_nothing_and_sends_nothing(
    space: Space, south: Hospital, agreement: Agreement
) -> None:
    first = revoke(south.connector, agreement.id, reason=REASON)
    space.settle()
    entries, sent = len(south.kinds()), len(south.transport.sent)
    again = revoke(south.connector, agreement.id, reason="another reason")
    space.settle()
    assert again == first
    assert (len(south.kinds()), len(south.transport.sent)) == (entries, sent)


def test_an_agreement_of_others_looks_like_one_that_does_not_exist(
    space: Space, north: Hospital, south: Hospital, stranger: Hospital, agreement: Agreement
) -> None:
    with pytest.raises(NotFoundError) as refused:
        revoke(stranger.connector, agreement.id, reason=REASON)
    assert refused.value.code == "dataspace.no_agreement"
    for name in (agreement.id, "urn:uuid:unknown"):
        status, error = stranger.post(south, NOTICES, notice(stranger, name))
        assert (status, error["code"]) == (404, "dataspace.no_agreement")
    assert mark_of(south, agreement, Role.PROVIDER) is None


def notice(signer: Hospital, agreement: str, **changes: Any) -> dict[str, Any]:
    claims = {
        "agreement": agreement,
        "by": signer.me,
        "reason": REASON,
        "time": "2026-11-23T08:00:00Z",
    }
    facts = {key: value for key, value in (claims | changes).items() if value is not None}
    return {"statement": sign_statement(signer.key, KIND, facts)}


BAD: dict[str, Callable[[Hospital, Hospital, str], dict[str, Any]]] = {
    "no statement": lambda north, south, name: {},
    "more than a statement": lambda north, south, name: {**notice(north, name), "more": 1},
    "no text": lambda north, south, name: {"statement": 1},
    "not signed": lambda north, south, name: {"statement": "a.b.c"},
    "signed by the other": lambda north, south, name: notice(south, name, by=north.me),
    "in the other's name": lambda north, south, name: notice(north, name, by=south.me),
    "of another kind": lambda north, south, name: {
        "statement": sign_statement(north.key, "study", {"agreement": name})
    },
    "no reason": lambda north, south, name: notice(north, name, reason=None),
    "an empty reason": lambda north, south, name: notice(north, name, reason=""),
    "a long reason": lambda north, south, name: notice(north, name, reason="x" * 301),
    "no time": lambda north, south, name: notice(north, name, time="yesterday"),
    "a number": lambda north, south, name: notice(north, name, reason=7),
    "one field more": lambda north, south, name: notice(north, name, more="x"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_notice_that_is_not_wholly_in_order_changes_nothing(
    north: Hospital, south: Hospital, agreement: Agreement, what: str
) -> None:
    status, error = north.post(south, NOTICES, BAD[what](north, south, agreement.id))
    assert status in {400, 403}
    assert error["code"].split(".")[0] in {"dataspace", "ledger", "kernel"}
    assert mark_of(south, agreement, Role.PROVIDER) is None


def test_a_new_study_under_it_is_refused_with_a_clear_reason(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    revoke(south.connector, agreement.id, reason=REASON)
    # 1. The lead has not heard yet.
    message = builders.transfer_request(
        "urn:uuid:t1",
        agreement=agreement.id,
        callback="https://x/cb",
        address=builders.data_address(ENDPOINT, {}),
        study=sign_claims(north, study_claims(north, south, agreement)),
    )
    status, error = north.post(south, f"{builders.BASE}/transfers/request", message)
    assert (status, error["@type"]) == (400, "TransferError")
    assert error["code"] == "dataspace.agreement_revoked"
    assert south.me in error["reason"][0]
    # 2. It has heard, and does not even ask.
    space.settle()
    with pytest.raises(StateError) as refused:
        transfer.request_transfer(
            north.connector,
            agreement.id,
            signed_study=sign_claims(north, study_claims(north, south, agreement)),
            endpoint=ENDPOINT,
        )
    assert refused.value.code == "dataspace.agreement_revoked"


def test_the_notice_survives_a_crash_and_a_counterpart_that_is_away_for_days(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    south.transport.before = unreachable
    revoke(south.connector, agreement.id, reason=REASON)
    for _ in range(6):
        south.outbox.deliver_due()
        space.held.advance(timedelta(hours=12))
    south.crash()
    assert mark_of(north, agreement, Role.CONSUMER) is None
    space.settle()
    assert mark_of(north, agreement, Role.CONSUMER) is not None


def test_an_answer_that_was_lost_only_repeats_the_notice(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    def lose(_request: Any) -> None:
        raise PeerError("dataspace.unreachable", peer="somebody")

    south.transport.after = lose
    revoke(south.connector, agreement.id, reason=REASON)
    south.outbox.deliver_due()
    south.transport.after = lambda _request: None
    space.held.advance(timedelta(minutes=1))
    space.settle()
    assert north.kinds().count("agreement.revoked") == 1
    assert south.kinds().count("notice.delivered") == 1


def test_a_counterpart_that_knows_no_such_agreement_settles_the_notice(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    space.add("another")
    space.doors[north.me] = lambda request: _as_stranger(space, north, request)
    revoke(south.connector, agreement.id, reason=REASON)
    space.settle()
    assert "notice.refused" in south.kinds()


def _as_stranger(space: Space, north: Hospital, request: Any) -> Any:
    """Answer with the lead's key, but from a database that was lost."""
    empty = space.hospitals["another"]
    connector = replace(empty.connector, me=north.me, key=north.key)
    return answer(connector, request, also=REVOCATION_ROUTES)


def test_when_both_revoke_at_once_each_keeps_its_own_word(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement, started: Transfer
) -> None:
    revoke(north.connector, agreement.id, reason="ours")
    revoke(south.connector, agreement.id, reason="theirs")
    space.settle()
    for hospital, role in ((north, Role.CONSUMER), (south, Role.PROVIDER)):
        mark = mark_of(hospital, agreement, role)
        assert mark is not None
        assert mark.by == hospital.me
        assert only_transfer(hospital, role).state == "TERMINATED"


def test_a_hospital_that_changed_its_key_can_still_end_its_old_agreements(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement
) -> None:
    south.key = SigningKey.generate()
    space.keys[south.me] = south.key.public
    renewed = replace(south.connector, key=south.key)
    status, answer = renewed.client.post(north.me, NOTICES, notice(south, agreement.id))
    assert (status, answer["state"]) == (200, "REVOKED")
    assert mark_of(north, agreement, Role.CONSUMER) is not None


def test_who_was_shown_the_door_is_not_let_in_again_by_the_policy_alone(
    space: Space, north: Hospital, south: Hospital, stranger: Hospital
) -> None:
    south.register(terms=terms("north", "stranger"))
    south.connector = replace(
        south.connector, decide=AfterRevocation(PolicyDecide(), south.database)
    )
    first = agree(space, north, south)
    # Ended by the consumer, it may ask again.
    revoke(north.connector, first.id, reason=REASON)
    space.settle()
    second = agree(space, north, south)
    # Ended by the provider, a person has to look.
    revoke(south.connector, second.id, reason=REASON)
    space.settle()
    (listing,) = request_catalog(north.connector, south.me)
    asked = negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    space.settle()
    assert north.negotiation(asked.pid).state == "REQUESTED"
    assert agree(space, stranger, south).consumer == stranger.me, "others are asked nothing"


@pytest.mark.parametrize("reason", ["", "   ", "x" * 301, "bell\x07"])
def test_a_revocation_needs_a_reason_that_can_be_told(
    south: Hospital, agreement: Agreement, reason: str
) -> None:
    with pytest.raises(InputError) as refused:
        revoke(south.connector, agreement.id, reason=reason)
    assert refused.value.code == "dataspace.bad_reason"
    assert mark_of(south, agreement, Role.PROVIDER) is None


def test_an_agreement_that_is_not_final_cannot_be_revoked(
    space: Space, north: Hospital, south: Hospital
) -> None:
    south.register()
    (listing,) = request_catalog(north.connector, south.me)
    negotiation.request_agreement(
        north.connector, south.me, dataset=listing.dataset, offer=listing.offer
    )
    north.outbox.deliver_due()
    south.outbox.deliver_due()
    made = [one for one in north.database.evidence.entries(limit=100) if "agree" in one.kind]
    with pytest.raises(StateError) as refused:
        revoke(north.connector, made[-1].subject, reason=REASON)  # type: ignore[arg-type]
    assert refused.value.code == "dataspace.not_finalized"


def test_what_is_written_down_holds_no_more_than_it_says(
    south: Hospital, agreement: Agreement
) -> None:
    mark = revoke(south.connector, agreement.id, reason=REASON, person="steward")
    claims = verify_statement(mark.statement, KIND, south.key.public)
    assert set(claims) == {"agreement", "by", "reason", "time"}
    assert "steward" not in str(claims)
    assert asdict(mark)["person"] == "steward"


def test_a_transfer_ends_by_itself_when_its_agreement_does(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement, started: Transfer
) -> None:
    assert end_expired(south.connector) == []
    space.held.advance(timedelta(days=3650))
    (ended,) = end_expired(south.connector)
    assert (ended.state, ended.code) == ("TERMINATED", "consilium:expired")
    assert ended.reason.startswith("dataspace.outside_time")
    assert end_expired(south.connector) == []
    space.settle()
    theirs = north.transfer(started.pid)
    assert (theirs.state, theirs.code) == ("TERMINATED", "consilium:expired")


def test_a_transfer_ends_by_itself_when_an_approval_runs_out(
    space: Space, north: Hospital, south: Hospital
) -> None:
    end = "2026-11-24T00:00:00.000000Z"
    south.register(governance={**GOVERNANCE, "ethics_expires": end})
    agreed = agree(space, north, south)
    transfer.request_transfer(
        north.connector,
        agreed.id,
        signed_study=sign_claims(north, study_claims(north, south, agreed)),
        endpoint=ENDPOINT,
    )
    space.settle()
    assert end_expired(south.connector) == []
    space.held.advance(timedelta(days=1))
    (ended,) = end_expired(south.connector)
    assert "ethics_expires" in ended.reason


def test_transfers_with_a_member_that_was_revoked_end_without_a_word_to_it(
    space: Space, north: Hospital, south: Hospital, agreement: Agreement, started: Transfer
) -> None:
    sent = len(south.transport.sent)
    end_with(south.connector, north.me)
    end_with(south.connector, north.me)
    space.settle()
    ended = only_transfer(south, Role.PROVIDER)
    assert (ended.state, ended.code) == ("TERMINATED", "consilium:member_revoked")
    assert len(south.transport.sent) == sent
    assert south.kinds().count("process.abandoned") == 1


def test_no_study_opens_after_a_revocation_however_the_messages_race(any_space: Space) -> None:
    space = any_space
    north, south = space.add("north"), space.add("south")
    south.register(terms=terms("north", count=1000))
    agreed = agree(space, north, south)
    begun = threading.Barrier(4)

    def open_studies(lane: int) -> list[int]:
        begun.wait()
        statuses: list[int] = []
        while not statuses or statuses[-1] == 201:
            name = f"urn:uuid:{lane:08d}-0000-4000-8000-{len(statuses):012d}"
            message = builders.transfer_request(
                name,
                agreement=agreed.id,
                callback="https://x/cb",
                address=builders.data_address(ENDPOINT, {}),
                study=sign_claims(north, study_claims(north, south, agreed, study=name)),
            )
            status, _ = north.post(south, f"{builders.BASE}/transfers/request", message)
            statuses.append(status)
        return statuses

    def end() -> None:
        begun.wait()
        threading.Event().wait(0.1)
        revoke(south.connector, agreed.id, reason=REASON)

    with ThreadPoolExecutor(4) as pool:
        ended = pool.submit(end)
        found = list(pool.map(open_studies, range(3)))
        ended.result()
    assert {statuses[-1] for statuses in found} == {400}
    with south.database.read() as connection:
        opened = list_processes(connection, Transfer, role=Role.PROVIDER)
    assert len(opened) == sum(len(statuses) - 1 for statuses in found)
    assert {one.state for one in opened} <= {"TERMINATED"}
    kinds = south.kinds()
    assert "transfer.started" not in kinds[kinds.index("agreement.revoked") :]
