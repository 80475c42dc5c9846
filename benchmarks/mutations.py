"""Ten thousand ways to tamper with an evidence log, each of which must be found.

An attacker without the log's key changes rows, hashes, signed notes; one with
the key rebuilds the tree, signs it anew and clears the notes away, and is held
against checkpoints that a witness has kept; a third changes an export. Each
mutation says which entry was touched first; the verdict has to name it, or the
range after the last signed note that still fits.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import InputError
from consilium.ledger.auditing import verify_export
from consilium.ledger.cosignatures import Cosignatures
from consilium.ledger.cosigning import cosign
from consilium.ledger.database import Database, open_database
from consilium.ledger.exports import Exporter, Selection
from consilium.ledger.keys import SigningKey
from consilium.ledger.merkle import Frontier, leaf_hash
from consilium.ledger.notes import sign_checkpoint
from consilium.ledger.tiles import LogTiles
from consilium.ledger.verification import verify_log

ORIGIN = "did:web:space:tiantan"
WITNESS = "did:web:space:hub"
COLUMNS = "seq, time, kind, subject, body, leaf_hash"
NOTE_EVERY = 16
_CLOCK = SystemClock()

Change = Callable[["Bench", sqlite3.Connection], int]
"""Tampers with a log; returns the first entry that it touched, 0 for a signature only."""


@dataclass(slots=True)
class Tally:
    """How many mutations were tried, found and named, by kind."""

    tried: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, *, found: bool, named: bool) -> None:
        """Count one more."""
        self.tried[kind] += 1
        self.found[kind] += found
        self.named[kind] += named


class Bench:
    """A log in one file, a witness that kept some of its checkpoints, and an export of it."""

    def __init__(self, folder: Path, *, entries: int, seed: int = 7) -> None:
        self.random = random.Random(seed)
        self.entries = entries
        self.key, self.witness, self.thief = (SigningKey.generate() for _ in range(3))
        self.path, self.whole = folder / "copy.db", folder / "node.db"
        self.export, self.changed = folder / "export.zip", folder / "changed.zip"
        database = open_database(
            f"sqlite:///{self.whole}", key=self.key, clock=_CLOCK, origin=ORIGIN
        )
        self.held = self._fill(database)
        self._export(database, folder)
        database.close()
        # A file without a write-ahead log beside it can be copied as it lies there.
        with closing(sqlite3.connect(self.whole)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")

    def _fill(self, database: Database) -> list[str]:
        held = []
        for number in range(1, self.entries + 1):
            with database.write() as tx:
                tx.record("round.closed", f"urn:study:{number % 7}", {"round": number})
            if number % NOTE_EVERY == 0:
                held.append(database.evidence.checkpoint())
        return [*held, database.evidence.checkpoint()]

    def _export(self, database: Database, folder: Path) -> None:
        tiles = LogTiles(database.evidence, folder / "log")
        cosignatures = Cosignatures(database, tiles, clock=_CLOCK)
        note = tiles.checkpoint()
        line = cosign(self.witness, WITNESS, note.text, moment=_CLOCK.now())
        cosignatures.keep(WITNESS, size=note.size, line=line, key=self.witness.public)
        exporter = Exporter(database, tiles, cosignatures, key=self.key.public, clock=_CLOCK)
        exporter.write(Selection(), self.export)

    def try_log(self, tally: Tally, change: Change) -> None:
        """Change the log in one way and verify it."""
        shutil.copyfile(self.whole, self.path)
        with closing(sqlite3.connect(self.path)) as connection:
            first = change(self, connection)
            connection.commit()
        held = self.held if change in OWNERS else self.held[-1:]
        verdict = verify_log(self.path, key=self.key.public, checkpoint=held)
        least = self._last_note_before(first) + 1
        if first == 0:
            named = True
        elif verdict.reason_code == "ledger.tail_cut":
            # A shorter log that its owner signed: where it ends now is all that can be said.
            named = verdict.first_bad == verdict.entries + 1
        else:
            named = verdict.first_bad is not None and least <= verdict.first_bad <= first
        tally.add(change.__name__.strip("_"), found=not verdict.verified, named=named)

    def try_export(self, tally: Tally) -> None:
        """Change one byte of what an export proves, pack it anew, and verify it."""
        with zipfile.ZipFile(self.export) as archive:
            files = {name: bytearray(archive.read(name)) for name in archive.namelist()}
        name = self.random.choice([name for name in files if name != "README.md"])
        data = files[name]
        if self.random.random() < 0.2:
            del data[self.random.randrange(len(data)) :]
        else:
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        with zipfile.ZipFile(self.changed, "w") as archive:
            for each, content in files.items():
                archive.writestr(each, bytes(content))
        kind = f"export_{name.split('/')[0]}"
        try:
            verdict = verify_export(
                self.changed,
                key=self.key.public.fingerprint,
                witnesses=[self.witness.public.fingerprint],
            )
        except InputError:  # an algorithm that nobody knows
            tally.add(kind, found=True, named=True)
            return
        harmless = verdict.verified and name == "manifest.json" and self._same_manifest(data)
        tally.add(kind, found=not verdict.verified or harmless, named=True)

    def _same_manifest(self, data: bytearray) -> bool:
        """Say whether only the time stands otherwise, which nobody signs."""
        with zipfile.ZipFile(self.export) as archive:
            before = read_json(archive.read("manifest.json"))
        after = read_json(bytes(data))
        assert isinstance(before, dict)
        assert isinstance(after, dict)
        return bool({**before, "made": ""} == {**after, "made": ""})

    def _last_note_before(self, seq: int) -> int:
        return (seq - 1) // NOTE_EVERY * NOTE_EVERY if seq else 0

    def place(self) -> int:
        """Choose an entry."""
        return self.random.randint(1, self.entries)


def rewrite(connection: sqlite3.Connection, seq: int, value: int) -> None:
    """Change an entry together with its hash."""
    (body,) = connection.execute("SELECT body FROM evidence WHERE seq = ?", (seq,)).fetchone()
    told = read_json(body)
    new = canonical_bytes({**told, "facts": {"round": value}})  # type: ignore[dict-item]
    connection.execute(
        "UPDATE evidence SET body = ?, leaf_hash = ? WHERE seq = ?", (new, leaf_hash(new), seq)
    )


def rebuild(connection: sqlite3.Connection, key: SigningKey) -> None:
    """Build the tree again over what is there, and sign it."""
    rows = connection.execute("SELECT leaf_hash FROM evidence ORDER BY seq")
    frontier = Frontier().extend(leaf for (leaf,) in rows)
    note = sign_checkpoint(key, ORIGIN, size=frontier.size, root=frontier.root())
    connection.execute(
        "UPDATE evidence_head SET size = ?, frontier = ?, note = ?",
        (frontier.size, frontier.as_bytes(), note.text),
    )


def flip_body(bench: Bench, connection: sqlite3.Connection) -> int:
    return _flip(bench, connection, "body")


def flip_hash(bench: Bench, connection: sqlite3.Connection) -> int:
    return _flip(bench, connection, "leaf_hash")


def _flip(bench: Bench, connection: sqlite3.Connection, column: str) -> int:
    seq = bench.place()
    query = f"SELECT {column} FROM evidence WHERE seq = ?"
    data = bytearray(connection.execute(query, (seq,)).fetchone()[0])
    data[bench.random.randrange(len(data))] ^= 1 << bench.random.randrange(8)
    connection.execute(f"UPDATE evidence SET {column} = ? WHERE seq = ?", (bytes(data), seq))
    return seq


def change_column(bench: Bench, connection: sqlite3.Connection) -> int:
    seq, column = bench.place(), bench.random.choice(["time", "kind", "subject"])
    connection.execute(f"UPDATE evidence SET {column} = 'x' WHERE seq = ?", (seq,))
    return seq


def delete_one(bench: Bench, connection: sqlite3.Connection) -> int:
    seq = bench.place()
    connection.execute("DELETE FROM evidence WHERE seq = ?", (seq,))
    return seq


def close_gap(bench: Bench, connection: sqlite3.Connection) -> int:
    seq = delete_one(bench, connection)
    for after in range(seq + 1, bench.entries + 1):
        connection.execute("UPDATE evidence SET seq = seq - 1 WHERE seq = ?", (after,))
    return seq


def cut_tail(bench: Bench, connection: sqlite3.Connection) -> int:
    seq = bench.place()
    connection.execute("DELETE FROM evidence WHERE seq >= ?", (seq,))
    return seq


def add_one(bench: Bench, connection: sqlite3.Connection) -> int:
    seq = bench.place()
    (body,) = connection.execute("SELECT body FROM evidence WHERE seq = ?", (seq,)).fetchone()
    new = body.replace(f'"seq":{seq},'.encode(), f'"seq":{bench.entries + 1},'.encode())
    connection.execute(
        f"INSERT INTO evidence ({COLUMNS}) SELECT ?, time, kind, subject, ?, ? FROM evidence"
        " WHERE seq = ?",
        (bench.entries + 1, new, leaf_hash(new), seq),
    )
    return bench.entries + 1


def swap_two(bench: Bench, connection: sqlite3.Connection) -> int:
    one, two = sorted(bench.random.sample(range(1, bench.entries + 1), 2))
    query = "SELECT time, kind, subject, body, leaf_hash FROM evidence WHERE seq = ?"
    rows = [connection.execute(query, (seq,)).fetchone() for seq in (one, two)]
    for seq, row in ((one, rows[1]), (two, rows[0])):
        connection.execute(
            "UPDATE evidence SET time = ?, kind = ?, subject = ?, body = ?, leaf_hash = ?"
            " WHERE seq = ?",
            (*row, seq),
        )
    return one


def rewrite_one(bench: Bench, connection: sqlite3.Connection) -> int:
    seq = bench.place()
    rewrite(connection, seq, 10**6 + bench.random.randrange(10**6))
    return seq


def rewrite_some_and_sign_as_another(bench: Bench, connection: sqlite3.Connection) -> int:
    _rewrite_some(bench, connection)
    rebuild(connection, bench.thief)
    connection.execute("DELETE FROM evidence_checkpoints")
    return 0


def rewrite_some_as_owner(bench: Bench, connection: sqlite3.Connection) -> int:
    first = _rewrite_some(bench, connection)
    rebuild(connection, bench.key)
    connection.execute("DELETE FROM evidence_checkpoints")
    return first


def cut_tail_as_owner(bench: Bench, connection: sqlite3.Connection) -> int:
    first = cut_tail(bench, connection)
    rebuild(connection, bench.key)
    connection.execute("DELETE FROM evidence_checkpoints")
    return first


def cut_one_out_as_owner(bench: Bench, connection: sqlite3.Connection) -> int:
    """Remove one entry, renumber all behind it with valid hashes, and sign."""
    seq = delete_one(bench, connection)
    query = "SELECT body FROM evidence WHERE seq = ?"
    for after in range(seq + 1, bench.entries + 1):
        told = read_json(connection.execute(query, (after,)).fetchone()[0])
        body = canonical_bytes({**told, "seq": after - 1})  # type: ignore[dict-item]
        connection.execute(
            "UPDATE evidence SET seq = ?, body = ?, leaf_hash = ? WHERE seq = ?",
            (after - 1, body, leaf_hash(body), after),
        )
    rebuild(connection, bench.key)
    connection.execute("DELETE FROM evidence_checkpoints")
    return seq


def forge_note(bench: Bench, connection: sqlite3.Connection) -> int:
    size = bench.random.randrange(NOTE_EVERY, bench.entries, NOTE_EVERY)
    note = sign_checkpoint(bench.thief, ORIGIN, size=size, root=bench.random.randbytes(32))
    connection.execute("UPDATE evidence_checkpoints SET note = ? WHERE size = ?", (note.text, size))
    return 0


def damage_edge(bench: Bench, connection: sqlite3.Connection) -> int:
    data = bytearray(connection.execute("SELECT frontier FROM evidence_head").fetchone()[0])
    data[bench.random.randrange(len(data))] ^= 1
    connection.execute("UPDATE evidence_head SET frontier = ?", (bytes(data),))
    return 0


def _rewrite_some(bench: Bench, connection: sqlite3.Connection) -> int:
    places = bench.random.sample(range(1, bench.entries + 1), bench.random.randint(1, 5))
    for seq in places:
        rewrite(connection, seq, 10**6 + seq)
    return min(places)


OWNERS: tuple[Change, ...] = (rewrite_some_as_owner, cut_tail_as_owner, cut_one_out_as_owner)
LOG_CHANGES: tuple[Change, ...] = (
    flip_body,
    flip_hash,
    change_column,
    delete_one,
    close_gap,
    cut_tail,
    add_one,
    swap_two,
    rewrite_one,
    rewrite_some_and_sign_as_another,
    *OWNERS,
    forge_note,
    damage_edge,
)


def try_mutations(folder: Path, *, count: int, entries: int = 100, seed: int = 7) -> Tally:
    """Try so many mutations, one in ten on an export; `entries` is the log's length."""
    bench, tally = Bench(folder, entries=entries, seed=seed), Tally()
    for number in range(count):
        if number % 10 == 9:
            bench.try_export(tally)
        else:
            bench.try_log(tally, bench.random.choice(LOG_CHANGES))
    return tally
