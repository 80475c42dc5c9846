"""Proofs of a node's log: tiles, cosignatures, exports, and this node as witness of others."""

from __future__ import annotations

from dataclasses import dataclass

from consilium.ledger.cosignatures import Cosignatures
from consilium.ledger.exports import Exporter
from consilium.ledger.tiles import LogTiles
from consilium.ledger.witnessing import Witness
from consilium.node.evidence import EvidenceDesk, Release
from consilium.node.front import Front
from consilium.node.ground import Ground
from consilium.node.witnessing import Witnessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """The log's tiles, the cosignatures it has, and this node as witness of others."""

    tiles: LogTiles
    cosignatures: Cosignatures
    witness: Witness
    witnessing: Witnessing


def make_proofs(ground: Ground, front: Front) -> Proofs:
    """Make what proves this node's log to others, and theirs to it."""
    tiles = LogTiles(ground.database.evidence, ground.home / "log")
    cosignatures = Cosignatures(ground.database, tiles, clock=ground.clock)
    directory, witness = front.directory, front.witness
    witnessing = Witnessing(
        front.connector.client,
        ground.hub,
        hub_id=ground.membership.hub_participant,
        cosignatures=cosignatures,
        witness=witness,
        peers=lambda: [
            entry.identity.participant for entry in directory.list_entries() if entry.admitted
        ],
    )
    return Proofs(tiles=tiles, cosignatures=cosignatures, witness=witness, witnessing=witnessing)


def make_evidence_desk(ground: Ground, proofs: Proofs, *, release: Release) -> EvidenceDesk:
    """Make what hands out proofs and exports to this hospital's own people."""
    exporter = Exporter(
        ground.database,
        proofs.tiles,
        proofs.cosignatures,
        key=ground.key.public,
        clock=ground.clock,
    )
    return EvidenceDesk(
        database=ground.database,
        tiles=proofs.tiles,
        exporter=exporter,
        folder=ground.home / "exports",
        refresh=proofs.witnessing.try_hub,
        release=release,
    )
