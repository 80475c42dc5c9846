"""How fast two connectors deal with each other: catalogue, negotiation, and many datasets.

    python -m benchmarks.dataspace [--quick]

Two processes with a database each, over HTTP on the loopback: one asks with 1
and with 64 connections at once, one answers. Every message is signed, checked
and written with its evidence, as in a hospital. With CONSILIUM_TEST_POSTGRES
set, the answering side is measured on PostgreSQL as well. Then the number of
datasets grows, and the cost of a page, a dataset and a negotiation is compared.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.commands import FailedError, end_cleanly, python, stop
from benchmarks.dataspace_peer import (
    CONNECTIONS,
    CONSUMER,
    PROVIDER,
    Place,
    listen,
    open_connector,
    participant,
    running,
)
from benchmarks.measuring import ratio
from consilium.dataspace import negotiation
from consilium.dataspace.catalog import CATALOG_PATH, Listing, request_dataset
from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import FINALIZED
from consilium.dataspace.outbox import Outbox
from consilium.dataspace.records import Negotiation
from consilium.dataspace.wire import builders
from consilium.ledger.keys import SigningKey

SIZES = (10, 100, 1_000, 10_000, 100_000)
QUICK_SIZES = (10, 100, 1_000)
REPEATS, QUICK_REPEATS = 20, 5
"""Repeats of one operation at one size."""
LONGEST_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often something was done in a second, and how long one took, in seconds."""

    per_s: float
    p50_s: float
    p99_s: float

    def render(self) -> str:
        """Write it for people."""
        return (
            f"{self.per_s:8.1f}/s   p50 {self.p50_s * 1e3:7.1f} ms   p99 {self.p99_s * 1e3:7.1f} ms"
        )


@dataclass(frozen=True, kw_only=True)
class Peers:
    """The asking connector, here, and the answering one, in a process of its own."""

    connector: Connector
    process: subprocess.Popen[str]

    def have(self, datasets: int) -> None:
        """Let the answering side have so many datasets."""
        self._tell(f"datasets {datasets}\n")

    def _tell(self, line: str) -> None:
        if self.process.stdin is None or self.process.stdout is None:
            raise FailedError("the peer has no ears")
        self.process.stdin.write(line)
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != "done":
            raise FailedError(f"the peer did not do: {line.strip()}")


@contextmanager
def peers(provider_url: str, folder: Path) -> Iterator[Peers]:
    """Bring both connectors up on fresh databases, and take them down."""
    folder.mkdir()
    for name in (CONSUMER, PROVIDER):
        SigningKey.create(folder / f"{name}.key")
    place = Place(folder)
    connector = open_connector(place, CONSUMER, f"sqlite:///{folder / 'consumer.db'}")
    server, listener = listen(place, connector, CONSUMER)
    command = python("-m", "benchmarks.dataspace_peer", str(folder), PROVIDER, provider_url)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with running(server, listener), subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            if process.stdout.readline().strip() != "ready":
                raise FailedError("the peer did not come up")
            outbox = Outbox(connector)
            outbox.start()
            yield Peers(connector=connector, process=process)
            outbox.stop()
        finally:
            stop([process], patience_s=10.0)
    connector.database.close()


