"""Whose key is whose, and what is not believed of a member list."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from list_bench import MEMBERSHIP, ListBench

from consilium.dataspace.contract_id import Register
from consilium.dataspace.wire.boundary import report_errors
from consilium.hub.authority import Authority, Kind
from consilium.kernel.errors import (
    DeniedError,
    IntegrityError,
    NotFoundError,
    PeerError,
    StateError,
)
from consilium.kernel.identifiers import ParticipantId, participant_id
from consilium.ledger.certificates import write_certificate
from consilium.ledger.keys import SigningKey
from consilium.node.directory import PINNED, describe_entry
from consilium.node.members import members_router

SOUTH = ParticipantId("did:web:glioma:south")


def pins(bench: ListBench) -> list[dict[str, Any]]:
    return [dict(entry.facts) for entry in bench.database.evidence.entries(kind=PINNED)]


def test_a_key_is_found_fetched_once_and_pinned(bench: ListBench) -> None:
    key = SigningKey.generate()
    bench.enter("south", key)
    for _ in range(3):
        assert bench.directory.key_of(SOUTH) == key.public
    assert bench.fetched == 1
    assert pins(bench) == [{"key": key.public.text, "accepted": False}]


def test_ones_own_key_needs_no_hub(bench: ListBench) -> None:
    assert bench.directory.key_of(MEMBERSHIP.participant) == bench.key.public
    assert bench.fetched == 0


def test_the_hubs_own_key_is_known(bench: ListBench) -> None:
    assert bench.directory.key_of(MEMBERSHIP.hub_participant) == bench.hub.public
    assert bench.directory.list_entries() == []


def test_a_member_that_joined_since_is_found(bench: ListBench) -> None:
    with pytest.raises(NotFoundError) as caught:
        bench.directory.key_of(SOUTH)
    assert caught.value.code == "dataspace.unknown_participant"
    key = SigningKey.generate()
    bench.enter("south", key)
    assert bench.directory.key_of(SOUTH) == key.public


def test_a_pin_made_inside_a_turn_to_write_is_written_later(bench: ListBench) -> None:
    south, west = SigningKey.generate(), SigningKey.generate()
    bench.enter("south", south)
    bench.enter("west", west)
    with bench.database.write():
        assert bench.directory.key_of(SOUTH) == south.public
    assert pins(bench) == []
    bench.directory.key_of(ParticipantId("did:web:glioma:west"))
    assert {pin["key"] for pin in pins(bench)} == {south.public.text, west.public.text}


def test_a_changed_key_is_refused_also_after_a_restart(bench: ListBench) -> None:
    bench.enter("south", SigningKey.generate())
    bench.directory.key_of(SOUTH)
    bench.enter("south", SigningKey.generate())
    for directory in (bench.open(), bench.open()):
        with pytest.raises(IntegrityError) as caught:
            directory.key_of(SOUTH)
        assert caught.value.code == "link.key_changed"


def test_a_person_accepts_a_changed_key_by_its_fingerprint(bench: ListBench) -> None:
    bench.enter("south", SigningKey.generate())
    bench.directory.key_of(SOUTH)
    new = SigningKey.generate()
    bench.enter("south", new)
    with pytest.raises(StateError) as caught:
        bench.directory.accept_key(SOUTH, "sha256:" + "0" * 64)
    assert caught.value.code == "link.key_not_shown"
    bench.directory.accept_key(SOUTH, new.public.fingerprint)
    assert bench.directory.key_of(SOUTH) == bench.open().key_of(SOUTH) == new.public


def test_a_revoked_member_is_refused(bench: ListBench) -> None:
    bench.enter("south", SigningKey.generate(), state="revoked")
    with pytest.raises(DeniedError) as caught:
        bench.directory.key_of(SOUTH)
    assert caught.value.code == "link.participant_revoked"
    (entry,) = bench.directory.list_entries()
    assert describe_entry(entry)["state"] == "revoked"


def test_a_lapsed_certificate_is_as_good_as_none(bench: ListBench) -> None:
    key = SigningKey.generate()
    bench.enter("south", key)
    bench.directory.key_of(SOUTH)
    bench.clock.advance(timedelta(hours=25))
    bench.publish()
    with pytest.raises(NotFoundError):
        bench.directory.key_of(SOUTH)
    bench.enter("south", key)
    assert bench.directory.key_of(SOUTH) == key.public


def test_a_stale_list_is_fetched_anew_and_serves_while_the_hub_is_away(bench: ListBench) -> None:
    key = SigningKey.generate()
    bench.enter("south", key)
    directory = bench.open(stale_s=0)
    directory.key_of(SOUTH)
    directory.key_of(SOUTH)
    assert bench.fetched == 2

    def away() -> dict[str, Any]:
        raise PeerError("link.hub_away", hub="https://hub", reason="ConnectError")

    directory._fetch = away
    assert directory.key_of(SOUTH) == key.public


def test_a_list_that_goes_back_in_time_is_refused(bench: ListBench) -> None:
    bench.enter("south", SigningKey.generate())
    older = bench.answer
    bench.clock.advance(timedelta(hours=1))
    bench.publish()
    directory = bench.open(stale_s=0)
    directory.key_of(SOUTH)
    bench.answer = older
    with pytest.raises(IntegrityError) as caught:
        directory.key_of(SOUTH)
    assert caught.value.code == "link.list_older"


def test_an_entry_under_another_root_is_not_believed(bench: ListBench, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority.create(other, space="glioma", days=1, clock=bench.clock)
    key = SigningKey.generate()
    leaf = stranger.issue(Kind.PARTICIPANT, key.public.ed25519, name="south", hours=1)
    bench.enter("south", key, certificate=write_certificate(leaf))
    with pytest.raises(IntegrityError) as caught:
        bench.directory.key_of(SOUTH)
    assert caught.value.code == "link.untrusted_certificate"


def test_an_entry_with_another_members_certificate_is_not_believed(bench: ListBench) -> None:
    key = SigningKey.generate()
    bench.enter("south", key, certificate=bench.certify("west", key))
    with pytest.raises(IntegrityError):
        bench.directory.key_of(SOUTH)


def test_a_list_signed_by_a_member_is_not_believed(bench: ListBench) -> None:
    bench.enter("south", SigningKey.generate())
    bench.answer["hub"] = bench.certify("south", bench.hub)
    with pytest.raises(IntegrityError):
        bench.directory.key_of(SOUTH)


def test_a_list_signed_by_another_key_is_not_believed(bench: ListBench) -> None:
    bench.enter("south", SigningKey.generate())
    bench.answer["hub"] = bench.certify("hub", SigningKey.generate())
    with pytest.raises(IntegrityError):
        bench.directory.key_of(SOUTH)


def test_a_list_of_another_space_is_not_believed(bench: ListBench) -> None:
    bench.publish(space="fundus")
    with pytest.raises(IntegrityError):
        bench.directory.key_of(SOUTH)


@pytest.mark.parametrize("answer", [{}, {"hub": 3, "list": "x"}, {"hub": "x", "list": "a.b.c"}])
def test_an_answer_that_is_no_list_is_named(bench: ListBench, answer: dict[str, Any]) -> None:
    bench.answer = answer
    with pytest.raises(PeerError) as caught:
        bench.directory.key_of(SOUTH)
    assert caught.value.code == "link.hub_answer"


@pytest.mark.parametrize("members", [3, [3], [{}], [{"certificate": "x"}]])
def test_a_list_of_the_wrong_shape_is_named(bench: ListBench, members: Any) -> None:
    bench.publish(members=members)
    with pytest.raises(PeerError):
        bench.directory.key_of(SOUTH)


def test_the_local_api_lists_members_and_accepts_a_key(bench: ListBench) -> None:
    app = FastAPI()
    report_errors(app)
    app.include_router(members_router(bench.directory))
    bench.enter("south", SigningKey.generate())
    bench.directory.key_of(SOUTH)
    new = SigningKey.generate().public
    wrong = {"participant": SOUTH, "fingerprint": new.fingerprint}

    async def ask(method: str, path: str, document: Any = None) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.request(method, path, json=document)

    listed = asyncio.run(ask("GET", "/members")).json()
    assert [(one["name"], one["state"]) for one in listed] == [("south", "admitted")]
    refused = asyncio.run(ask("POST", "/members/key", wrong))
    assert (refused.status_code, refused.json()["code"]) == (409, "link.key_not_shown")
    right = {"participant": SOUTH, "fingerprint": listed[0]["fingerprint"]}
    assert asyncio.run(ask("POST", "/members/key", right)).json() == right


def test_a_revoked_member_is_told_of_once_for_each_key(bench: ListBench) -> None:
    key = SigningKey.generate()
    bench.enter("south", key)
    assert bench.directory.list_revoked() == []
    bench.enter("south", key, state="revoked")
    directory = bench.open(stale_s=0.0)
    assert directory.list_revoked() == [SOUTH]
    directory.record_revoked(SOUTH)
    assert directory.list_revoked() == []
    assert bench.open(stale_s=0.0).list_revoked() == [], "nor after a restart"
    (entry,) = bench.database.evidence.entries(kind="participant.revoked")
    assert (entry.subject, entry.facts["key"]) == (SOUTH, key.public.text)
    again = SigningKey.generate()
    bench.enter("south", again)
    assert directory.list_revoked() == []
    bench.enter("south", again, state="revoked")
    assert directory.list_revoked() == [SOUTH]


def test_what_contract_ids_are_made_of_comes_with_the_list(bench: ListBench) -> None:
    assert bench.directory.find_register() == Register()  # a hub of an earlier release


def test_without_a_list_nothing_is_known_and_nothing_breaks(bench: ListBench) -> None:
    bench.answer = {}
    assert bench.directory.find_register() is None


def test_who_pins_a_key_and_who_has_the_turn_to_write_do_not_wait_for_each_other(
    bench: ListBench,
) -> None:
    """As in the first minute of a space, when every key is new to a node."""
    names = [f"hospital-{number}" for number in range(40)]
    for name in names:
        bench.enter(name, SigningKey.generate())
    members = [participant_id("glioma", name) for name in names]
    directory = bench.open(stale_s=0)

    def ask(member: ParticipantId) -> str:
        return directory.key_of(member).text

    def agree(member: ParticipantId) -> str:
        with bench.database.write() as tx:
            key = directory.key_of(member).text
            tx.record("agreement.made", member, {"from": directory.location_of(member)})
        return key

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, member) for member in members]
        agreed = [pool.submit(agree, member) for member in reversed(members)]
        _, late = wait([*asked, *agreed], timeout=10)
    assert not late
    assert [one.result() for one in asked] == [one.result() for one in reversed(agreed)]
    directory.key_of(members[0])
    pinned = bench.database.evidence.entries(kind=PINNED, limit=100)
    assert sorted(str(one.subject) for one in pinned) == sorted(members)
