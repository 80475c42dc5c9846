"""One participant's connector: everything that the verbs need, put together once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from consilium.dataspace.machines import TERMINAL
from consilium.dataspace.ports import Decide, Directory, Transport, Verdict
from consilium.dataspace.records import Negotiation, Process, Transfer
from consilium.dataspace.settings import DataspaceSettings
from consilium.dataspace.store import get_process
from consilium.dataspace.wire.anybody import ANYBODY, OpenClient
from consilium.dataspace.wire.builders import BASE
from consilium.dataspace.wire.client import Client
from consilium.dataspace.wire.replays import ReplayGuard
from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock
from consilium.kernel.errors import ConsiliumError
from consilium.kernel.identifiers import ParticipantId, ProcessId
from consilium.ledger.database import Database, Transaction
from consilium.ledger.keys import SigningKey

P = TypeVar("P", bound=Negotiation | Transfer)

Waiting = Callable[[Transaction, Process, Verdict], None]
"""Told of a process that waits for a person, in the transaction that made it wait."""


def _tell_nobody(_tx: Transaction, _process: Process, _verdict: Verdict) -> None:
    """Let the process wait until somebody looks."""


class Bell:
    """Rings when something was committed; wakes the outbox and whoever waits for a state."""

    def __init__(self) -> None:
        self._rung = 0
        self._condition = threading.Condition()
        self._ears: dict[str, list[threading.Event]] = {}

    @property
    def rung(self) -> int:
        """How often it has rung; ask before looking, and nothing is missed."""
        return self._rung

    def ring(self, about: str = "") -> None:
        """Wake whoever waits for anything, and who listens for `about`, one of our processes."""
        with self._condition:
            self._rung += 1
            self._condition.notify_all()
            for ear in self._ears.get(about, ()):
                ear.set()

    @contextmanager
    def listening(self, about: str) -> Iterator[threading.Event]:
        """Give an event that is set at each ring about one process, and at no other."""
        ear = threading.Event()
        with self._condition:
            self._ears.setdefault(about, []).append(ear)
        try:
            yield ear
        finally:
            with self._condition:
                self._ears[about].remove(ear)
                if not self._ears[about]:
                    del self._ears[about]

    def wait(self, since: int, *, timeout_s: float) -> None:
        """Return when it has rung more than `since` times, or after `timeout_s`."""
        with self._condition:
            self._condition.wait_for(lambda: self._rung > since, timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """One participant's identity, state, peers and decisions.

    `root` is the URL of our protocol root as peers reach it; it is told to
    them as callback address. `waiting` is called where `decide` says `WAIT`.
    """

    me: ParticipantId
    title: str
    root: str
    database: Database
    key: SigningKey
    clock: Clock
    directory: Directory
    transport: Transport
    decide: Decide
    waiting: Waiting = _tell_nobody
    settings: DataspaceSettings = field(default_factory=DataspaceSettings)
    seen: ReplayGuard = field(default_factory=ReplayGuard)
    bell: Bell = field(default_factory=Bell)

    @property
    def callback(self) -> str:
        """The address under which peers answer us."""
        return self.root.rstrip("/") + BASE

    @property
    def client(self) -> Client:
        """Our way of asking others."""
        return Client(
            me=self.me,
            key=self.key,
            clock=self.clock,
            directory=self.directory,
            transport=self.transport,
            refused=self._keep_answer,
        )

    def _keep_answer(self, peer: ParticipantId, refusal: ConsiliumError) -> None:
        """Keep that somebody answered in a peer's name, and was not believed."""
        facts: dict[str, Json] = {"code": refusal.code, "reason": refusal.public[:400]}
        self.database.refusals.keep("answer.refused", peer, facts, rule=refusal.code)

    def client_of(self, process: Process) -> Client | OpenClient:
        """Our way of asking a process's peer."""
        return OpenClient(process.callback) if process.peer == ANYBODY else self.client

    def wait_for(
        self,
        kind: type[P],
        pid: ProcessId,
        *,
        states: Collection[str] = TERMINAL,
        timeout_s: float,
    ) -> P:
        """Wait until one of our processes is in one of these states, and return it.

        After `timeout_s` it is returned as it stands then; look at its state.

        Raises
        ------
        NotFoundError
            `dataspace.no_process`.
        """
        end = time.monotonic() + timeout_s
        with self.bell.listening(pid) as heard:
            while True:
                heard.clear()
                with self.database.read() as connection:
                    process = get_process(connection, kind, pid)
                left_s = end - time.monotonic()
                if process.state in states or left_s <= 0:
                    return process
                heard.wait(left_s)
