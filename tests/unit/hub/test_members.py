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
from consilium.hub.witness import KEPT, HubMemory, last_witnessed
from consilium.kernel.errors import DeniedError, IntegrityError, NotFoundError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.certificates import write_certificate
from consilium.ledger.cosigning import verify_cosignature
from consilium.ledger.keys import SigningKey
from consilium.ledger.merkle import leaf_hash, node_hash
from consilium.ledger.notes import sign_checkpoint
from consilium.ledger.proofs import prove_consistency, range_root
from consilium.ledger.statements import verify_statement
from consilium.ledger.witnessing import Answer, Shown, Witness

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
            self.bench.database,
            me="did:web:glioma:hub",
            key=HUB,
            key_of=lambda origin: self.members.key_of(ParticipantId(origin)),
            memory=HubMemory(),
            clock=self.bench.clock,
        )

    def last(self) -> dict[str, Any]:
        return last_witnessed(self.bench.database, TIANTAN)

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


class Log:
    """A member's log, whose tree is held in memory."""

    def __init__(self, key: SigningKey, *, first: bytes = b"first") -> None:
        self.key = key
        self.leaves = [leaf_hash(first), *(leaf_hash(bytes([n])) for n in range(63))]

    def show(self, size: int, *, old: int = 0, origin: str = TIANTAN) -> Shown:
        root = range_root(0, size, read=self._node)
        note = sign_checkpoint(self.key, origin, size=size, root=root).text
        proof = prove_consistency(old, size, read=self._node) if old <= size else ()
        return Shown(checkpoint=note, old=old, proof=proof)

    def _node(self, level: int, index: int) -> bytes:
        if level == 0:
            return self.leaves[index]
        return node_hash(self._node(level - 1, 2 * index), self._node(level - 1, 2 * index + 1))


def test_a_growing_log_is_cosigned_after_a_proof(keeper: Keeper, key: SigningKey) -> None:
    with pytest.raises(NotFoundError):
        keeper.last()
    log = Log(key)
    for old, size in ((0, 1), (1, 5), (1, 5), (5, 9)):
        shown = log.show(size, old=old)
        answer = keeper.witness.take(TIANTAN, shown)
        said = verify_cosignature(
            shown.checkpoint + answer.cosignature, "did:web:glioma:hub", HUB.public
        )
        assert (answer.size, said.moment) == (size, START)
    assert keeper.last()["checkpoint"] == log.show(9).checkpoint
    assert keeper.kinds() == ["member.joined"] + ["witness.received"] * 3


def test_a_proof_from_another_size_is_asked_for_again(keeper: Keeper, key: SigningKey) -> None:
    log = Log(key)
    assert keeper.witness.take(TIANTAN, log.show(5, old=3)) == Answer(size=0)
    keeper.witness.take(TIANTAN, log.show(5))
    assert keeper.witness.take(TIANTAN, log.show(9)) == Answer(size=5)
    assert keeper.last()["size"] == 5


@pytest.mark.parametrize(("size", "first"), [(4, b"first"), (5, b"other"), (0, b"first")])
def test_a_log_that_shrinks_or_differs_is_refused_with_evidence(
    keeper: Keeper, key: SigningKey, size: int, first: bytes
) -> None:
    kept, forged = Log(key).show(5), Log(key, first=first).show(size)
    keeper.witness.take(TIANTAN, kept)
    with pytest.raises(IntegrityError) as caught:
        keeper.witness.take(TIANTAN, forged)
    assert caught.value.code == "ledger.log_shrank"
    assert keeper.kinds()[-1] == "witness.refused"
    facts = keeper.bench.database.evidence.entries(kind="witness.refused")[0].facts
    assert (facts["kept_note"], facts["shown_note"]) == (kept.checkpoint, forged.checkpoint)
    assert keeper.last()["size"] == 5


def test_a_fork_is_refused_with_evidence(keeper: Keeper, key: SigningKey) -> None:
    keeper.witness.take(TIANTAN, Log(key).show(5))
    with pytest.raises(IntegrityError) as caught:
        keeper.witness.take(TIANTAN, Log(key, first=b"other").show(9, old=5))
    assert caught.value.code == "ledger.not_consistent"
    assert keeper.kinds()[-1] == "witness.refused"
    assert keeper.last()["size"] == 5


def test_a_checkpoint_of_another_key_or_log_is_refused(keeper: Keeper, key: SigningKey) -> None:
    with pytest.raises(IntegrityError):
        keeper.witness.take(TIANTAN, Log(SigningKey.generate()).show(1))
    with pytest.raises(DeniedError) as caught:
        keeper.witness.take(TIANTAN, Log(key).show(1, origin="did:web:glioma:huashan"))
    assert caught.value.code == "ledger.other_log_shown"


def test_only_the_last_checkpoints_are_kept(keeper: Keeper, key: SigningKey) -> None:
    log = Log(key)
    for size in range(1, KEPT + 8):
        keeper.witness.take(TIANTAN, log.show(size, old=size - 1))
    with keeper.bench.database.read() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM hub_checkpoints").scalar()
    assert kept == KEPT
    assert keeper.last()["size"] == KEPT + 7
    assert keeper.bench.clock.now() == START
