"""A hub with one study and an engine that misbehaves when told to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataspace_rehearsal import empty_database
from federation_rehearsal import make_rehearsal
from studies_rehearsal import CLOCK, HASTE, LONGEST_S, await_state

from consilium.federation.attempts import study_folder
from consilium.federation.coordination import Coordinator
from consilium.federation.folder import SegmentFolder
from consilium.federation.local import LocalEngine
from consilium.federation.patience import Patience
from consilium.federation.ports import EngineStatus
from consilium.federation.states import StudyState
from consilium.federation.store import get_study, list_events, list_segments
from consilium.federation.studies import accept_study
from consilium.gate.orders import Order
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.database import open_database
from consilium.ledger.files import write_atomic
from consilium.ledger.keys import SigningKey

Submit = Callable[[Order, bytes, SegmentFolder], None]
"""Stands in for one job; what it raises, `submit` raises."""


def lose_job(order: Order, start: bytes, folder: SegmentFolder) -> None:
    """Take the job and never run it."""


class ScriptedEngine:
    """The engine in one process, behind a script.

    The first submissions are handed to `script`, one after another; later ones
    run. `absent` hospitals are not connected, those in `refused` refuse; `watch`
    is called whenever the hub asks how a job is, and may do anything.
    """

    def __init__(self, desks: dict[ParticipantId, Any], recipes: Any) -> None:
        self.desks = desks
        self.inner = LocalEngine(desks, recipes=recipes)
        self.script: list[Submit] = []
        self.absent: set[ParticipantId] = set()
        self.refused: dict[ParticipantId, str] = {}
        self.watch: Callable[[str], None] = lambda _job: None
        self.lost = EngineStatus.ENDED
        self.submitted: list[Order] = []
        self.aborted: list[str] = []

    def submit(self, order: Order, start: bytes, folder: Path) -> str:
        self.submitted.append(order)
        if self.script:
            self.script.pop(0)(order, start, SegmentFolder(folder))
            return f"lost-{len(self.submitted)}"
        held = {site: self.desks.pop(site) for site in self.absent if site in self.desks}
        try:
            return self.inner.submit(order, start, folder)
        finally:
            self.desks.update(held)

    def status(self, job: str) -> EngineStatus:
        self.watch(job)
        return self.lost if job.startswith("lost-") else self.inner.status(job)

    def refusals(self, job: str) -> dict[ParticipantId, str]:
        return self.refused or self.inner.refusals(job)

    def sites(self) -> frozenset[ParticipantId]:
        return frozenset(self.desks) - self.absent

    def abort(self, job: str) -> None:
        self.aborted.append(job)
        self.inner.abort(job)

    def close(self) -> None:
        self.inner.close()


class Bench:
    """One hub with one study of three hospitals; `start` it, `crash` it, look at it."""

    def __init__(self, folder: Path, *, patience: Patience = HASTE, **changes: Any) -> None:
        folder.mkdir()
        self.folder = folder
        self.patience = patience
        self.rehearsal = make_rehearsal(
            folder / "unused",
            settings={"local_steps": 2},
            **({"rounds": 3, "deadline_s": 60.0} | changes),
        )
        self.plan = self.rehearsal.study
        self.study = self.plan.study
        self.sites = sorted(self.rehearsal.desks)
        self.engine = ScriptedEngine(self.rehearsal.desks, self.rehearsal.recipes)
        self.life = 0
        self._key = SigningKey.generate()
        (folder / "hub.db").write_bytes(empty_database())
        (folder / "hub.db").chmod(0o600)
        self._open()
        self.home.mkdir(parents=True)
        write_atomic(self.home / "start.safetensors", self.rehearsal.start)
        with self.database.write() as tx:
            accept_study(tx, self.plan, self.rehearsal.signed, clock=CLOCK)

    def _open(self) -> None:
        url = f"sqlite:///{self.folder / 'hub.db'}"
        self.database = open_database(url, key=self._key, clock=CLOCK, origin="did:web:test:hub")
        self.coordinator = Coordinator(
            self.database,
            self.engine,
            self.folder / "studies",
            clock=CLOCK,
            patience=self.patience,
            engine_life=lambda: self.life,
        )

    @property
    def home(self) -> Path:
        """The study's folder."""
        return study_folder(self.folder / "studies", self.plan)

    def hasten(self, **changes: Any) -> None:
        self.patience = self.coordinator.patience = replace(self.patience, **changes)

    def run(self, *, timeout_s: float = LONGEST_S) -> StudyState:
        """Run the study to its end and return how it ended."""
        self.coordinator.begin(self.study)
        return self.await_end(timeout_s=timeout_s)

    def await_end(self, *, timeout_s: float = LONGEST_S) -> StudyState:
        await_state(lambda: self.row()["state"], timeout_s=timeout_s)
        thread = self.coordinator._threads.get(self.study)
        if thread is not None:
            thread.join(10)
            assert not thread.is_alive(), "the study has ended and its thread goes on"
        return StudyState(self.row()["state"])

    def restart(self) -> None:
        """End the hub's process and start it again; its engine is another one then."""
        self.coordinator.close()
        self.engine.close()
        self.database.close()
        self.engine = ScriptedEngine(self.rehearsal.desks, self.rehearsal.recipes)
        self._open()

    def await_round(self, number: int) -> None:
        ends = time.monotonic() + LONGEST_S
        while number not in [event["facts"]["round"] for event in self.events("round_closed")]:
            assert time.monotonic() < ends, f"round {number} was not heard of"
            time.sleep(0.01)

    def row(self) -> dict[str, Any]:
        with self.database.read() as connection:
            return get_study(connection, self.study)

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        with self.database.read() as connection:
            found = list_events(connection, self.study, limit=10_000)
        return [event for event in found if not kinds or event["kind"] in kinds]

    def outcomes(self) -> list[str]:
        with self.database.read() as connection:
            return [row["outcome"] for row in list_segments(connection, self.study)]

    def final(self) -> bytes:
        return self.coordinator.ended_attempt(self.plan).final()

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.database.evidence.entries(limit=1000)]

    def close(self) -> None:
        for desk in self.rehearsal.desks.values():
            desk.quiet.set()
        self.coordinator.close()
        self.engine.close()
        self.database.close()
