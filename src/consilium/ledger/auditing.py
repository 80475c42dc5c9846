"""Checking an export offline: from the file alone, and the fingerprints that the auditor has.

Nothing in the file is believed:

1. it is a zip with the known files and no others, each once, none too large;
2. its algorithms are known, and the owner's key is the one that was pinned;
3. the owner signed the checkpoint, and what the manifest says of it fits;
4. each entry stands in the log: an inclusion proof, made from the file's tiles
   and checked as RFC 9162 says, leads from it to the signed root. One proof
   binds a whole tile, since every hash of the tile goes into it; its other
   entries are compared with the tile;
5. a range has no gaps, a choice by subject holds nothing else;
6. each cosignature is the witness's, and those that were asked for are there.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

from consilium.kernel.canonical import read_json
from consilium.kernel.clock import read_time, write_time
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError, NotFoundError
from consilium.ledger.algorithms import check_signature, get_hash
from consilium.ledger.cosigning import Cosignature, verify_cosignature
from consilium.ledger.keys import PublicKey
from consilium.ledger.notes import Checkpoint, verify_checkpoint
from consilium.ledger.proofs import prove_inclusion, verify_inclusion
from consilium.ledger.tiles import WIDTH, fold, split_tile, tile_path

FORMAT = "consilium-evidence-1"
README, MANIFEST, CHECKPOINT, ENTRIES = "README.md", "manifest.json", "checkpoint", "entries.jsonl"
"""The files of an export beside its tiles; see `consilium.ledger.exports`."""
_TOLD = {
    *("format", "made", "log", "hash", "signature", "size", "root"),
    *("selection", "entries", "witnesses"),
}
_SELECTIONS = ({"subject"}, {"from", "to"})
LARGEST = 1 << 34
"""Bytes of all files of an export together, unpacked."""
_SMALL = 1 << 22
_BITS = 8
_CACHED = 4096
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What the zip library raises for a file that is cut, changed, encrypted or of another kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportVerdict:
    """What checking an export found.

    Parameters
    ----------
    verified : bool
        Whether everything in it is proved under `key`.
    origin, key : str
        Whose log, and the fingerprint that it was checked with.
    pinned : bool
        Whether the auditor gave that fingerprint. If not, the key came from
        the file itself, and somebody has to compare it.
    entries, size : int
        Entries proved; entries of the whole log at the checkpoint.
    root : str
        The tree's root, `<hash>:<hex>`.
    selection : mapping
        What was chosen, as the manifest says.
    witnesses : tuple of Cosignature
        Who has cosigned, checked.
    expected : frozenset of str
        Fingerprints of witnesses that the auditor gave.
    first_bad : int or None
        Place of the first entry that is not proved.
    reason_code, facts
        What is wrong, as an error's code and facts.
    """

    verified: bool
    origin: str = ""
    key: str = ""
    pinned: bool = False
    entries: int = 0
    size: int = 0
    root: str = ""
    selection: Mapping[str, Any] = field(default_factory=dict)
    witnesses: tuple[Cosignature, ...] = ()
    expected: frozenset[str] = frozenset()
    first_bad: int | None = None
    reason_code: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def text(self, language: str) -> str:
        """Say in `en` or `zh` what is wrong; empty if nothing is."""
        if self.reason_code is None:
            return ""
        return IntegrityError(self.reason_code, **self.facts).text(language)

    def as_record(self) -> dict[str, Any]:
        """Give the verdict as JSON."""
        return {
            "verified": self.verified,
            "log": self.origin,
            "key": self.key,
            "pinned": self.pinned,
            "entries": self.entries,
            "size": self.size,
            "root": self.root,
            "selection": dict(self.selection),
            "witnesses": [
                {
                    "name": each.witness,
                    "key": each.key.fingerprint,
                    "pinned": each.key.fingerprint in self.expected,
                    "time": write_time(each.moment),
                }
                for each in self.witnesses
            ],
            "first_bad": self.first_bad,
            "reason": self.reason_code,
            "en": self.text("en"),
            "zh": self.text("zh"),
        }


def verify_export(
    path: Path, *, key: str | None = None, witnesses: Collection[str] = ()
) -> ExportVerdict:
    """Check an export.

    Parameters
    ----------
    path : Path
        The file.
    key : str or None
        Fingerprint (`sha256:...`) of the log's owner, from elsewhere.
    witnesses : collection of str
        Fingerprints of witnesses, each of whom must have cosigned.

    Returns
    -------
    ExportVerdict
        A bad export is a result, not an error.

    Raises
    ------
    NotFoundError
        `ledger.no_file`.
    InputError
        `ledger.unknown_algorithm`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Audit(archive, key=key, witnesses=witnesses).run()
    except IntegrityError as error:
        return ExportVerdict(
            verified=False,
            first_bad=error.facts.get("seq"),  # type: ignore[arg-type]
            reason_code=error.code,
            facts=error.facts,
        )
    except _UNREADABLE as error:
        facts = {"place": path.name, "reason": type(error).__name__}
        return ExportVerdict(verified=False, reason_code="ledger.export_damaged", facts=facts)
    except OSError as error:
        raise NotFoundError("ledger.no_file", path=str(path)) from error


