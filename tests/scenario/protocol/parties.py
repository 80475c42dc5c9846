"""Two connectors in processes of their own, each killed with signal 9 at every step of its outbox.

Run as a program: `python parties.py FOLDER`. It forks both parties from one
process that has imported everything, starts each again when it has killed
itself, and ends when both are done. A party acts only by what stands in its own
database, so it goes on where it was after every death.

Each message of a party is due for three deaths: before it is sent, after it was
sent and before that is written down, and after that was written down.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "behaviour" / "dataspace"))

import httpx
import uvicorn
from dataspace_rehearsal import (
    Hospital,
    Space,
    empty_database,
    participant,
    sign_claims,
    study_claims,
    terms,
)
from fastapi import FastAPI

from consilium.dataspace import negotiation, transfer
from consilium.dataspace.catalog import request_catalog
from consilium.dataspace.connector import Bell
from consilium.dataspace.decisions import PROCEED, ScriptDecide
from consilium.dataspace.endpoints import dsp_router
from consilium.dataspace.outbox import Outbox
from consilium.dataspace.ports import WireRequest
from consilium.dataspace.records import Negotiation, Role, Transfer
from consilium.dataspace.settings import DataspaceSettings
from consilium.dataspace.store import list_history, list_processes
from consilium.dataspace.tables import OUTBOX
from consilium.dataspace.wire.transports import HttpTransport
from consilium.kernel.canonical import read_json
from consilium.kernel.clock import SystemClock, write_time
from consilium.kernel.errors import ConsiliumError
from consilium.ledger.keys import SigningKey

NAMES = ("north", "south")
MESSAGES = {
    "north": [("Negotiation", 1), ("Negotiation", 2), ("Negotiation", 3)]
    + [("Transfer", number) for number in range(1, 5)],
    "south": [("Negotiation", 1), ("Negotiation", 2), ("Negotiation", 3)]
    + [("Transfer", number) for number in range(1, 4)],
}
"""North: request, accept, verify; request, suspend, resume, complete. South: offer, agree,
finalise; start, suspend, resume."""
KINDS: dict[str, Any] = {"Negotiation": Negotiation, "Transfer": Transfer}
MOMENTS = ("before", "after", "settled")
SETTINGS = DataspaceSettings(first_wait_s=0.02, longest_wait_s=0.2, patience_s=120)
SCRIPT = ScriptDecide(
    {
        (Negotiation, Role.PROVIDER, "ACCEPTED"): PROCEED,
        (Negotiation, Role.PROVIDER, "VERIFIED"): PROCEED,
        (Negotiation, Role.CONSUMER, "AGREED"): PROCEED,
        (Transfer, Role.PROVIDER, "REQUESTED"): PROCEED,
    }
)
LONGEST_S = 90.0


def later(days: int) -> str:
    return write_time(datetime.now(UTC) + timedelta(days=days))


class Deaths:
    """Which deaths are still to come; each is written down just before it happens."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}.deaths"
        self.path.touch()
        done = set(self.path.read_text().split())
        planned = (f"{kind}:{n}:{moment}" for kind, n in MESSAGES[name] for moment in MOMENTS)
        self.left = {death for death in planned if death not in done}
        self._lock = threading.RLock()

    def die(self, death: str) -> None:
        """Kill this process, if it is to die here; of several threads that come, one writes."""
        with self._lock:
            if death in self.left:
                self._write(death)
                os.kill(os.getpid(), signal.SIGKILL)

    def pass_by(self, death: str) -> None:
        """Note a moment that cannot come: the peer's next message was quicker than its answer."""
        with self._lock:
            if death in self.left:
                self._write(f"{death} {death}:passed")
                self.left.discard(death)

    def _write(self, line: str) -> None:
        with self.path.open("a") as written:
            written.write(f"{line}\n")


class WatchedBell(Bell):
    """Rings after each commit, and looks whether a message has been written off."""

    def __init__(self, hospital: Hospital, deaths: Deaths) -> None:
        super().__init__()
        self.hospital, self.deaths = hospital, deaths

    def ring(self, about: str = "") -> None:
        for death in sorted(self.deaths.left):
            kind, number, moment = death.split(":")
            if moment == "settled" and self._is_settled(kind, int(number)):
                self.deaths.pass_by(f"{kind}:{number}:after")
                self.deaths.die(death)
        super().ring(about)

    def _is_settled(self, kind: str, number: int) -> bool:
        with self.hospital.database.read() as connection:
            found = list_processes(
                connection, {"Negotiation": Negotiation, "Transfer": Transfer}[kind]
            )
            if not found or found[0].sent < number:
                return False
            mine = (OUTBOX.c.process == found[0].pid) & (OUTBOX.c.number == number)
            return connection.execute(OUTBOX.select().where(mine)).first() is None


