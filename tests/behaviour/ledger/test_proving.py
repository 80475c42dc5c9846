"""Tiles, cosignatures and exports on both databases."""

from pathlib import Path
from typing import Any

from consilium.ledger.auditing import verify_export
from consilium.ledger.cosignatures import KEPT, Cosignatures
from consilium.ledger.cosigning import cosign, verify_cosignature
from consilium.ledger.database import Database
from consilium.ledger.exports import Exporter, Selection
from consilium.ledger.keys import SigningKey
from consilium.ledger.tiles import LogTiles
from consilium.ledger.witnessing import LogMemory, Shown, Witness

HUB, PEER = "did:web:space:hub", "did:web:space:north"


def test_a_log_is_witnessed_and_exported(place: Any, database: Database, tmp_path: Path) -> None:
    witness_key = SigningKey.generate()
    tiles = LogTiles(database.evidence, tmp_path / "log")
    cosignatures = Cosignatures(database, tiles, clock=place.clock)
    witness = Witness(
        database,
        me=PEER,
        key=witness_key,
        key_of=lambda origin: place.key.public,
        memory=LogMemory(),
        clock=place.clock,
    )

    def ask(document: dict[str, Any]) -> dict[str, Any]:
        shown = Shown.from_document(document)
        return dict(witness.take("did:web:space:tiantan", shown).as_document())

    for number in range(4):
        place.put(database, f"ward-{number}")
        assert cosignatures.request(PEER, key=witness_key.public, ask=ask)
        assert not cosignatures.request(PEER, key=witness_key.public, ask=ask)
    assert witness.last_size("did:web:space:tiantan") == cosignatures.last_size(PEER) == 4
    best = cosignatures.best(least=3)
    assert verify_cosignature(best.note, PEER, witness_key.public).witness == PEER
    exporter = Exporter(database, tiles, cosignatures, key=place.key.public, clock=place.clock)
    exporter.write(Selection(first=2, last=4), tmp_path / "export.zip")
    pins = [witness_key.public.fingerprint]
    verdict = verify_export(
        tmp_path / "export.zip", key=place.key.public.fingerprint, witnesses=pins
    )
    assert (verdict.verified, verdict.entries) == (True, 3)
    assert database.evidence.size == 4  # witnessing itself leaves no entries


def test_only_the_newest_cosignatures_are_kept(
    place: Any, database: Database, tmp_path: Path
) -> None:
    key, tiles = SigningKey.generate(), LogTiles(database.evidence, tmp_path / "log")
    cosignatures = Cosignatures(database, tiles, clock=place.clock)
    for number in range(KEPT + 3):
        place.put(database, f"ward-{number}")
        note = tiles.checkpoint()
        line = cosign(key, HUB, note.text, moment=place.clock.now())
        cosignatures.keep(HUB, size=note.size, line=line, key=key.public)
    with database.read() as connection:
        sizes = connection.exec_driver_sql("SELECT size FROM cosignatures ORDER BY size").scalars()
        assert list(sizes) == list(range(4, KEPT + 4))
