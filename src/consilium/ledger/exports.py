"""Exports: one file by which an auditor proves entries of a log, with no access to us.

The file is a plain zip:

- `README.md`: what this is and how to check it, in Chinese and English;
- `manifest.json`: which log, which entries, which hash and signature, whose keys;
- `checkpoint`: the log's signed note, with the witnesses' cosignatures below;
- `entries.jsonl`: each line is one entry, byte by byte as it was hashed;
- `tile/...`: the hash tiles (C2SP tlog-tiles) that lead from those entries to
  the signed root, and no more.

It proves that these entries stand in the log at their places. A range has no
gaps; of a choice by subject nobody can prove that nothing was left out, and
the page says so. What it proves, it proves under the owner's key: compare its
fingerprint with the one that you have from the owner or from the space's list.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from json.encoder import encode_basestring
from pathlib import Path

from consilium.kernel.canonical import Digest, Json, canonical_bytes
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError
from consilium.ledger.algorithms import ED25519
from consilium.ledger.auditing import (
    CHECKPOINT,
    ENTRIES,
    FORMAT,
    MANIFEST,
    README,
    ExportVerdict,
    verify_export,
)
from consilium.ledger.cosignatures import Cosignatures, CosignedCheckpoint
from consilium.ledger.database import Database
from consilium.ledger.evidence import EvidenceLog
from consilium.ledger.files import digest_file, disk_refusals, replace_file
from consilium.ledger.keys import PublicKey
from consilium.ledger.notes import Checkpoint, read_checkpoint
from consilium.ledger.proofs import Proof, verify_inclusion
from consilium.ledger.tiles import LogTiles

_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries: a range of places (from 1, both ends included), or all that name a subject.

    Parameters
    ----------
    first, last : int or None
        The range; None means the log's beginning or end.
    subject : str
        Identifier of a study, an agreement or anything else that entries name;
        empty for a range.
    """

    first: int | None = None
    last: int | None = None
    subject: str = ""

    def as_record(self) -> dict[str, Json]:
        """Give the form that stands in the manifest."""
        if self.subject:
            return {"subject": self.subject}
        return {"from": self.first, "to": self.last}


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export that lies on the disk.

    Parameters
    ----------
    path : Path
        The zip.
    digest : Digest
        SHA-256 of it.
    entries : int
        How many it holds.
    size : int
        Entries of the log at the checkpoint.
    witnesses : tuple of str
        Who has cosigned that checkpoint.
    """

    path: Path
    digest: Digest
    entries: int
    size: int
    witnesses: tuple[str, ...]

    def as_record(self) -> dict[str, Json]:
        """Give the form that API and evidence hold."""
        return {
            "digest": self.digest,
            "entries": self.entries,
            "size": self.size,
            "witnesses": list(self.witnesses),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryProof:
    """One entry with its RFC 9162 inclusion proof under a cosigned checkpoint."""

    seq: int
    body: bytes
    proof: Proof
    checkpoint: CosignedCheckpoint

    def as_record(self) -> dict[str, Json]:
        """Give the proof as JSON; hashes in hexadecimal."""
        note = read_checkpoint(self.checkpoint.note)
        return {
            "seq": self.seq,
            "entry": self.body.decode("utf-8"),
            "hash": note.tree.name,
            "leaf": note.tree.leaf(self.body).hex(),
            "index": self.seq - 1,
            "size": note.size,
            "root": note.root.hex(),
            "proof": [each.hex() for each in self.proof],
            "checkpoint": self.checkpoint.note,
            "witnesses": {name: key.fingerprint for name, key in self.checkpoint.witnesses.items()},
        }


class Exporter:
    """Makes proofs and exports of one log.

    Parameters
    ----------
    database : Database
        Whose log.
    tiles : LogTiles
        Its tiles.
    cosignatures : Cosignatures
        What others have cosigned of it.
    key : PublicKey
        The log's owner.
    clock : Clock
        Says when an export was made.
    """

    def __init__(
        self,
        database: Database,
        tiles: LogTiles,
        cosignatures: Cosignatures,
        *,
        key: PublicKey,
        clock: Clock,
    ) -> None:
        self._log = database.evidence
        self._tiles = tiles
        self._cosignatures = cosignatures
        self._key = key
        self._clock = clock

    def prove(self, seq: int) -> EntryProof:
        """Prove one entry.

        Raises
        ------
        InputError
            `ledger.no_proof` if there is no such entry.
        IntegrityError
            `ledger.proof_fails` if the entry is not the one that was signed.
        """
        size = self._tiles.checkpoint().size
        if not 0 < seq <= size:
            raise InputError("ledger.no_proof", seq=seq, size=size)
        try:
            return self._prove(seq)
        except IntegrityError:  # of the entry, or only of a tile that is derived from it
            self._tiles.rebuild()
            self._tiles.checkpoint()
            return self._prove(seq)

    def write(self, selection: Selection, path: Path) -> Export:
        """Write an export to a file, in the place of an older one, and check it.

        Raises
        ------
        InputError
            `ledger.no_proof` if the range is beyond the log.
        NotFoundError
            `ledger.nothing_to_export`.
        IntegrityError
            `ledger.proof_fails` if an entry is not the one that was signed.
        StateError
            `ledger.disk_full`, `ledger.cannot_write`.
        """
        made = self._write(selection, path)
        if not self._check(path).verified:
            self._tiles.rebuild()
            made, verdict = self._write(selection, path), self._check(path)
            if verdict.reason_code is not None:
                raise IntegrityError(verdict.reason_code, **dict(verdict.facts))
        return made

    def _check(self, path: Path) -> ExportVerdict:
        return verify_export(path, key=self._key.fingerprint)

    def _prove(self, seq: int) -> EntryProof:
        cosigned = self._cosignatures.best(least=seq)
        (body,) = self._log.bodies(after=seq - 1, to=seq)
        proof = self._tiles.inclusion(seq, cosigned.size)
        note = read_checkpoint(cosigned.note)
        verify_inclusion(
            note.tree.leaf(body),
            seq - 1,
            note.size,
            proof=proof,
            root=note.root,
            tree=note.tree,
        )
        return EntryProof(seq=seq, body=body, proof=proof, checkpoint=cosigned)

    def _write(self, selection: Selection, path: Path) -> Export:
        present = self._tiles.checkpoint()
        selection, places = self._choose(selection, present.size)
        cosigned = self._cosignatures.best(least=places[-1])
        note = read_checkpoint(cosigned.note)
        replace_file(path, b"")
        with disk_refusals(path), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            manifest = self._manifest(selection, note, cosigned, count=len(places))
            _put(archive, README, _readme().encode("utf-8"))
            _put(archive, MANIFEST, canonical_bytes(manifest))
            _put(archive, CHECKPOINT, cosigned.note.encode("utf-8"))
            with archive.open(zipfile.ZipInfo(ENTRIES, _EPOCH), "w", force_zip64=True) as stream:
                for body in read_bodies(self._log, places):
                    stream.write(body + b"\n")
            for name, data in self._tiles.tiles_for(places, note.size).items():
                _put(archive, name, data)
        return Export(
            path=path,
            digest=digest_file(path),
            entries=len(places),
            size=note.size,
            witnesses=tuple(cosigned.witnesses),
        )

    def _choose(self, selection: Selection, size: int) -> tuple[Selection, list[int]]:
        """Return the selection with its range filled in, and the places."""
        if selection.subject:
            places = find_places(self._log, selection.subject, size=size)
            if not places:
                raise NotFoundError("ledger.nothing_to_export", subject=selection.subject[:200])
            return selection, places
        first, last = selection.first or 1, selection.last or size
        if not 1 <= first <= last <= size:
            raise InputError("ledger.no_proof", seq=max(first, last), size=size)
        return Selection(first=first, last=last), list(range(first, last + 1))

    def _manifest(
        self, selection: Selection, note: Checkpoint, cosigned: CosignedCheckpoint, *, count: int
    ) -> dict[str, Json]:
        def show(name: str, key: PublicKey) -> dict[str, Json]:
            return {"name": name, "key": key.text, "fingerprint": key.fingerprint}

        return {
            "format": FORMAT,
            "made": write_time(self._clock.now()),
            "log": show(note.origin, self._key),
            "hash": note.tree.name,
            "signature": ED25519,
            "size": note.size,
            "root": note.root.hex(),
            "selection": selection.as_record(),
            "entries": count,
            "witnesses": [show(name, key) for name, key in cosigned.witnesses.items()],
        }


def find_places(log: EvidenceLog, subject: str, *, size: int) -> list[int]:
    """List the places of all entries that name a subject, as theirs or among their facts."""
    needle = encode_basestring(subject).encode("utf-8")
    bodies = enumerate(log.bodies(after=0, to=size), start=1)
    return [seq for seq, body in bodies if needle in body]


def read_bodies(log: EvidenceLog, places: Iterable[int]) -> Iterator[bytes]:
    """Give the entries at these places, in order, reading neighbours together."""
    first = last = None
    for seq in places:
        if last is not None and seq == last + 1:
            last = seq
            continue
        if first is not None and last is not None:
            yield from log.bodies(after=first - 1, to=last)
        first = last = seq
    if first is not None and last is not None:
        yield from log.bodies(after=first - 1, to=last)


@cache
def _readme() -> str:
    return files("consilium.ledger").joinpath("export.md").read_text(encoding="utf-8")


def _put(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Write a file with no date of its own, so that the same export has the same bytes."""
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
