"""Enforcement in the background: what has ended stops here by itself, and is told on.

Three things go on beside the gate, which asks at every step anyway: running jobs
are ended (`RunningJobs`), transfers whose time has run out are terminated, and
models whose agreements were revoked are marked.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any, Protocol

from consilium.dataspace.connector import Connector
from consilium.dataspace.expiry import end_expired, end_with
from consilium.dataspace.machines import SUSPENDED
from consilium.kernel.canonical import Json
from consilium.kernel.errors import ConsiliumError, PeerError
from consilium.kernel.identifiers import ParticipantId
from consilium.node.marking import Marker
from consilium.node.running import LOOK_S, Judge, RunningJobs, Stopped

LOG = logging.getLogger("consilium.node.enforcement")
_TRIES = 20
REST_S = 3.0


class Hub(Protocol):
    """The hub, as far as it is told who leaves a study."""

    def call(self, method: str, target: str, document: Json = None) -> Any:
        """Send one signed request and return its answer."""
        ...


class Members(Protocol):
    """The directory, as far as revoked members go."""

    def list_revoked(self) -> list[ParticipantId]:
        """List those whose revocation is not in our evidence yet."""
        ...

    def record_revoked(self, participant: ParticipantId) -> None:
        """Write a revocation into our evidence."""
        ...


def end_revoked(connector: Connector, members: Members) -> None:
    """End every transfer with members that were revoked, then keep that as evidence.

    In this order, so that a crash between the two repeats the first.
    """
    for participant in members.list_revoked():
        end_with(connector, participant)
        members.record_revoked(participant)


class Enforcement:
    """Ends at this node what has ended by agreement, time or decision.

    Parameters
    ----------
    connector : Connector
        The node's.
    judge : Judge
        The gate.
    hub : Hub
        Hears which study goes on without this hospital.
    models : Path
        The folder with the passports.
    look_s : float, optional
        Time between two looks of the timer; the jobs are looked at after each
        commit besides.
    rest_s : float, optional
        Time between two tries to tell the hub.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        judge: Judge,
        hub: Hub,
        models: Path,
        look_s: float = LOOK_S,
        rest_s: float = REST_S,
    ) -> None:
        self._connector = connector
        self._hub = hub
        self._look_s = look_s
        self._rest_s = rest_s
        self._closing = threading.Event()
        self.marker = Marker(connector, models)
        self.jobs = RunningJobs(
            connector.database,
            me=connector.me,
            judge=judge,
            bell=connector.bell,
            tell=self._tell_hub,
            look_s=look_s,
        )
        self._timer = threading.Thread(target=self._run, name="enforcement", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.jobs.start()
        self._timer.start()

    def stop(self) -> None:
        """End, and wait until the threads have ended."""
        self._closing.set()
        self.jobs.stop()
        if self._timer.is_alive():
            self._timer.join()

    def look(self) -> None:
        """Do everything once that has become due.

        The jobs come first, so that the evidence of a stopped study names what
        ran out and not the transfer that ended for it.
        """
        self.jobs.look()
        end_expired(self._connector)
        self.marker.mark()

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except ConsiliumError as error:
                LOG.error("not all could be ended or marked: %s", error.public)
            if self._closing.wait(self._look_s):
                return

    def _tell_hub(self, stopped: Stopped) -> None:
        """Tell the hub that a study goes on without us, unless it only rests."""
        if stopped.refusal.facts.get("state") != SUSPENDED:
            name = f"leaving {stopped.study}"
            threading.Thread(target=self._leave, args=(stopped,), name=name, daemon=True).start()

    def _leave(self, stopped: Stopped) -> None:
        """Tell it, a minute long; a hub that never hears is refused at the next segment."""
        code = str(stopped.refusal.facts.get("ended_by") or stopped.refusal.code)
        document: Json = {"code": code[:80], "reason": stopped.refusal.public[:300]}
        for _ in range(_TRIES):
            try:
                self._hub.call("POST", f"/studies/{stopped.study}/leave", document)
            except PeerError as error:
                LOG.info("the hub was not told of study %s: %s", stopped.study, error.public)
            except ConsiliumError as error:
                LOG.warning("the hub does not hear of study %s: %s", stopped.study, error.public)
                return
            else:
                return
            if self._closing.wait(self._rest_s):
                return