def measure(work: Callable[[], object], *, times: int, connections: int) -> Rate:
    """Do something many times, so many at once."""

    def timed(_number: int) -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        seconds = sorted(pool.map(timed, range(times)))
    took = time.perf_counter() - began
    return Rate(
        per_s=times / took,
        p50_s=seconds[len(seconds) // 2],
        p99_s=seconds[min(len(seconds) - 1, int(len(seconds) * 0.99))],
    )


def ask_page(connector: Connector) -> list[dict[str, Any]]:
    """Ask for the catalogue's first page, and return its entries."""
    message = builders.catalog_request()
    status, document = connector.client.post(participant(PROVIDER), CATALOG_PATH, message)
    if status != 200:
        raise FailedError(f"the catalogue answered {status}")
    return list(document.get("dataset", []))


def negotiate(connector: Connector, listing: Listing) -> None:
    """Negotiate an agreement to its end."""
    asked = negotiation.request_agreement(
        connector, listing.participant, dataset=listing.dataset, offer=listing.offer
    )
    done = connector.wait_for(Negotiation, asked.pid, timeout_s=LONGEST_S)
    if done.state != FINALIZED:
        raise FailedError(f"a negotiation ended as {done.state}: {done.code}")


def rates(found: Peers, *, quick: bool) -> dict[str, Rate]:
    """Measure catalogue requests and negotiations with ten datasets, 1 and 64 at once."""
    found.have(10)
    connector = found.connector
    listing = first_listing(connector)
    answer: dict[str, Rate] = {}
    for connections in (1, CONNECTIONS):
        many = (40 if quick else 400) if connections == 1 else (128 if quick else 1024)
        answer[f"catalogue, {connections} at once"] = measure(
            lambda: ask_page(connector), times=many, connections=connections
        )
        answer[f"negotiation, {connections} at once"] = measure(
            lambda: negotiate(connector, listing), times=many // 4, connections=connections
        )
    return answer


def first_listing(connector: Connector) -> Listing:
    """Read the first dataset of the catalogue."""
    entries = ask_page(connector)
    return request_dataset(connector, participant(PROVIDER), entries[0]["@id"])


def growth(found: Peers, *, quick: bool) -> dict[int, dict[str, float]]:
    """Measure the median seconds of a page, a dataset and a negotiation as datasets grow."""
    connector, table = found.connector, {}
    repeats = QUICK_REPEATS if quick else REPEATS
    for size in QUICK_SIZES if quick else SIZES:
        found.have(size)
        listing = first_listing(connector)
        works: dict[str, Callable[[], object]] = {
            "page": partial(ask_page, connector),
            "dataset": partial(request_dataset, connector, listing.participant, listing.dataset),
            "negotiation": partial(negotiate, connector, listing),
        }
        table[size] = {
            name: measure(work, times=repeats, connections=1).p50_s for name, work in works.items()
        }
    return table


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of a new database, and drop it at the end."""
    if kind == "SQLite":
        yield f"sqlite:///{folder / 'provider.db'}"
        return
    server = sa.make_url(os.environ["CONSILIUM_TEST_POSTGRES"])
    name = f"bench_{secrets.token_hex(6)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        engine.dispose()


def main() -> None:
    """Measure and print."""
    end_cleanly()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer repeats, 1,000 datasets")
    given = parser.parse_args()
    kinds = ["SQLite", *(["PostgreSQL"] if os.environ.get("CONSILIUM_TEST_POSTGRES") else [])]
    facts: dict[str, Any] = {"rates": {}}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        for kind in kinds:
            folder = Path(name) / kind
            with fresh_database(kind, Path(name)) as url, peers(url, folder) as found:
                table = rates(found, quick=given.quick)
                facts["rates"][kind] = {what: vars_of(rate) for what, rate in table.items()}
                for what, rate in table.items():
                    print(f"{kind:<11} {what:<28} {rate.render()}", flush=True)
                if kind == "SQLite":
                    facts["growth"] = growth(found, quick=given.quick)
    print_growth(facts["growth"])
    print(json.dumps(facts))


def vars_of(rate: Rate) -> dict[str, float]:
    """Give a rate as JSON."""
    return {"per_s": rate.per_s, "p50_s": rate.p50_s, "p99_s": rate.p99_s}


def print_growth(table: dict[int, dict[str, float]]) -> None:
    """Print milliseconds by number of datasets, and how they grew."""
    names = list(next(iter(table.values())))
    print(f"{'datasets':>10} " + " ".join(f"{name + ', ms':>18}" for name in names))
    for size, row in table.items():
        print(f"{size:>10} " + " ".join(f"{row[name] * 1e3:>18.1f}" for name in names))
    sizes = list(table)
    last, first = table[sizes[-1]], table[sizes[0]]
    grown = ", ".join(f"{name} × {ratio(last[name], first[name]):.2f}" for name in names)
    print(f"from {sizes[0]} to {sizes[-1]} datasets: {grown}")


if __name__ == "__main__":
    main()
