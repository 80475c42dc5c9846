"""The engine port on FLARE, as the hub uses it.

The hub's process holds nothing of FLARE: it writes job folders and speaks with
its own server's process over a local socket, one short connection per call, so
that a server that restarts can never leave a call hanging.
"""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

from consilium.federation.flare.attempts import forget_attempts, register_attempt
from consilium.federation.flare.jobs import REFUSALS_FILE, job_files
from consilium.federation.flare.kits import CONTROL_SOCKET
from consilium.federation.ports import EngineStatus
from consilium.gate.orders import Order
from consilium.kernel.errors import PeerError, error_from_record
from consilium.kernel.identifiers import ParticipantId, participant_id

_RUNNING = {"SUBMITTED", "APPROVED", "DISPATCHED", "RUNNING"}
_FLARE_PREFIX = "NVFLARE_ERROR:"  # before what the validator said


class FlareEngine:
    """Runs segments on the hub's FLARE server.

    Parameters
    ----------
    kit : Path
        The server's kit; its process serves the control socket there.
    space : str
        The space's name, to turn the engine's site names into participants.
    timeout_s : float, optional
        Longest wait for the server's process in one call.
    """

    def __init__(self, kit: Path, *, space: str, timeout_s: float = 10.0) -> None:
        self._kit = kit
        self._space = space
        self._timeout_s = timeout_s
        self._folders: dict[str, Path] = {}

    def submit(self, order: Order, start: bytes, folder: Path) -> str:  # noqa: ARG002
        """Begin a segment and return the job's name.

        `folder` holds the starting model already (`SegmentFolder.create`).

        Raises
        ------
        PeerError
            `engine.not_running` while the server is down; try again.

        Discloses
        ---------
        The order, to the hospitals of its study.
        """
        register_attempt(self._kit, order, folder)
        outbox = self._kit / "outbox" / order.digest.removeprefix("sha256:")[:32]
        try:
            for name, data in job_files(order).items():
                path = outbox / name
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.write_bytes(data)
            job = str(self._ask("submit", folder=str(outbox.absolute()))["job"])
        finally:
            shutil.rmtree(outbox, ignore_errors=True)
        self._folders[job] = folder
        return job

    def status(self, job: str) -> EngineStatus:
        """Say whether the job still runs; a server that does not answer knows nothing.

        Discloses
        ---------
        Nothing.
        """
        try:
            said = str(self._ask("status", job=job)["status"])
        except PeerError:
            return EngineStatus.UNKNOWN
        if not said:
            return EngineStatus.UNKNOWN
        return EngineStatus.RUNNING if said in _RUNNING else EngineStatus.ENDED

    def refusals(self, job: str) -> dict[ParticipantId, str]:
        """Return what hospitals said who did not admit the job, or refused a task of it.

        While the server is down only the refused tasks are known.

        Discloses
        ---------
        Codes and public sentences of refusals.
        """
        found = self._refused_tasks(job)
        try:
            detail = self._ask("status", job=job).get("detail", [])
        except PeerError:
            return found
        for line in detail:
            site, _, text = str(line).partition(": ")
            text = text.removeprefix(_FLARE_PREFIX).strip()
            if site != "server" and text != "OK" and " " not in site:
                found[participant_id(self._space, site)] = text
        return found

    def _refused_tasks(self, job: str) -> dict[ParticipantId, str]:
        file = self._folders.get(job, self._kit) / REFUSALS_FILE
        lines = file.read_bytes().splitlines() if file.is_file() else []
        told = [json.loads(line) for line in lines]
        return {participant_id(self._space, line["site"]): line["refusal"] for line in told}

    def sites(self) -> frozenset[ParticipantId]:
        """Return the hospitals connected now; none while the server is down.

        Discloses
        ---------
        Nothing.
        """
        try:
            names = self._ask("sites")["sites"]
        except PeerError:
            return frozenset()
        return frozenset(participant_id(self._space, name) for name in names)

    def abort(self, job: str) -> None:
        """Stop the job; silent when it has ended, is unknown or the server is down.

        Discloses
        ---------
        Nothing.
        """
        try:
            self._ask("abort", job=job)
        except PeerError:
            return

    def bar(self, names: frozenset[str]) -> None:
        """Keep these sites out, connected or not, and let all others in again.

        Raises
        ------
        PeerError
            `engine.not_running` while the server is down; try again.

        Discloses
        ---------
        Nothing.
        """
        self._ask("bar", names=" ".join(sorted(names)))

    def prune(self) -> None:
        """Remove ended jobs from the engine's store, and the notes of old attempts.

        Discloses
        ---------
        Nothing.
        """
        jobs = self._ask("jobs")["jobs"]
        running = [job for job, status in jobs.items() if status in _RUNNING]
        for job in jobs:
            if job not in running:
                self._ask("delete", job=job)
        if not running:
            forget_attempts(self._kit)

    def close(self) -> None:
        """Hold nothing: each call is a connection of its own.

        Discloses
        ---------
        Nothing.
        """

    def _ask(self, call: str, **facts: str) -> dict[str, Any]:
        request = json.dumps({"call": call, **facts}).encode() + b"\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(self._timeout_s)
                line.connect(str(self._kit.absolute() / CONTROL_SOCKET))
                line.sendall(request)
                with line.makefile("rb") as stream:
                    answer = dict(json.loads(stream.readline()))
        except (OSError, ValueError) as error:
            raise PeerError("engine.not_running", detail=str(error)) from error
        if "error" in answer:
            raise error_from_record(answer["error"])
        return answer
