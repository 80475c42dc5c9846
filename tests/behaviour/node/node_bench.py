"""A node's API on its real socket: real registrar, tasks, connector and studies behind it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
from dataspace_rehearsal import GOVERNANCE, Hospital
from studies_rehearsal import CLOCK, RECIPES, StudySpace, in_days

from consilium.dataspace.contract_id import Register
from consilium.dataspace.wire.serving import Serving
from consilium.federation.flare.processes import ChildState
from consilium.gate.arrays import ArrayFiles
from consilium.kernel.canonical import Digest
from consilium.ledger.certificates import Identity
from consilium.ledger.cosignatures import Cosignatures
from consilium.ledger.exports import Exporter
from consilium.ledger.files import BlobStore
from consilium.ledger.tiles import LogTiles
from consilium.node.app import make_app
from consilium.node.auditing import Auditor
from consilium.node.catalogue import Catalogue
from consilium.node.directory import Entry
from consilium.node.evidence import EvidenceDesk
from consilium.node.following import Following
from consilium.node.marking import Marker
from consilium.node.membership import EngineAddress, Membership
from consilium.node.reception import Reception
from consilium.node.registration import Registrar
from consilium.node.rooms import Rooms
from consilium.node.settings import ConsoleSettings, NodeSettings
from consilium.node.tasks import Tasks
from consilium.persons.passwords import Cost
from consilium.persons.settings import ApprovalSettings
from consilium.web.seats import Speaking

CANARY = "Zhang-Wei-19630412"
"""Stands in the data; must never be told."""
SCHEMA = """
patient = "id"

[label]
field = "outcome"
rule = '== "ill"'

[[fields]]
name = "age"
kind = "number"
unit = "a"
range = [0, 120]

[[fields]]
name = "sex"
kind = "category"
categories = ["f", "m"]

