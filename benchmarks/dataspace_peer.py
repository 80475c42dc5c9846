"""One connector in a process of its own, for `benchmarks.dataspace`.

    python -m benchmarks.dataspace_peer FOLDER NAME DATABASE_URL

`FOLDER` holds a key and a port file of each participant. The process serves its
protocol root on the loopback, has its outbox run, and does what the lines on
its standard input say: `datasets N` registers datasets until there are N of
them and answers with a line. It ends with its standard input.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI

from consilium.dataspace.connector import Connector
from consilium.dataspace.datasets import register_dataset
from consilium.dataspace.decisions import PolicyDecide
from consilium.dataspace.directory import HeldDirectory
from consilium.dataspace.endpoints import dsp_router
from consilium.dataspace.outbox import Outbox
from consilium.dataspace.records import Terms
from consilium.dataspace.settings import DataspaceSettings
from consilium.dataspace.tables import DATASETS
from consilium.dataspace.wire.transports import HttpTransport
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import SystemClock, write_time
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.database import open_database
from consilium.ledger.keys import SigningKey
from consilium.readers.schema import Schema

CONSUMER, PROVIDER = "north", "south"
CONNECTIONS = 64
AT_ONCE = 500
"""Datasets that one transaction registers."""
_SCHEMA = Schema.from_record(
    {
        "title": "heart",
        "fields": [
            {"name": "age", "kind": "number", "unit": "a"},
            {"name": "sex", "kind": "category", "categories": ["f", "m"]},
            {"name": "outcome", "kind": "number"},
        ],
        "label": {"field": "outcome", "rule": "> 0"},
    }
).as_record()


def participant(name: str) -> ParticipantId:
    """Name one of the two participants."""
    return ParticipantId(f"did:web:bench.example:{name}")


@dataclass(frozen=True)
class Place:
    """A folder that both processes know: keys, and who listens where."""

    folder: Path

    def key(self, name: str) -> SigningKey:
        """Load a participant's key."""
        return SigningKey.load(self.folder / f"{name}.key")

    def port(self, participant: ParticipantId) -> int:
        """Tell where a participant listens."""
        name = participant.rpartition(":")[2]
        return int((self.folder / f"{name}.port").read_text(encoding="ascii"))


def open_connector(place: Place, name: str, url: str) -> Connector:
    """Open one participant's connector on a database."""
    key, clock = place.key(name), SystemClock()
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    transport = HttpTransport(
        lambda peer: f"http://127.0.0.1:{place.port(peer)}/dsp",
        client=httpx.Client(timeout=60, limits=limits),
    )
    keys = {participant(one): place.key(one).public for one in (CONSUMER, PROVIDER)}
    return Connector(
        me=participant(name),
        title=name,
        root=f"http://127.0.0.1/{name}/dsp",
        database=open_database(url, key=key, clock=clock, origin=participant(name)),
        key=key,
        clock=clock,
        directory=HeldDirectory(keys),
        transport=transport,
        decide=PolicyDecide(),
        settings=DataspaceSettings(senders=CONNECTIONS),
    )


def listen(place: Place, connector: Connector, name: str) -> tuple[uvicorn.Server, socket.socket]:
    """Make the server of a connector's protocol root; whoever runs it tells the port."""
    app = FastAPI()
    app.include_router(dsp_router(connector), prefix="/dsp")
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as every place we serve at
    port = listener.getsockname()[1]
    (place.folder / f"{name}.port").write_text(str(port), encoding="ascii")
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    return uvicorn.Server(config), listener


@contextmanager
def running(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    """Serve in a thread while the block lasts."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()


def fill(connector: Connector, wanted: int) -> None:
    """Register datasets until there are `wanted` of them."""
    with connector.database.read() as connection:
        there = connection.execute(sa.select(sa.func.count()).select_from(DATASETS)).scalar_one()
    for first in range(there, wanted, AT_ONCE):
        with connector.database.write() as tx:
            for number in range(first, min(first + AT_ONCE, wanted)):
                register_dataset(tx, **_dataset(number, connector))


def _dataset(number: int, connector: Connector) -> dict[str, Any]:
    clock = connector.clock
    later = write_time(clock.now() + timedelta(days=30))
    terms = Terms(
        purposes=("medical-research",),
        not_after=later,
        count=100,
        max_rounds=1000,
        min_cohort=10,
        recipients=(participant(CONSUMER),),
        algorithms=(digest_of(b"recipe"),),
    )
    return {
        "name": f"heart-{number}",
        "title": f"Heart disease {number}",
        "schema": _SCHEMA,
        "quality": {},
        "governance": {
            "ethics_approval": "2026-117",
            "ethics_expires": later,
            "consent_basis": "broad consent",
            "deidentification": "pseudonymised",
            "retention": "P10Y",
            "human_genetic_resources": False,
            "owner": "Department of Neurology",
            "contact": "data-office@example.org",
        },
        "public": False,
        "fingerprint": digest_of(f"source {number}".encode()),
        "arrays": digest_of(f"arrays {number}".encode()),
        "n_train": 200,
        "n_test": 100,
        "terms": terms,
        "clock": clock,
    }


def obey(lines: Iterable[str], do: Callable[[int], None]) -> None:
    """Do what each line says, and answer it."""
    for line in lines:
        do(int(line.split()[1]))
        print("done", flush=True)


def main() -> None:
    """Serve one connector until the standard input ends."""
    folder, name, url = sys.argv[1:]
    place = Place(Path(folder))
    connector = open_connector(place, name, url)
    server, listener = listen(place, connector, name)
    with running(server, listener):
        outbox = Outbox(connector)
        outbox.start()
        print("ready", flush=True)
        obey(sys.stdin, lambda wanted: fill(connector, wanted))
        outbox.stop()
    connector.database.close()


if __name__ == "__main__":
    main()
