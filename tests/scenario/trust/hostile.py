"""A lead and a hub that mean ill: the test owns both homes, and so every key that they have."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from consilium.dataspace.wire.builders import BASE, data_address, transfer_request
from consilium.dataspace.wire.client import Client as Peer
from consilium.federation.flare.engine import FlareEngine
from consilium.federation.ports import EngineStatus
from consilium.gate.orders import Order, Study, sign_study
from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.clock import SystemClock, write_time
from consilium.kernel.identifiers import AgreementId, ParticipantId, StudyId, new_urn
from consilium.ledger.keys import PublicKey
from consilium.ledger.statements import peek_statement
from consilium.node.hub_client import Caller
from consilium.node.link import make_transport
from consilium.node.membership import KEYS, KeyFolder, load_membership
from consilium.space.client import Client
from consilium.space.home import hub_home, node_home
from consilium.space.processes import RunningSpace
from consilium.space.wire import Record

from .scene import wait_until

Files = dict[str, bytes]


@dataclass(frozen=True)
class Hospital:
    """The hospital that is attacked, and what it can show afterwards."""

    home: Path
    participant: ParticipantId
    client: Client

    @property
    def key(self) -> PublicKey:
        return KeyFolder(self.home / KEYS).signing_key().public

    def entries(self, kind: str) -> list[Record]:
        """Return the facts of its evidence of one kind."""
        found = self.client.evidence.list(limit=1000)
        return [dict(each["facts"]) for each in found if each["kind"] == kind]

    def jobs(self) -> set[str]:
        """Name the engine jobs that ever had a process here; each leaves a log."""
        folder = self.home / "engine" / "logs" / self.participant.rpartition(":")[2]
        return {path.name for path in folder.iterdir() if path.is_dir()}

    def has_delivered(self) -> bool:
        """Say whether none of its messages is under way any more."""
        with closing(sqlite3.connect(self.home / "node.db")) as connection:
            left = connection.execute("SELECT count(*) FROM dataspace_outbox").fetchone()
        return bool(left == (0,))

    def array_files(self) -> list[Path]:
        return [path for path in self.home.glob("blobs/*/*") if path.is_file()]


class Attacker:
    """Signs as the lead, submits as the hub."""

    def __init__(self, space: RunningSpace, lead: str, victim: Hospital) -> None:
        home = node_home(space.home, lead)
        keys, membership = KeyFolder(home / KEYS), load_membership(home)
        self.victim = victim
        self.key = keys.signing_key()
        self.engine = FlareEngine(hub_home(space.home) / "engine" / "server", space=space.plan.name)
        self._callback = membership.relay_address(membership.participant) + BASE
        self._studies = f"{membership.hub}/studies"
        self._desk = space.home / "attacks"
        clock = SystemClock()
        caller = Caller(membership=membership, key=self.key, clock=clock)
        transport, self._http = make_transport(caller, trust=keys.trust(), answer=_answer_nobody)
        self._peer = Peer(
            me=membership.participant,
            key=self.key,
            clock=clock,
            directory=_OneKey(victim.key),
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def order(self, plan: Study, *, signed: str = "") -> Order:
        """Write the hub's order for a plan, which the lead signs unless told otherwise."""
        signed = signed or sign_study(self.key, plan)
        return Order(signed_study=signed, segment=1, attempt=1, first_round=1, start=plan.start)

    def renamed(self, plan: Study, **changes: Any) -> Study:
        """Make another study of a plan."""
        now = SystemClock().now()
        fresh = {"study": StudyId(new_urn()), "created": write_time(now - timedelta(seconds=60))}
        return replace(plan, **fresh | changes)

    def naming_no_agreement(self, plan: Study) -> Study:
        [site] = plan.sites
        return self.renamed(plan, sites=(replace(site, agreement=AgreementId(new_urn())),))

    def open_transfer(self, plan: Study) -> Order:
        """Have the hospital start a transfer for a plan; return the order that would follow."""
        [site] = plan.sites
        order = self.order(plan)
        message = transfer_request(
            new_urn(),
            agreement=site.agreement,
            callback=self._callback,
            address=data_address(self._studies, {}),
            study=order.signed_study,
        )
        status, said = self._peer.post(
            self.victim.participant, f"{BASE}/transfers/request", message
        )
        assert status in {200, 201}, said
        return order

    def forged(self, order: Order, plan: Study) -> Order:
        """Put another plan under the lead's signature."""
        head, _, signature = order.signed_study.split(".")
        body = sign_study(self.key, plan).split(".")[1]
        assert peek_statement(f"{head}.{body}.{signature}")
        return replace(order, signed_study=f"{head}.{body}.{signature}")

    def submit(self, name: str, files: Files) -> str:
        """Have the hub's own engine carry any job folder at all."""
        for place, data in files.items():
            path = self._desk / name / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return str(self.engine._ask("submit", folder=str(self._desk / name))["job"])

    def told(self, job: str) -> str:
        """Wait for the end of a job and return what the hospital said of it."""
        ended = EngineStatus.ENDED
        wait_until(lambda: self.engine.status(job) == ended, what="the end of a job")
        return self.engine.refusals(job).get(self.victim.participant, "")


def with_code(files: Files) -> Files:
    return files | {"site/custom/steal.py": b"raise SystemExit"}


def with_another_class(files: Files) -> Files:
    name = "site/config/config_fed_client.json"
    config = json.loads(files[name])
    config["executors"][0]["executor"]["path"] = "nvflare.app_common.executors.task_script_runner"
    return files | {name: canonical_bytes(config)}


@contextmanager
def attacking(space: RunningSpace, lead: str, victim: str) -> Iterator[Attacker]:
    """Give the attacker of one hospital."""
    with Client(space.wire(victim)) as client:
        hospital = Hospital(
            home=node_home(space.home, victim),
            participant=space.plan.id_of(victim),
            client=client,
        )
        attacker = Attacker(space, lead, hospital)
        try:
            yield attacker
        finally:
            attacker.close()


class _OneKey:
    """Knows one peer."""

    def __init__(self, key: PublicKey) -> None:
        self._key = key

    def key_of(self, participant: ParticipantId) -> PublicKey:
        return self._key


def _answer_nobody(request: object) -> Any:
    raise AssertionError("nobody asks an attacker")
