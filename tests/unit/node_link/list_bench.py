"""A directory whose hub is a function, under a root that the test holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consilium.hub.authority import Authority, Kind
from consilium.kernel.clock import HeldClock, write_time
from consilium.kernel.identifiers import participant_id
from consilium.ledger.certificates import write_certificate
from consilium.ledger.database import open_database
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import sign_statement
from consilium.node.directory import HubDirectory
from consilium.node.membership import EngineAddress, Membership

START = datetime(2026, 1, 15, 8, tzinfo=UTC)
ENGINE = EngineAddress(host="hub", port=8441, server_name="engine.glioma", project="glioma")
MEMBERSHIP = Membership(
    space="glioma", name="north", title="北方医院", hub="https://hub:8440", engine=ENGINE
)


class ListBench:
    """Writes member lists as the hub would, and as it should not."""

    def __init__(self, folder: Path) -> None:
        self.clock = HeldClock(START)
        self.authority = Authority.create(folder, space="glioma", days=3650, clock=self.clock)
        self.hub = SigningKey.generate()
        self.entries: list[dict[str, Any]] = []
        self.fetched = 0
        self.answer: dict[str, Any] = {}
        self.key = SigningKey.generate()
        self.database = open_database(
            f"sqlite:///{folder / 'node.db'}",
            key=self.key,
            clock=self.clock,
            origin=MEMBERSHIP.participant,
        )
        self.directory = self.open()
        self.publish()

    def open(self, stale_s: float = 60.0) -> HubDirectory:
        return HubDirectory(
            MEMBERSHIP,
            me=self.key.public,
            fetch=self._fetch,
            root=self.authority.root,
            database=self.database,
            clock=self.clock,
            stale_s=stale_s,
        )

    def _fetch(self) -> dict[str, Any]:
        self.fetched += 1
        return self.answer

    def certify(self, name: str, key: SigningKey, *, hours: float = 24) -> str:
        public = key.public.ed25519
        leaf = self.authority.issue(Kind.PARTICIPANT, public, name=name, hours=hours)
        return write_certificate(leaf)

    def enter(self, name: str, key: SigningKey, *, state: str = "admitted", **more: Any) -> None:
        participant = participant_id("glioma", name)
        self.entries = [item for item in self.entries if item["participant"] != participant]
        self.entries.append(
            {
                "participant": participant,
                "title": name,
                "state": state,
                "joined": write_time(START),
                "certificate": self.certify(name, key),
                **more,
            }
        )
        self.publish()

    def publish(self, **others: Any) -> None:
        facts = {
            "space": "glioma",
            "issued": write_time(self.clock.now()),
            "members": self.entries,
            **others,
        }
        self.answer = {
            "list": sign_statement(self.hub, "members", facts),
            "hub": self.certify("hub", self.hub),
        }
