"""The node's desk: where the engine and its job processes ask, over a local socket.

The socket belongs to the node's user alone, and each caller's user is checked.
A message is one line of JSON in a frame with its length, and after it as many
raw bytes as the line says. A lease's answer carries the open data file itself,
as a descriptor: no path, key or address crosses.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import threading
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from consilium.federation.ports import Desk
from consilium.gate.orders import LARGEST_ORDER
from consilium.kernel.canonical import Digest
from consilium.kernel.errors import ConsiliumError, InputError, StateError
from consilium.kernel.identifiers import LeaseId
from consilium.node.frames import Message, receive_message, send_message, user_of

LARGEST_UPDATE = 4 << 30
LONGEST_PATH = 100
_PATIENCE_S = 600.0
_log = logging.getLogger(__name__)


class Keeper(Protocol):
    """Keeps the lines of job processes, so that the node can end them: `RunningJobs`."""

    def keep(self, order: bytes, line: socket.socket) -> None:
        """Answer on the line, and return when the job process has left it."""
        ...


class DeskServer:
    """Serves a desk on a local socket, one thread per connection.

    Parameters
    ----------
    path : Path
        Where the socket stands; made by `serve`, for this user alone.
    desk : Desk
        Who answers: the node's gate.
    users : collection of int, optional
        Numbers of the users who may ask; this process's own if not given.
    keeper : Keeper, optional
        Keeps the lines of job processes; without one they are only held open.

    Raises
    ------
    InputError
        `engine.desk_path` when the path is too long for a socket.
    """

    def __init__(
        self,
        path: Path,
        desk: Desk,
        *,
        users: Collection[int] = (),
        keeper: Keeper | None = None,
    ) -> None:
        length = len(os.fsencode(path.absolute()))
        if length > LONGEST_PATH:
            raise InputError("engine.desk_path", length=length)
        self._path = path
        self._desk = desk
        self._keeper = keeper
        self._users = set(users) or {os.getuid()}
        self._listener: socket.socket | None = None

    def serve(self) -> None:
        """Begin to answer; returns at once."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path.absolute()))
        self._path.chmod(0o600 if self._users == {os.getuid()} else 0o660)
        listener.listen()
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="desk", daemon=True).start()

    def close(self) -> None:
        """Answer nobody any more and take the socket away."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            if user_of(line) in self._users:
                threading.Thread(target=self._answer, args=(line,), daemon=True).start()
            else:
                line.close()

    def _answer(self, line: socket.socket) -> None:
        line.settimeout(_PATIENCE_S)
        with closing(line):
            try:
                asked = receive_message(line, largest=LARGEST_UPDATE)
                if asked.line.get("call") == "stay":
                    self._keep(line, asked.body)
                    return
                answer = self._respond(asked)
            except (ConsiliumError, OSError) as error:
                answer = _as_error(error)
            try:
                send_message(line, answer)
            except OSError:
                _log.warning("a job process left the desk before its answer")
            finally:
                if answer.file is not None:
                    answer.file.close()

    def _keep(self, line: socket.socket, order: bytes) -> None:
        """Keep a job process's line until it is gone."""
        _check_order(order)
        if self._keeper is not None:
            self._keeper.keep(order, line)
            return
        send_message(line, Message(line={}))
        line.settimeout(None)
        while line.recv(64):
            pass

    def _respond(self, message: Message) -> Message:
        calls: dict[str, Callable[[dict[str, Any], bytes], Message]] = {
            "admit": self._admit,
            "refused": self._refused,
            "lease": self._lease,
            "release": self._release,
        }
        try:
            call = calls[message.line["call"]]
            return call(message.line, message.body)
        except ConsiliumError as error:
            return _as_error(error)
        except Exception as error:  # noqa: BLE001 - the request boundary: the caller learns only that it failed
            _log.exception("the desk could not answer")
            return _as_error(error)

    def _admit(self, line: dict[str, Any], body: bytes) -> Message:  # noqa: ARG002
        _check_order(body)
        self._desk.admit(body)
        return Message(line={})

    def _refused(self, line: dict[str, Any], body: bytes) -> Message:  # noqa: ARG002
        what = str(line.get("what", "admission"))
        self._desk.report_refusal(str(line["code"]), str(line["reason"]), what=what)
        return Message(line={})

    def _lease(self, line: dict[str, Any], body: bytes) -> Message:
        _check_order(body)
        lease = self._desk.lease(
            body, kind=str(line["kind"]), round=int(line["round"]), model=Digest(line["model"])
        )
        if fcntl.fcntl(lease.file, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
            lease.file.close()
            raise StateError("engine.desk_failed", detail="the lease's file can be written")
        line_back = {"lease": lease.id, "facts": dict(lease.facts)}
        return Message(line=line_back, body=lease.kept, file=lease.file)

    def _release(self, line: dict[str, Any], body: bytes) -> Message:
        lease = LeaseId(str(line["lease"]))
        kept = int(line.get("kept", 0))
        if not 0 <= kept <= len(body):
            raise InputError("engine.desk_message", reason="kept")
        end = len(body) - kept
        reply = self._desk.release(lease, update=body[:end], facts=line["facts"], kept=body[end:])
        return Message(line={}, body=reply)


def _check_order(order: bytes) -> None:
    if len(order) > LARGEST_ORDER:
        raise InputError("engine.desk_message", reason="order")


def _as_error(error: Exception) -> Message:
    known = error if isinstance(error, ConsiliumError) else StateError("engine.desk_failed")
    return Message(line={"error": known.as_record()})
