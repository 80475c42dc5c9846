"""The evidence log measured: entries a second, checkpoint, verification, proofs, tampering.

    python -m benchmarks.evidence [--quick]

Writers are threads that each write one small transaction after another, with
one entry in each; every one of them returns only when its commit is durable.
PostgreSQL is measured when CONSILIUM_TEST_POSTGRES names a server. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, make_url, text

from benchmarks.mutations import try_mutations
from consilium.kernel.canonical import Json
from consilium.kernel.clock import SystemClock
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey
from consilium.ledger.merkle import leaf_hash
from consilium.ledger.notes import Checkpoint
from consilium.ledger.proofs import verify_inclusion
from consilium.ledger.tiles import LogTiles
from consilium.ledger.verification import verify_log

ORIGIN = "did:web:space:tiantan"
WRITERS = (1, 16, 64)
_CLOCK = SystemClock()
_BATCH = 1000
_FACTS: Mapping[str, Json] = {"round": 1, "agreement": "urn:uuid:1", "model": "sha256:" + "a" * 64}


class Groups:
    """How long each transaction of a database lasted, from its begin to the end of its commit."""

    def __init__(self, database: Database) -> None:
        self.lasted: list[float] = []
        self._begun = 0.0
        writer = database._engines.writer  # noqa: SLF001 - the one place that sees a group
        event.listen(writer, "begin", self._begin)
        event.listen(writer.pool, "checkin", self._end)

    def _begin(self, _connection: object) -> None:
        self._begun = time.perf_counter()

    def _end(self, *_: object) -> None:
        self.lasted.append(time.perf_counter() - self._begun)


def measure_writing(url: str, *, writers: int, entries: int) -> dict[str, float]:
    """Write so many entries from so many threads; all figures in entries/s and ms."""
    key = SigningKey.generate()
    database = open_database(url, key=key, clock=_CLOCK, origin=ORIGIN)
    groups, waits = Groups(database), list[float]()

    def work(number: int) -> None:
        for step in range(entries // writers):
            begun = time.perf_counter()
            with database.write() as tx:
                tx.record("round.closed", f"urn:study:{number}:{step}", _FACTS)
            waits.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    database.close()
    verdict = verify_log(url, key=key.public)
    if not verdict.verified or verdict.entries != len(waits):
        raise SystemExit(f"the log is not what was written: {verdict.text('en')}")
    return {
        "entries_per_s": len(waits) / took,
        "commits": float(len(groups.lasted)),
        "commit_p50_ms": 1000 * _quantile(groups.lasted, 0.5),
        "commit_p99_ms": 1000 * _quantile(groups.lasted, 0.99),
        "wait_p50_ms": 1000 * _quantile(waits, 0.5),
        "wait_p99_ms": 1000 * _quantile(waits, 0.99),
    }


def measure_log(folder: Path, *, entries: int, proving_s: float = 1.0) -> dict[str, float]:
    """Fill a log; time its checkpoint, its verification, its tiles and its proofs."""
    key, path = SigningKey.generate(), folder / "long.db"
    database = open_database(f"sqlite:///{path}", key=key, clock=_CLOCK, origin=ORIGIN)
    begun = time.perf_counter()
    for start in range(0, entries, _BATCH):
        with database.write() as tx:
            for step in range(start, min(start + _BATCH, entries)):
                tx.record("round.closed", f"urn:study:{step}", _FACTS)
        database.evidence.checkpoint()
    found = {"filled_entries_per_s": entries / (time.perf_counter() - begun)}
    with database.write() as tx:
        tx.record("round.closed", "urn:study:last", _FACTS)
    with _timed(found, "checkpoint_s"):
        held = database.evidence.checkpoint()
    tiles = LogTiles(database.evidence, folder / "log")
    with _timed(found, "tiles_from_nothing_s"):
        note = tiles.checkpoint()
    with database.write() as tx:
        tx.record("round.closed", "urn:study:one-more", _FACTS)
    with _timed(found, "tiles_after_one_more_s"):
        note = tiles.checkpoint()
    found["proofs_per_s"] = _measure_proofs(database, tiles, note, seconds=proving_s)
    database.close()
    with _timed(found, "verified_s"):
        verdict = verify_log(path, key=key.public, checkpoint=held)
    if not verdict.verified:
        raise SystemExit(verdict.text("en"))
    return {"entries": float(verdict.entries)} | found


def _measure_proofs(
    database: Database, tiles: LogTiles, note: Checkpoint, *, seconds: float
) -> float:
    """Make proofs of entries at random for a while; then check some of them."""
    chance, made, size = random.Random(7), 0, note.size
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        tiles.inclusion(chance.randint(1, size), size)
        made += 1
    for _ in range(50):
        seq = chance.randint(1, size)
        (body,) = database.evidence.bodies(after=seq - 1, to=seq)
        proof = tiles.inclusion(seq, size)
        verify_inclusion(leaf_hash(body), seq - 1, size, proof=proof, root=note.root)
    return made / seconds


@contextmanager
def _timed(found: dict[str, float], name: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    found[name] = time.perf_counter() - begun


def _quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


@contextmanager
def _places(folder: Path) -> Iterator[dict[str, str]]:
    """Give a fresh database for each measurement: a file, and a schema of its own on the server."""
    found = {f"sqlite {n}": f"sqlite:///{folder / f'{n}.db'}" for n in WRITERS}
    server = os.environ.get("CONSILIUM_TEST_POSTGRES")
    if not server:
        yield found
        return
    address = make_url(server).set(drivername="postgresql+psycopg")
    admin = create_engine(address, isolation_level="AUTOCOMMIT")
    schemas = {n: f"consilium_bench_{secrets.token_hex(6)}" for n in WRITERS}
    with admin.connect() as connection:
        for n, schema in schemas.items():
            connection.execute(text(f"CREATE SCHEMA {schema}"))
            there = address.update_query_dict({"options": f"-csearch_path={schema}"})
            found[f"postgresql {n}"] = there.render_as_string(hide_password=False)
    try:
        yield found
    finally:
        with admin.connect() as connection:
            for schema in schemas.values():
                connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        admin.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, for a first look")
    quick = parser.parse_args().quick
    record: dict[str, Any] = {"quick": quick, "writing": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _places(folder) as places:
            for place, url in places.items():
                writers = int(place.split()[1])
                entries = (1_000 if quick else 4_000) * (1 if writers == 1 else 4)
                told = measure_writing(url, writers=writers, entries=entries)
                record["writing"][place] = told
                print(
                    f"{place:>14} writers: {told['entries_per_s']:8,.0f} entries/s, "
                    f"commit p50 {told['commit_p50_ms']:.1f} p99 {told['commit_p99_ms']:.1f} ms, "
                    f"writer waits p50 {told['wait_p50_ms']:.1f} p99 {told['wait_p99_ms']:.1f} ms",
                    flush=True,
                )
        long = measure_log(folder, entries=50_000 if quick else 1_000_000)
        record["log"] = long
        for key, value in long.items():
            print(f"{key:>26}: {value:14,.4f}", flush=True)
        tally = try_mutations(folder, count=300 if quick else 10_000)
        tried, found = tally.tried.total(), tally.found.total()
        named = tally.named.total()
        record["mutations"] = {"tried": tried, "found": found, "named": named}
        for kind, count in sorted(tally.tried.items()):
            print(f"{kind:>34}: {tally.found[kind]} of {count} found")
        print(f"{found} of {tried} mutations found, {named} with the first bad entry named")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