[[fields]]
name = "outcome"
kind = "category"
categories = ["well", "ill"]
"""
HEADER = "id,age,sex,outcome"


def rows(n: int = 60) -> list[str]:
    return [
        f"{CANARY}-{number},{30 + number % 50},{'fm'[number % 2]},{('well', 'ill')[number % 3 % 2]}"
        for number in range(n)
    ]


def terms(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "purposes": ["research"],
        "not_after": in_days(300),
        "count": 3,
        "max_rounds": 20,
        "min_cohort": 20,
        "recipients": ["did:web:example.org:north"],
        "algorithms": ["tabular-logistic"],
    }
    return {key: value for key, value in (found | changes).items() if value is not None}


def governance(**changes: Any) -> dict[str, Any]:
    found = {**GOVERNANCE, "ethics_expires": in_days(400)} | changes
    return {key: value for key, value in found.items() if value is not None}


@dataclass(frozen=True)
class Directory:
    """The member list as it stands; nobody is revoked."""

    space: StudySpace

    def list_entries(self) -> list[Entry]:
        return [
            Entry(
                identity=Identity(
                    participant=who,
                    name=who.rpartition(":")[2],
                    title=f"Hospital {who.rpartition(':')[2]}",
                    key=key,
                    not_after=CLOCK.now() + timedelta(days=1),
                ),
                admitted=True,
                joined="2026-01-01T00:00:00.000000Z",
            )
            for who, key in self.space.space.keys.items()
        ]

    def list_known(self) -> list[Entry]:
        return self.list_entries()

    def seen_s(self, _participant: str) -> float | None:
        return 1.0

    def find_register(self) -> Register:
        return Register()


class Link:
    """A connection that is there."""

    def is_online(self) -> bool:
        return True


class Child:
    """An engine client that runs."""

    state = ChildState(
        name="engine client", running=True, pid=4711, restarts=2, since_s=1.0, exit_status=None
    )


class NodeBench:
    """A served node. `ask` goes through its socket."""

    def __init__(self, space: StudySpace, hospital: Hospital, home: Path) -> None:
        home.mkdir()
        self.home = home
        self.hospital = hospital
        self.blobs = home / "blobs"
        self.workshop = home / "intake"
        self.registrar = Registrar(
            database=hospital.database,
            blobs=BlobStore(self.blobs),
            clock=CLOCK,
            workshop=self.workshop,
            recipes=RECIPES.digests,
        )
        self.asks_persons = False
        """Whether evidence leaves only by persons' word, as the settings' default has it."""
        self.reception = Reception(
            database=hospital.database,
            clock=hospital.connector.clock,
            settings=ApprovalSettings(),
            models=home / "models",
            cost=Cost(memory_kib=8, passes=1),
        )
        self.desk = self._desk()
        rooms: dict[str, Any] = {
            "home": home,
            "settings": NodeSettings(database=hospital.url),
            "console": ConsoleSettings(),
            "recipes": RECIPES,
            "membership": Membership(
                space="example.org",
                name=hospital.name,
                title="北方医院",
                hub="https://hub.example.org",
                engine=EngineAddress(host="localhost", port=1, server_name="s", project="p"),
            ),
            "connector": hospital.connector,
            "directory": Directory(space),
            "link": Link(),
            "engine": Child(),
            "registrar": self.registrar,
            "leading": space.leading(space.office(hospital, models=home / "models")),
            "tasks": Tasks(),
            "reception": self.reception,
            "evidence": self.desk,
            "catalogue": Catalogue(hospital.connector, Directory(space)),  # type: ignore[arg-type]
            "following": Following(),
            "auditor": self._auditor(space),
        }
        self.rooms = Rooms(**rooms)
        self._serving = Serving(make_app(self.rooms), home / "run" / "api.sock")
        self._serving.start()
        transport = httpx.HTTPTransport(uds=str(home / "run" / "api.sock"))
        self._http = httpx.Client(transport=transport, base_url="http://node", timeout=90)

    def _auditor(self, space: StudySpace) -> Auditor:
        connector, models = self.hospital.connector, self.home / "models"
        return Auditor(
            connector=connector,
            marker=Marker(connector, models),
            arrays=ArrayFiles(BlobStore(space.folder / f"{self.hospital.name}-blobs")),
            models=models,
            min_cases=10,
        )

    def _desk(self) -> EvidenceDesk:
        database, key = self.hospital.database, self.hospital.key.public
        tiles = LogTiles(database.evidence, self.home / "log")
        cosignatures = Cosignatures(database, tiles, clock=CLOCK)
        return EvidenceDesk(
            database=database,
            tiles=tiles,
            exporter=Exporter(database, tiles, cosignatures, key=key, clock=CLOCK),
            folder=self.home / "exports",
            release=self._release,
        )

    def _release(self, digest: Digest, speaking: Speaking) -> None:
        if self.asks_persons:
            self.reception.release_evidence(digest, speaking)

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return self._http.request(method, path, json=body, params=query or None)

    def upload(self, name: str, data: bytes, about: Any) -> httpx.Response:
        """Send a file as a browser's form does."""
        told = {"about": json.dumps(about)}
        return self._http.post("/uploads", files={"file": (name, data)}, data=told)

    def send(self, method: str, path: str, authorization: str) -> httpx.Response:
        """Ask with a header that says who speaks, and a body that settles an item."""
        body = {"ruling": "proceed", "reason": "x"}
        return self._http.request(method, path, json=body, headers={"Authorization": authorization})

    def get(self, path: str, **query: Any) -> Any:
        answer = self.ask("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def items(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Ask for a list that fits one page."""
        page = self.get(path, **query)
        assert page.get("next") is None or "limit" in query, page
        return list(page["items"])

    def save(self, lines: list[str], *, name: str = "hearts.csv", header: str = HEADER) -> Path:
        path = self.home / name
        path.write_text("".join(f"{line}\n" for line in [header, *lines]), encoding="utf-8")
        return path

    def registration(self, source: Path, **changes: Any) -> dict[str, Any]:
        body: dict[str, Any] = {
            "path": str(source),
            "schema": SCHEMA,
            "name": "heart",
            "title": "心脏病",
            "governance": governance(),
            "terms": terms(),
        }
        return {key: value for key, value in (body | changes).items() if value is not None}

    def wait(self, task: dict[str, Any], *, timeout_s: float = 60) -> dict[str, Any]:
        ends = time.monotonic() + timeout_s
        while True:
            found: dict[str, Any] = self.get(f"/tasks/{task['id']}")
            if found["state"] != "running":
                return found
            assert time.monotonic() < ends, found
            time.sleep(0.02)

    def register(self, source: Path, **changes: Any) -> dict[str, Any]:
        """Register and wait; the task's record tells how it went."""
        answer = self.ask("POST", "/datasets", self.registration(source, **changes))
        assert answer.status_code == 200, answer.text
        return self.wait(answer.json())

    def intakes(self) -> list[psutil.Process]:
        """The reader processes that run just now."""
        found = []
        for child in psutil.Process().children(recursive=True):
            try:
                if "consilium.readers.intake" in child.cmdline():
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def array_files(self) -> list[Path]:
        return [path for path in self.blobs.rglob("*") if path.is_file()]

    def check_nothing_left(self) -> None:
        """Check that no registration has left a trace: row, evidence, file, folder or process."""
        assert self.items("/datasets") == []
        assert self.hospital.kinds() == []
        assert list(self.blobs.glob("*")) == []
        assert list(self.workshop.glob("*")) == []
        assert self.intakes() == []

    def close(self) -> None:
        self._http.close()
        self._serving.close()
