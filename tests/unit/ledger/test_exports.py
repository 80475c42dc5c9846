"""An export proves entries to somebody who has the file, a fingerprint, and nothing of ours."""

import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.clock import HeldClock
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError
from consilium.ledger.auditing import ExportVerdict, verify_export
from consilium.ledger.cosignatures import Cosignatures
from consilium.ledger.cosigning import cosign
from consilium.ledger.database import open_database
from consilium.ledger.exports import Exporter, Selection
from consilium.ledger.keys import SigningKey
from consilium.ledger.merkle import Frontier, leaf_hash
from consilium.ledger.notes import sign_checkpoint
from consilium.ledger.tiles import LogTiles

HUB = "did:web:space:hub"
SIZE = 300


ORIGIN = "did:web:space:tiantan"


class Office:
    """A log of 300 entries on seven studies, a witness, and whoever makes exports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key, self.witness = SigningKey.generate(), SigningKey.generate()
        self.clock = HeldClock(datetime(2026, 1, 15, 8, tzinfo=UTC))
        self.database = open_database(
            f"sqlite:///{folder / 'node.db'}", key=self.key, clock=self.clock, origin=ORIGIN
        )
        with self.database.write() as tx:
            for number in range(1, SIZE + 1):
                facts = {"round": number, "agreement": f"urn:agreement:{number % 3}"}
                tx.record("round.closed", f"urn:study:{number % 7}", facts)
        self.open_again()

    def open_again(self) -> None:
        """Begin with the files as they lie there."""
        self.tiles = LogTiles(self.database.evidence, self.folder / "log")
        self.cosignatures = Cosignatures(self.database, self.tiles, clock=self.clock)
        self.exporter = Exporter(
            self.database, self.tiles, self.cosignatures, key=self.key.public, clock=self.clock
        )

    def cosign(self) -> None:
        note = self.tiles.checkpoint()
        line = cosign(self.witness, HUB, note.text, moment=self.clock.now())
        self.cosignatures.keep(HUB, size=note.size, line=line, key=self.witness.public)

    def export(self, **what: Any) -> Path:
        path = self.folder / "export.zip"
        self.exporter.write(Selection(**what), path)
        return path

    def check(self, path: Path, *, witnesses: tuple[str, ...] = ()) -> ExportVerdict:
        return verify_export(path, key=self.key.public.fingerprint, witnesses=witnesses)


def make(folder: Path, *, cosigned: bool = False) -> Iterator[Office]:
    office = Office(folder)
    if cosigned:
        office.cosign()
    yield office
    office.database.close()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Give a log that nobody has cosigned, for reading."""
    yield from make(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def cosigned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Give a log that a witness has cosigned, for reading."""
    yield from make(tmp_path_factory.mktemp("cosigned"), cosigned=True)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Office]:
    """Give a cosigned log for changing."""
    yield from make(tmp_path, cosigned=True)


def repack(path: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """Change the files of an export and pack it anew."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def edit_manifest(files: dict[str, bytes], **changes: Any) -> None:
    told: Any = read_json(files["manifest.json"])
    files["manifest.json"] = canonical_bytes(told | changes)


def test_a_range_is_proved(cosigned: Office) -> None:
    office = cosigned
    path = office.export(first=250, last=270)
    verdict = office.check(path, witnesses=(office.witness.public.fingerprint,))
    assert (verdict.verified, verdict.entries, verdict.size, verdict.pinned) == (
        True,
        21,
        300,
        True,
    )
    assert verdict.origin == "did:web:space:tiantan"
    assert verdict.root == office.database.evidence.root()
    assert [(one.witness, one.moment) for one in verdict.witnesses] == [(HUB, office.clock.now())]
    assert verdict.as_record()["witnesses"][0]["pinned"] is True
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("entries.jsonl").splitlines()
        words = archive.read("README.md").decode()
    assert [json.loads(line)["seq"] for line in lines] == list(range(250, 271))
    assert "How to check it" in words
    assert "如何核验" in words


@pytest.mark.parametrize(
    ("what", "count"),
    [
        ({}, 300),
        ({"first": 300}, 1),
        ({"last": 1}, 1),
        ({"first": 256, "last": 257}, 2),
        ({"subject": "urn:study:3"}, 43),
        ({"subject": "urn:agreement:0"}, 100),
    ],
)
def test_a_choice_is_proved(office: Office, what: dict[str, Any], count: int) -> None:
    verdict = office.check(office.export(**what))
    assert (verdict.verified, verdict.entries) == (True, count)


def test_an_export_holds_no_other_entries(office: Office) -> None:
    with zipfile.ZipFile(office.export(subject="urn:study:3")) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert b"urn:study:3" in whole
    assert b"urn:study:4" not in whole


def test_the_same_export_has_the_same_bytes(office: Office) -> None:
    first = office.export(first=5, last=9).read_bytes()
    assert office.export(first=5, last=9).read_bytes() == first


def test_the_newest_cosigned_checkpoint_is_used(fresh: Office) -> None:
    office = fresh
    with office.database.write() as tx:
        tx.record("round.closed", "urn:study:later", {})
    assert office.check(office.export(last=300)).witnesses[0].witness == HUB
    newer = office.check(office.export(first=301))
    assert (newer.size, newer.witnesses) == (301, ())


@pytest.mark.parametrize("what", [{"first": 301}, {"first": 9, "last": 3}, {"last": 301}])
def test_a_range_beyond_the_log_is_refused(office: Office, what: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        office.export(**what)


def test_a_subject_that_nothing_names_is_refused(office: Office) -> None:
    with pytest.raises(NotFoundError) as refusal:
        office.export(subject="urn:study:33")
    assert refusal.value.code == "ledger.nothing_to_export"


def test_another_key_is_not_the_one_that_was_named(office: Office) -> None:
    path = office.export(first=1, last=2)
    assert verify_export(path).pinned is False
    verdict = verify_export(path, key=SigningKey.generate().public.fingerprint)
    assert (verdict.verified, verdict.reason_code) == (False, "ledger.other_key")
    assert "not by" in verdict.text("en")
    assert "指定" in verdict.text("zh")


def test_a_witness_that_was_named_must_have_cosigned(office: Office) -> None:
    path = office.export(first=1, last=2)
    verdict = office.check(path, witnesses=(office.witness.public.fingerprint,))
    assert verdict.reason_code == "ledger.witness_missing"


def test_an_owner_who_rewrites_the_log_cannot_bring_the_witness(cosigned: Office) -> None:
    office = cosigned

    def forge(files: dict[str, bytes]) -> None:
        body = files["entries.jsonl"].replace(b'"round":1}', b'"round":9}').rstrip(b"\n")
        files["entries.jsonl"] = body + b"\n"
        leaves = list(office.database.evidence.leaves(after=0, to=SIZE))
        leaves[0] = leaf_hash(body)
        root = Frontier().extend(leaves).root()
        forged = sign_checkpoint(office.key, "did:web:space:tiantan", size=SIZE, root=root)
        cosigned = files["checkpoint"].decode().split("\n\n")[1].split("\n", 1)[1]
        files["checkpoint"] = (forged.text + cosigned).encode()
        files["tile/0/000"] = b"".join(leaves[:256])
        first = Frontier().extend(leaves[:256]).root()
        files["tile/1/000.p/1"] = first
        edit_manifest(files, root=root.hex())

    path = repack(office.export(first=1, last=1), forge)
    assert office.check(path).reason_code == "ledger.bad_signature"

    def drop(files: dict[str, bytes]) -> None:
        edit_manifest(files, witnesses=[])

    repack(path, drop)
    assert office.check(path).verified  # under the owner's word alone
    told = office.check(path, witnesses=(office.witness.public.fingerprint,))
    assert told.reason_code == "ledger.witness_missing"


def edit_lines(
    change: Callable[[list[bytes]], list[bytes]],
) -> Callable[[dict[str, bytes]], object]:
    def edit(files: dict[str, bytes]) -> None:
        lines = files["entries.jsonl"].splitlines(keepends=True)
        files["entries.jsonl"] = b"".join(change(lines))

    return edit


CHANGES: dict[str, tuple[Callable[[dict[str, bytes]], object], str]] = {
    "an entry": (
        edit_lines(lambda lines: [line.replace(b'"round":6}', b'"round":7}') for line in lines]),
        "ledger.proof_fails",
    ),
    "an entry left out": (
        edit_lines(lambda lines: lines[:2] + lines[3:]),
        "ledger.entry_missing",
    ),
    "the last left out": (edit_lines(lambda lines: lines[:-1]), "ledger.entry_missing"),
    "two entries in another order": (
        edit_lines(lambda lines: lines[::-1]),
        "ledger.entry_missing",
    ),
    "a tile": (
        lambda f: f.update({"tile/0/000": bytes(32) + f["tile/0/000"][32:]}),
        "ledger.proof_fails",
    ),
    "a tile cut": (lambda f: f.update({"tile/0/000": f["tile/0/000"][:-1]}), "ledger.tile_damaged"),
    "no tile": (lambda f: f.pop("tile/0/000"), "ledger.tile_damaged"),
    "no checkpoint": (lambda f: f.pop("checkpoint"), "ledger.export_damaged"),
    "another file": (lambda f: f.update({"run.sh": b"#!"}), "ledger.export_damaged"),
    "the size": (lambda f: edit_manifest(f, size=299), "ledger.export_damaged"),
    "the format": (lambda f: edit_manifest(f, format="x"), "ledger.export_damaged"),
    "the range": (
        lambda f: edit_manifest(f, selection={"from": 5, "to": 10}),
        "ledger.entry_missing",
    ),
    "the subject": (
        lambda f: edit_manifest(f, selection={"subject": "urn:other"}),
        "ledger.entry_added",
    ),
    "a word that is not known": (lambda f: edit_manifest(f, note="x"), "ledger.export_damaged"),
    "no time": (lambda f: edit_manifest(f, made="yesterday"), "ledger.export_damaged"),
    "no witnesses": (lambda f: edit_manifest(f, witnesses=None), "ledger.export_damaged"),
    "no key": (lambda f: edit_manifest(f, log={}), "ledger.export_damaged"),
    "the manifest": (lambda f: f.update({"manifest.json": b"{"}), "ledger.export_damaged"),
    "the checkpoint": (
        lambda f: f.update({"checkpoint": f["checkpoint"].replace(b"\n300\n", b"\n301\n")}),
        "ledger.bad_signature",
    ),
    "no line end": (
        lambda f: f.update({"entries.jsonl": f["entries.jsonl"][:-1]}),
        "ledger.export_damaged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_export_is_found_out(office: Office, what: str) -> None:
    change, code = CHANGES[what]
    verdict = office.check(repack(office.export(first=5, last=9), change))
    assert (verdict.verified, verdict.reason_code) == (False, code)
    assert verdict.text("en")


def test_an_unknown_algorithm_is_refused(office: Office) -> None:
    path = repack(office.export(last=2), lambda f: edit_manifest(f, hash="md5"))
    with pytest.raises(InputError) as refusal:
        office.check(path)
    assert refusal.value.code == "ledger.unknown_algorithm"


def test_what_is_no_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"nothing")
    assert verify_export(tmp_path / "x.zip").reason_code == "ledger.export_damaged"
    with pytest.raises(NotFoundError):
        verify_export(tmp_path / "absent.zip")


def test_one_entry_is_proved(cosigned: Office) -> None:
    office = cosigned
    told = office.exporter.prove(17).as_record()
    assert json.loads(str(told["entry"]))["seq"] == 17
    assert (told["index"], told["size"], told["hash"]) == (16, 300, "sha256")
    assert told["witnesses"] == {HUB: office.witness.public.fingerprint}
    for seq in (0, 301):
        with pytest.raises(InputError):
            office.exporter.prove(seq)


def test_a_damaged_tile_is_made_again_before_anything_is_proved(office: Office) -> None:
    office.export(last=1)
    tile = office.folder / "log" / "tile" / "0" / "000"
    whole = tile.read_bytes()
    for prove in (lambda: office.exporter.prove(7), lambda: office.export(first=7, last=9)):
        tile.write_bytes(bytes(len(whole)))
        office.open_again()
        prove()
        assert tile.read_bytes() == whole


def test_a_changed_entry_is_not_exported_as_if_it_were_true(fresh: Office) -> None:
    body = b'{"facts":{},"kind":"x","seq":7,"subject":"x","time":"x"}'
    with fresh.database.write() as tx:
        tx.execute(text("UPDATE evidence SET body = :body WHERE seq = 7"), {"body": body})
    with pytest.raises(IntegrityError) as refusal:
        fresh.export(first=5, last=9)
    assert refusal.value.code == "ledger.proof_fails"
    with pytest.raises(IntegrityError):
        fresh.exporter.prove(7)
    assert fresh.check(fresh.export(first=8, last=9)).verified
