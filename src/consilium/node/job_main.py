"""What a job process is composed of at a hospital: its way to the node's desk.

FLARE builds this class from an entry in the hospital's own kit
(`local/job_resources.json`, and for the validator `local/parent__p_resources.json`),
so the address of the desk never comes from the hub.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from consilium.kernel.canonical import Digest, Json
from consilium.kernel.errors import ConsiliumError, InputError, PeerError, error_from_record
from consilium.kernel.identifiers import LeaseId
from consilium.node.desk import LARGEST_UPDATE
from consilium.node.frames import Message, receive_message, send_message

ENDED = 75
"""Exit status of a job process that the node has ended by its word."""
_log = logging.getLogger(__name__)
_ADMIT_S = 8.0  # FLARE waits ten seconds for a site to take a job
_WORK_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLease:
    """A lease as it came over the socket: the file is open already, its name unknown."""

    id: LeaseId
    file: BinaryIO
    facts: Mapping[str, Json]
    kept: bytes = b""


class SocketDesk:
    """The node's desk as a job process sees it; one connection per call.

    Parameters
    ----------
    address : str
        Path of the node's socket.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def admit(self, order: bytes) -> None:
        """Ask whether a segment may begin here."""
        self._ask({"call": "admit"}, order, timeout_s=_ADMIT_S)

    def stay(self, order: bytes) -> None:
        """Let the node end this process from now on: keep a line open and heed its word.

        Raises
        ------
        PeerError
            `engine.desk_closed`: who cannot be ended does not begin.
        DeniedError
            The work may not go on; the process ends.
        """
        desk = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            desk.settimeout(_ADMIT_S)
            desk.connect(self._address)
            send_message(desk, Message(line={"call": "stay"}, body=order))
            _heed(receive_message(desk, largest=0))
        except OSError as error:
            desk.close()
            raise PeerError("engine.desk_closed", detail=str(error)) from error
        except ConsiliumError:
            desk.close()
            raise
        threading.Thread(target=_listen, args=(desk,), name="desk", daemon=True).start()

    def report_refusal(self, code: str, reason: str, *, what: str = "admission") -> None:
        """Tell the node what was refused before it was asked."""
        line = {"call": "refused", "code": code, "reason": reason, "what": what}
        self._ask(line, b"", timeout_s=_ADMIT_S)

    def lease(self, order: bytes, *, kind: str, round: int, model: Digest) -> OpenLease:  # noqa: A002
        """Ask for the data for one task."""
        line: dict[str, Json] = {"call": "lease", "kind": kind, "round": round, "model": model}
        answer = self._ask(line, order)
        if answer.file is None:
            raise PeerError("engine.desk_closed", detail="a lease without a file")
        return OpenLease(
            id=LeaseId(str(answer.line["lease"])),
            file=answer.file,
            facts=answer.line["facts"],
            kept=answer.body,
        )

    def release(
        self, lease: LeaseId, *, update: bytes, facts: Mapping[str, Json], kept: bytes = b""
    ) -> bytes:
        """Give a result to the output gate and get the bytes to send."""
        line: dict[str, Json] = {
            "call": "release",
            "lease": lease,
            "facts": dict(facts),
            "kept": len(kept),
        }
        return self._ask(line, update + kept).body

    def _ask(self, line: Mapping[str, Any], body: bytes, *, timeout_s: float = _WORK_S) -> Message:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as desk:
                desk.settimeout(timeout_s)
                desk.connect(self._address)
                send_message(desk, Message(line=dict(line), body=body))
                answer = receive_message(desk, largest=LARGEST_UPDATE)
        except OSError as error:
            raise PeerError("engine.desk_closed", detail=str(error)) from error
        if "error" in answer.line:
            raise error_from_record(answer.line["error"])
        return answer


def _listen(desk: socket.socket) -> None:
    """Wait for the node's word; when the node itself is gone, its engine ends this process."""
    desk.settimeout(None)
    with desk, suppress(OSError, InputError):
        while True:
            _heed(receive_message(desk, largest=0))


def _heed(word: Message) -> None:
    """End this process at once if the node says so; whatever it computed goes with it."""
    if "error" in word.line:
        raise error_from_record(word.line["error"])
    if "end" in word.line:
        _log.warning("the node ends this job: %s", dict(word.line["end"]).get("code"))
        os._exit(ENDED)
