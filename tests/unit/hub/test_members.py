"""The members as the hub keeps them, and the checkpoints it has seen of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from signer_bench import START, Bench, renewal_request

from consilium.hub.authority import Kind
from consilium.hub.members import Members
from consilium.hub.store import Standing
from consilium.hub.witness import KEPT, Witness
from consilium.kernel.errors import DeniedError, IntegrityError, NotFoundError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.certificates import write_certificate
from consilium.ledger.keys import SigningKey
from consilium.ledger.notes import sign_checkpoint
from consilium.ledger.statements import verify_statement

TIANTAN = ParticipantId("did:web:glioma:tiantan")
HUB = SigningKey.generate()


class Keeper:
    """A hub's members and witness, with a signer beside it."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        certificate = self.bench.own.issue(Kind.PARTICIPANT, HUB.public.ed25519)
        self.members = Members(
            self.bench.database,
            key=HUB,
            hub_certificate=lambda: write_certificate(certificate),
            root=self.bench.authority.root,
            space="glioma",
            clock=self.bench.clock,
        )
        self.witness = Witness(
            self.bench.database, key_of=self.members.key_of, clock=self.bench.clock
        )

    def kinds(self, subject: str = TIANTAN) -> list[str]:
        entries = self.bench.database.evidence.entries(subject=subject)
        return [entry.kind for entry in entries if not entry.kind.startswith("signer.")]


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    found = Keeper(tmp_path)
    yield found
    found.bench.database.close()


def test_a_member_enters_once_with_evidence(keeper: Keeper) -> None:
    key, answer = keeper.bench.admit()
    for _ in range(2):
        keeper.members.enter(answer["participant"])
    assert keeper.kinds() == ["member.joined"]
    assert keeper.members.key_of(TIANTAN) == key.public
    member = keeper.members.find("tiantan")
    assert member is not None
    assert (member.title, member.state) == ("天坛医院", Standing.ADMITTED)


def test_nobody_is_a_member_on_the_hubs_word(keeper: Keeper, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Bench(other)
    _, answer = stranger.admit()
    with pytest.raises(IntegrityError):
        keeper.members.enter(answer["participant"])
    stranger.database.close()
    assert keeper.members.list_all() == []
    with pytest.raises(NotFoundError):
        keeper.members.key_of(TIANTAN)


def test_a_renewed_certificate_takes_the_place_of_the_old_one(keeper: Keeper) -> None:
    key, answer = keeper.bench.admit()
    keeper.members.enter(answer["participant"])
    keeper.bench.clock.advance(timedelta(hours=1))
    fresh: Any = keeper.bench.signer.renew(renewal_request(keeper.bench, key))
    keeper.members.enter(fresh["participant"])
    assert keeper.kinds() == ["member.joined", "member.renewed"]
    member = keeper.members.find("tiantan")
    assert member is not None
    assert member.certificate == fresh["participant"]


def test_a_member_whose_certificate_has_lapsed_has_no_voice(keeper: Keeper) -> None:
    _, answer = keeper.bench.admit()
    keeper.members.enter(answer["participant"])
    keeper.bench.clock.advance(timedelta(hours=169))
    with pytest.raises(DeniedError) as caught:
        keeper.members.key_of(TIANTAN)
    assert caught.value.code == "hub.member_lapsed"


def test_a_revocation_counts_at_once(keeper: Keeper) -> None:
    _, answer = keeper.bench.admit()
    keeper.members.enter(answer["participant"])
    keeper.members.key_of(TIANTAN)
    assert keeper.members.apply_standing({"tiantan": "revoked"}) == ["tiantan"]
    assert keeper.members.apply_standing({"tiantan": "revoked"}) == []
    with pytest.raises(DeniedError) as caught:
        keeper.members.key_of(TIANTAN)
    assert caught.value.code == "hub.member_revoked"
    keeper.members.enter(answer["participant"])
    with pytest.raises(DeniedError):
        keeper.members.key_of(TIANTAN)
    assert keeper.kinds() == ["member.joined", "member.revoked"]


def test_the_list_is_signed_by_the_hub(keeper: Keeper) -> None:
    _, answer = keeper.bench.admit()
    keeper.members.enter(answer["participant"])
    told = keeper.members.signed_list()
    facts = verify_statement(str(told["list"]), "members", HUB.public)
    assert [entry["participant"] for entry in facts["members"]] == [TIANTAN]
    assert facts["members"][0]["certificate"] == answer["participant"]


@pytest.fixture
def key(keeper: Keeper) -> SigningKey:
    key, answer = keeper.bench.admit()
    keeper.members.enter(answer["participant"])
    return key


def note(key: SigningKey, size: int, *, root: int = 0, origin: str = TIANTAN) -> str:
    return sign_checkpoint(key, origin, size=size, root=bytes([root]) * 32).text


def test_a_growing_log_is_witnessed(keeper: Keeper, key: SigningKey) -> None:
    with pytest.raises(NotFoundError):
        keeper.witness.last(TIANTAN)
    for size in (1, 5, 5, 9):
        keeper.witness.take(TIANTAN, note(key, size))
    assert keeper.witness.last(TIANTAN)["checkpoint"] == note(key, 9)
    assert keeper.kinds() == ["member.joined"] + ["witness.received"] * 3


@pytest.mark.parametrize(("size", "root"), [(4, 0), (5, 1), (0, 0)])
def test_a_log_that_shrinks_or_differs_is_refused_with_evidence(
    keeper: Keeper, key: SigningKey, size: int, root: int
) -> None:
    keeper.witness.take(TIANTAN, note(key, 5))
    with pytest.raises(IntegrityError) as caught:
        keeper.witness.take(TIANTAN, note(key, size, root=root))
    assert caught.value.code == "hub.log_shrank"
    assert keeper.kinds()[-1] == "witness.refused"
    assert keeper.witness.last(TIANTAN)["size"] == 5


def test_a_checkpoint_of_another_key_or_log_is_refused(keeper: Keeper, key: SigningKey) -> None:
    with pytest.raises(IntegrityError):
        keeper.witness.take(TIANTAN, note(SigningKey.generate(), 1))
    with pytest.raises(DeniedError) as caught:
        keeper.witness.take(TIANTAN, note(key, 1, origin="did:web:glioma:huashan"))
    assert caught.value.code == "hub.other_log"


def test_only_the_last_checkpoints_are_kept(keeper: Keeper, key: SigningKey) -> None:
    for size in range(1, KEPT + 8):
        keeper.witness.take(TIANTAN, note(key, size))
    with keeper.bench.database.read() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM hub_checkpoints").scalar()
    assert kept == KEPT
    assert keeper.witness.last(TIANTAN)["size"] == KEPT + 7
    assert keeper.bench.clock.now() == START
