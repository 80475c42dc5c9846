"""Hub and hospitals cosign one another's logs, over real HTTPS and the relay."""

import pytest
from hub_rehearsal import Hub, Node, raw

from consilium.kernel.errors import InputError, IntegrityError, NotFoundError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.cosigning import verify_cosignature
from consilium.ledger.notes import sign_checkpoint, verify_checkpoint
from consilium.ledger.witnessing import Shown
from consilium.node.witnessing import choose_peers


def write(node: Node) -> int:
    with node.database.write() as tx:
        return tx.record("dataset.added", "urn:x", {"rows": 3})


def test_the_hub_cosigns_what_has_grown(asker: Node) -> None:
    hub = asker.membership.hub_participant
    for _ in range(2):
        write(asker)
        assert asker.witnessing.show_hub()
        assert not asker.witnessing.show_hub()
    best = asker.cosignatures.best(least=1)
    assert best.size == asker.database.evidence.size
    key = asker.directory.key_of(hub)
    assert verify_cosignature(best.note, hub, key).witness == hub
    assert verify_checkpoint(best.note, asker.key.public).size == best.size


def test_a_peer_cosigns_over_the_relay(asker: Node, asked: Node) -> None:
    write(asker)
    assert asker.witnessing.show_peer(asked.me)
    assert asked.witness.last_size(asker.me) == asker.database.evidence.size
    size = asked.database.evidence.size
    write(asker)
    assert asker.witnessing.show_peer(asked.me)
    assert asked.database.evidence.size == size  # else two witnesses would never be done
    note = asker.cosignatures.best(least=1).note
    assert verify_cosignature(note, asked.me, asked.key.public).key == asked.key.public


def test_the_members_cosign_the_hubs_own_log(asker: Node, asked: Node, open_hub: Hub) -> None:
    hub = asker.membership.hub_participant
    write(asker)
    asker.witnessing.show_hub()  # which leaves an entry in the hub's log
    size = open_hub.database.evidence.size
    assert asker.witnessing.witness_hub()
    assert asker.witness.last_size(hub) == size
    assert open_hub.cosignatures.last_size(asker.me) == size
    note = open_hub.cosignatures.best(least=size).note
    assert verify_cosignature(note, asker.me, asker.key.public).witness == asker.me


def test_one_turn_asks_everybody(asker: Node, asked: Node) -> None:
    write(asker)
    asker.witnessing.show_hub()
    assert asker.witnessing.run_once() == 2  # the hub's log, and one peer for ours
    assert asker.witnessing.run_once() == 0


def test_a_hub_that_shows_another_log_is_found_out(asker: Node, open_hub: Hub) -> None:
    hub = asker.membership.hub_participant
    asker.witnessing.witness_hub()
    size = asker.witness.last_size(hub)
    key = open_hub.members._key
    forged = sign_checkpoint(key, hub, size=size + 1, root=bytes(32)).text
    with pytest.raises(IntegrityError) as caught:
        asker.witness.take(hub, Shown(checkpoint=forged, old=size, proof=(bytes(32),)))
    assert caught.value.code == "ledger.not_consistent"
    found = asker.database.evidence.entries(kind="witness.refused")
    assert found[-1].facts["shown_note"] == forged


def test_the_hub_shows_its_members_tiles_and_no_entries(asker: Node, open_hub: Hub) -> None:
    def fetch(target: str) -> bytes:
        answer = raw(asker, asker.hub._caller.prepare("GET", target))
        if answer.status_code == 404:
            raise NotFoundError("boundary.no_route", method="GET")
        return answer.content

    note = verify_checkpoint(fetch("/log/checkpoint").decode(), open_hub.members._key.public)
    width = note.size % 256
    assert len(fetch(f"/log/tile/0/000.p/{width}")) == 32 * width
    for path in ("entries/000.p/1", "entries/000", "0/000.p/255", "../hub.db"):
        with pytest.raises(NotFoundError):
            fetch(f"/log/tile/{path}")


def test_a_cosignature_of_nothing_that_was_handed_out_is_refused(asker: Node) -> None:
    for document in (
        {"size": 10**6, "cosignature": "— x y\n"},
        {"size": 0, "cosignature": "— x y\n"},
    ):
        with pytest.raises((NotFoundError, InputError, IntegrityError)):
            asker.hub.call("POST", "/log/cosignatures", document)


def test_a_peer_that_is_not_there_is_only_noted(asker: Node) -> None:
    nobody = ParticipantId("did:web:glioma:nobody")
    with pytest.raises(NotFoundError):
        asker.witnessing.show_peer(nobody)
    assert asker.witnessing._try(lambda: asker.witnessing.show_peer(nobody)) is False


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_the_same_few_peers_are_asked(size: int) -> None:
    everybody = [ParticipantId(f"did:web:space:h{n}") for n in range(size)]
    for me in everybody:
        chosen = choose_peers(me, everybody)
        assert me not in chosen
        assert len(chosen) == min(3, size - 1)
        assert chosen == choose_peers(me, everybody[::-1])


def test_asking_is_spread_over_all() -> None:
    everybody = [ParticipantId(f"did:web:space:h{n}") for n in range(60)]
    asked = [peer for me in everybody for peer in choose_peers(me, everybody)]
    assert len(set(asked)) > 50
    assert max(map(asked.count, everybody)) <= 10