class _Audit:
    """One check of one file; see the plan above."""

    def __init__(
        self, archive: zipfile.ZipFile, *, key: str | None, witnesses: Collection[str]
    ) -> None:
        self._archive = archive
        self._pinned = key
        self._expected = frozenset(witnesses)
        self._levels = lru_cache(maxsize=_CACHED)(self._read_levels)

    def run(self) -> ExportVerdict:
        self._check_names()
        told = self._read_manifest()
        self._tree = get_hash(_text(told, "hash"))
        check_signature(_text(told, "signature"))
        note = self._read_small(CHECKPOINT).decode("utf-8")
        owner = _Key.read(told.get("log"))
        self._note = self._check_note(told, note, owner)
        places = self._check_entries(told)
        seen = self._check_witnesses(told, note)
        return ExportVerdict(
            verified=True,
            origin=self._note.origin,
            key=owner.key.fingerprint,
            pinned=self._pinned is not None,
            entries=places,
            size=self._note.size,
            root=f"{self._tree.name}:{self._note.root.hex()}",
            selection=told["selection"],
            witnesses=seen,
            expected=self._expected,
        )

    def _check_names(self) -> None:
        infos = self._archive.infolist()
        names = [info.filename for info in infos]
        known = {README, MANIFEST, CHECKPOINT, ENTRIES}
        foreign = [name for name in names if name not in known and not name.startswith("tile/")]
        if foreign or len(set(names)) != len(names) or not known <= set(names):
            raise _damaged("names")
        if sum(info.file_size for info in infos) > LARGEST:
            raise _damaged("size")
        self._names = frozenset(names)

    def _read_small(self, name: str) -> bytes:
        if self._archive.getinfo(name).file_size > _SMALL:
            raise _damaged(name)
        return self._archive.read(name)

    def _read_manifest(self) -> dict[str, Any]:
        try:
            told = read_json(self._read_small(MANIFEST))
        except InputError as error:
            raise _damaged(MANIFEST) from error
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise _damaged("format")
        selection = told.get("selection")
        if not isinstance(selection, dict) or set(selection) not in _SELECTIONS:
            raise _damaged("selection")
        try:
            read_time(_text(told, "made"))
        except ValueError as error:
            raise _damaged(MANIFEST) from error
        if set(told) != _TOLD:
            raise _damaged(MANIFEST)
        return told

    def _check_note(self, told: Mapping[str, Any], note: str, owner: _Key) -> Checkpoint:
        if self._pinned is not None and owner.key.fingerprint != self._pinned:
            raise IntegrityError(
                "ledger.other_key", found=owner.key.fingerprint, wanted=self._pinned[:80]
            )
        try:
            found = verify_checkpoint(note, owner.key)
        except InputError as error:
            raise _damaged(CHECKPOINT) from error
        said = (told.get("size"), told.get("root"), owner.name, told.get("hash"))
        if said != (found.size, found.root.hex(), found.origin, found.tree.name):
            raise _damaged(MANIFEST)
        return found

    def _check_entries(self, told: Mapping[str, Any]) -> int:
        subject, place = told["selection"].get("subject"), 0
        needle = encode_basestring(subject).encode("utf-8") if isinstance(subject, str) else b""
        first = count = 0
        proved: dict[int, list[bytes]] = {}
        for body in self._bodies():
            before, place = place, self._read_place(body)
            if place <= before or (not needle and before and place != before + 1):
                raise IntegrityError("ledger.entry_missing", seq=before + 1)
            if needle not in body:
                raise IntegrityError("ledger.entry_added", seq=place)
            self._check_entry(body, place, proved)
            first, count = first or place, count + 1
        span = (told["selection"].get("from"), told["selection"].get("to"))
        if count != told.get("entries") or (not needle and span != (first, place)):
            raise IntegrityError("ledger.entry_missing", seq=place + 1)
        return count

    def _check_entry(self, body: bytes, place: int, proved: dict[int, list[bytes]]) -> None:
        number, offset = divmod(place - 1, WIDTH)
        leaf = self._tree.leaf(body)
        hashes = proved.get(number)
        if hashes is None:
            proof = prove_inclusion(place - 1, self._note.size, read=self._node, tree=self._tree)
            verify_inclusion(
                leaf,
                place - 1,
                self._note.size,
                proof=proof,
                root=self._note.root,
                tree=self._tree,
            )
            proved.clear()  # entries come in order: one tile is open at a time
            proved[number] = hashes = self._levels(0, number)[0]
        if hashes[offset] != leaf:
            raise IntegrityError("ledger.proof_fails", seq=place)

    def _bodies(self) -> Iterator[bytes]:
        with self._archive.open(ENTRIES) as stream:
            while line := stream.readline(1 << 17):
                if not line.endswith(b"\n"):
                    raise _damaged(ENTRIES)
                yield line[:-1]

    def _read_place(self, body: bytes) -> int:
        try:
            told = read_json(body)
        except InputError as error:
            raise _damaged(ENTRIES) from error
        place = told.get("seq") if isinstance(told, dict) else None
        if not isinstance(place, int) or not 0 < place <= self._note.size:
            raise _damaged(ENTRIES)
        return place

    def _node(self, level: int, index: int) -> bytes:
        """Read a node from the file's tiles; whether they are right is for the proof to show."""
        tiles, inner = divmod(level, _BITS)
        number, offset = divmod(index << inner, WIDTH)
        levels = self._levels(tiles, number)
        if len(levels) > inner and len(levels[inner]) > offset >> inner:
            return levels[inner][offset >> inner]
        raise IntegrityError("ledger.tile_damaged")

    def _read_levels(self, level: int, number: int) -> list[list[bytes]]:
        width = min(WIDTH, (self._note.size >> (_BITS * level)) - number * WIDTH)
        path = tile_path(level, number, width)
        if path not in self._names:
            raise IntegrityError("ledger.tile_damaged")
        hashes = split_tile(self._read_small(path))
        if len(hashes) != width:
            raise IntegrityError("ledger.tile_damaged")
        levels = [hashes]
        while len(levels) < _BITS:
            even = levels[-1][: len(levels[-1]) & ~1]
            levels.append(fold(even, tree=self._tree))
        return levels

    def _check_witnesses(self, told: Mapping[str, Any], note: str) -> tuple[Cosignature, ...]:
        listed = told.get("witnesses")
        if not isinstance(listed, list):
            raise _damaged(MANIFEST)
        keys = [_Key.read(each) for each in listed]
        try:
            found = tuple(verify_cosignature(note, each.name, each.key) for each in keys)
        except InputError as error:
            raise _damaged(CHECKPOINT) from error
        missing = self._expected - {each.key.fingerprint for each in found}
        if missing:
            raise IntegrityError("ledger.witness_missing", key=min(missing)[:80])
        return found


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    key: PublicKey

    @classmethod
    def read(cls, told: object) -> _Key:
        try:
            if not isinstance(told, dict):
                raise _damaged(MANIFEST)
            found = cls(_text(told, "name"), PublicKey.from_text(_text(told, "key")))
        except InputError as error:
            raise _damaged(MANIFEST) from error
        if told != {
            "name": found.name,
            "key": found.key.text,
            "fingerprint": found.key.fingerprint,
        }:
            raise _damaged(MANIFEST)
        return found


def _text(told: Mapping[str, Any], name: str) -> str:
    found = told.get(name)
    if not isinstance(found, str):
        raise _damaged(MANIFEST)
    return found


def _damaged(reason: str) -> ConsiliumError:
    return IntegrityError("ledger.export_damaged", place="zip", reason=reason)