class Party:
    """One hospital in this process: serves, delivers, and does what is next."""

    def __init__(self, folder: Path, name: str, keys: dict[str, SigningKey], ports: dict[str, int]):
        space = Space(folder, clock=SystemClock())
        space.keys = {participant(each): key.public for each, key in keys.items()}
        client = httpx.Client(timeout=5)
        root = lambda who: f"http://127.0.0.1:{ports[who.rpartition(':')[2]]}/dsp"  # noqa: E731
        space.transport = HttpTransport(root, client=client)
        url = f"sqlite:///{folder / name}.db"
        self.deaths = Deaths(folder, name)
        self.done = folder / f"{name}.done"
        self.hospital = Hospital(name, url, keys[name], space, decide=SCRIPT, settings=SETTINGS)
        self.hospital.transport.before = self._sending("before")
        self.hospital.transport.after = self._sending("after")
        bell = WatchedBell(self.hospital, self.deaths)
        self.hospital.connector = replace(self.hospital.connector, bell=bell)
        self.hospital.outbox = Outbox(self.hospital.connector)

    def _sending(self, moment: str) -> Any:
        def look(request: WireRequest) -> None:
            if request.method != "POST" or "/catalog/" in request.path:
                return
            document: Any = read_json(request.body)
            kind = "Transfer" if "/transfers/" in request.path else "Negotiation"
            self.deaths.die(f"{kind}:{document['consilium:number']}:{moment}")

        return look

    def run(self, listener: socket.socket) -> None:
        # First the dataset, then the door: nobody is to be shown an empty catalogue.
        if self.hospital.name == "south" and "dataset.registered" not in self.hospital.kinds():
            self.hospital.register(terms=terms("north", not_after=later(100)))
        app = FastAPI()
        app.include_router(dsp_router(self.hospital.connector), prefix="/dsp")
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
        self.hospital.outbox.start()
        while True:
            with suppress(ConsiliumError):
                self._act()
            time.sleep(0.01)

    def _act(self) -> None:
        """Do what is next by what stands in the database; nothing is kept in memory."""
        with self.hospital.database.read() as connection:
            talks = list_processes(connection, Negotiation)
            runs = list_processes(connection, Transfer)
            states = [one.state for one in list_history(connection, runs[0].pid)] if runs else []
            is_quiet = connection.execute(OUTBOX.select()).first() is None
        if self.hospital.name == "north":
            self._lead(talks, runs, states)
        else:
            self._hold(talks, runs, states)
        if is_quiet and runs and runs[0].state == "COMPLETED" and not self.deaths.left:
            self.done.touch()

    def _lead(self, talks: list[Negotiation], runs: list[Transfer], states: list[str]) -> None:
        connector, south = self.hospital.connector, participant("south")
        if not talks:
            (listing,) = request_catalog(connector, south)
            negotiation.request_agreement(
                connector, south, dataset=listing.dataset, offer=listing.offer
            )
        elif talks[0].state == "OFFERED":
            negotiation.take(connector, talks[0].pid, to="ACCEPTED")
        elif talks[0].state == "FINALIZED" and not runs:
            agreement = self.hospital.agreement(talks[0].agreement, role=Role.CONSUMER)
            claims = study_claims(self.hospital, self.hospital, agreement, expires=later(10))
            claims["sites"][0] |= {"participant": south, "key": agreement.provider_key}
            transfer.request_transfer(
                connector,
                agreement.id,
                signed_study=sign_claims(self.hospital, claims),
                endpoint="grpc://127.0.0.1:1",
            )
        elif runs and runs[0].state == "STARTED" and states.count("STARTED") == 1:
            transfer.suspend(connector, runs[0].pid, code="local.hold", reason="")
        elif runs and runs[0].state == "SUSPENDED" and runs[0].holder == "consumer":
            transfer.start(connector, runs[0].pid)
        elif runs and runs[0].state == "STARTED" and states.count("STARTED") == 3:
            transfer.complete(connector, runs[0].pid)

    def _hold(self, talks: list[Negotiation], runs: list[Transfer], states: list[str]) -> None:
        connector = self.hospital.connector
        if talks and talks[0].state == "REQUESTED":
            wished = terms("north", count=2, not_after=later(90))
            negotiation.counter(connector, talks[0].pid, terms=wished)
        elif runs and runs[0].state == "STARTED" and states.count("STARTED") == 2:
            transfer.suspend(connector, runs[0].pid, code="local.hold", reason="")
        elif runs and runs[0].state == "SUSPENDED" and runs[0].holder == "provider":
            transfer.start(connector, runs[0].pid)


def main(folder: Path) -> int:
    """Run both parties to the end; return 0 if they got there."""
    keys = {name: SigningKey.generate() for name in NAMES}
    listeners = {name: socket.create_server(("127.0.0.1", 0), backlog=64) for name in NAMES}
    ports = {name: one.getsockname()[1] for name, one in listeners.items()}
    for name in NAMES:
        (folder / f"{name}.db").write_bytes(empty_database())
        (folder / f"{name}.db").chmod(0o600)
        (folder / f"{name}.key").write_text(keys[name].public.text)

    def begin(name: str) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                Party(folder, name, keys, ports).run(listeners[name])
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                sys.stderr.flush()
                os._exit(3)
        return pid

    alive = {begin(name): name for name in NAMES}
    ends = time.monotonic() + LONGEST_S
    try:
        while time.monotonic() < ends:
            for pid, status in _ended(list(alive)):
                name = alive.pop(pid)
                if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
                    return 2
                alive[begin(name)] = name
            if all((folder / f"{name}.done").exists() for name in NAMES):
                return 0
            time.sleep(0.005)
        return 1
    finally:
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _ended(pids: list[int]) -> Iterator[tuple[int, int]]:
    for pid in pids:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            yield found, status


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
