"""How the signer is spoken to: one question, one answer, over a unix socket.

Each side writes four bytes of length (big endian) and one JSON object. There
are two sockets with two lists of verbs, and what a caller can reach is decided
by the file system: whoever may open `sign.sock` can pass on what members ask
for; whoever may open `admin.sock` decides who becomes a member.
"""

from __future__ import annotations

import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from consilium.kernel.canonical import Json, canonical_bytes, read_json
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    InputError,
    PeerError,
    error_from_record,
)

ADMIN_SOCKET = "admin.sock"
SIGN_SOCKET = "sign.sock"

_GREATEST = 1 << 18
_LENGTH = struct.Struct(">I")
_CREDENTIALS = struct.Struct("3i")
_PATIENCE_S = 10.0
_LONGEST_PATH = 107

Verb = Callable[[Mapping[str, Any]], Json]
"""Answers one question; the key `by` of its facts is the caller's user number."""


class SocketService:
    """Serves verbs on one unix socket until it is closed.

    Parameters
    ----------
    path : Path
        Where the socket is made; what lies there is replaced.
    mode : int
        Its file mode.
    verbs : mapping of str to Verb
        Everything that can be asked here.
    only_owner : bool
        Refuse callers of another user than this process's, whatever the mode.
    """

    def __init__(
        self, path: Path, *, mode: int, verbs: Mapping[str, Verb], only_owner: bool
    ) -> None:
        if len(os.fsencode(path)) > _LONGEST_PATH:
            raise InputError("hub.path_too_long", path=str(path), limit=_LONGEST_PATH)
        path.unlink(missing_ok=True)
        self._path = path
        self._server = _Server(str(path), _Conversation)
        self._server.verbs = dict(verbs)
        self._server.users = {os.getuid(), 0} if only_owner else None
        path.chmod(mode)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name=path.name
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering and take the socket away."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class SignClient:
    """What the hub's serving process can ask of the signer.

    Parameters
    ----------
    folder : Path
        The signer's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / SIGN_SOCKET

    def redeem(self, statement: str) -> dict[str, Any]:
        """Pass on a join request; the answer holds the member's certificates."""
        return call_signer(self._path, "redeem", {"statement": statement})

    def renew(self, statement: str) -> dict[str, Any]:
        """Pass on a member's renewal; the answer holds its certificates."""
        return call_signer(self._path, "renew", {"statement": statement})

    def list_own(self) -> dict[str, Any]:
        """Get the hub's own present certificates, PEM by kind."""
        return call_signer(self._path, "own", {})

    def list_standing(self) -> dict[str, Any]:
        """Get every member's standing by name."""
        return call_signer(self._path, "standing", {})


class AdminClient:
    """What the hub's operator can ask of the signer; used by the command line.

    Parameters
    ----------
    folder : Path
        The signer's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ADMIN_SOCKET

    def mint(
        self, member: str, *, title: str, hours: float | None = None, location: str = ""
    ) -> dict[str, Any]:
        """Make a join token: `token`, `member`, `expires`."""
        facts: dict[str, Json] = {"member": member, "title": title, "hours": hours}
        facts["location"] = location
        return call_signer(self._path, "mint", facts)

    def list_tokens(self) -> list[dict[str, Any]]:
        """List tokens and what became of them; never their secrets."""
        found: list[dict[str, Any]] = call_signer(self._path, "tokens", {})["tokens"]
        return found

    def list_standing(self) -> dict[str, Any]:
        """Get every member's standing by name."""
        return call_signer(self._path, "standing", {})

    def revoke(self, member: str, *, reason: str) -> None:
        """End a member's right to new certificates."""
        call_signer(self._path, "revoke", {"member": member, "reason": reason})


def call_signer(path: Path, verb: str, facts: Mapping[str, Json]) -> dict[str, Any]:
    """Ask one question and return the answer.

    Raises
    ------
    PeerError
        `hub.signer_away` if nobody answers at the socket.
    ConsiliumError
        Whatever the signer refused with.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(_PATIENCE_S)
            line.connect(str(path))
            _send(line, {"verb": verb, "facts": dict(facts)})
            answer = _receive(line)
    except PermissionError as error:
        raise DeniedError("hub.socket_refused", path=str(path)) from error
    except OSError as error:
        raise PeerError("hub.signer_away", path=str(path)) from error
    if "error" in answer:
        raise error_from_record(answer["error"])
    found: dict[str, Any] = answer.get("ok", {})
    return found


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    verbs: dict[str, Verb]
    users: set[int] | None

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a caller who hangs up is no news."""


class _Conversation(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Answer one question."""
        self.request.settimeout(_PATIENCE_S)
        user = _user_of(self.request)
        with suppress(OSError):
            _send(self.request, self._answer(user))

    def _answer(self, user: int) -> dict[str, Json]:
        try:
            if self.server.users is not None and user not in self.server.users:
                raise DeniedError("hub.wrong_user", user=user)
            question = _receive(self.request)
            verb = self.server.verbs.get(str(question.get("verb")))
            facts = question.get("facts")
            if verb is None or not isinstance(facts, dict):
                raise DeniedError("hub.unknown_verb")
            return {"ok": verb({**facts, "by": user})}
        except ConsiliumError as error:
            return {"error": error.as_record()}


def _user_of(line: socket.socket) -> int:
    raw = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


def _send(line: socket.socket, value: Json) -> None:
    data = canonical_bytes(value)
    line.sendall(_LENGTH.pack(len(data)) + data)


def _receive(line: socket.socket) -> dict[str, Any]:
    (length,) = _LENGTH.unpack(_read(line, _LENGTH.size))
    if length > _GREATEST:
        raise InputError("hub.bad_call")
    value = read_json(_read(line, length))
    if not isinstance(value, dict):
        raise InputError("hub.bad_call")
    return value


def _read(line: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = line.recv(length - len(data))
        if not part:
            raise ConnectionResetError("the other side hung up")
        data += part
    return bytes(data)
