"""What goes over the desk's socket: one line of JSON in a frame, raw bytes, perhaps an open file.

Node and job processes share it; whoever calls is known by what the kernel says.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from consilium.kernel.errors import InputError

LARGEST_LINE = 1 << 20
_LENGTH = struct.Struct(">I")
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A line of JSON, raw bytes, and perhaps an open file."""

    line: dict[str, Any]
    body: bytes = b""
    file: BinaryIO | None = None


def send_message(line: socket.socket, message: Message) -> None:
    """Write a message; a file goes along with its first bytes."""
    head = json.dumps(message.line | {"size": len(message.body)}).encode()
    framed = _LENGTH.pack(len(head)) + head
    if message.file is not None:
        rights = array.array("i", [message.file.fileno()])
        sent = line.sendmsg([framed], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        framed = framed[sent:]
    for part in (framed, message.body):
        if part:
            line.sendall(part)


def receive_message(line: socket.socket, *, largest: int) -> Message:
    """Read a message whose body is at most `largest` bytes.

    Raises
    ------
    InputError
        `engine.desk_message`.
    """
    first, file = _receive_first(line)
    try:
        (length,) = _LENGTH.unpack(first + _receive(line, _LENGTH.size - len(first)))
        if not 0 < length <= LARGEST_LINE:
            raise InputError("engine.desk_message", reason="length")
        read = json.loads(_receive(line, length))
        size = read.pop("size")
        if type(size) is not int or not 0 <= size <= largest:
            raise InputError("engine.desk_message", reason="size")
        return Message(line=read, body=_receive(line, size), file=file)
    except (ValueError, TypeError, KeyError, AttributeError, InputError) as error:
        if file is not None:
            file.close()
        if isinstance(error, InputError):
            raise
        raise InputError("engine.desk_message", reason="form") from error


def user_of(line: socket.socket) -> int:
    """Return the number of the user at the other end."""
    return _peer(line)[1]


def pid_of(line: socket.socket) -> int:
    """Return the number of the process that connected; 0 if it is out of this one's sight."""
    return _peer(line)[0]


def _peer(line: socket.socket) -> tuple[int, int, int]:
    size = struct.calcsize("3i")
    pid, user, group = struct.unpack(
        "3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return pid, user, group


def _receive_first(line: socket.socket) -> tuple[bytes, BinaryIO | None]:
    room = socket.CMSG_SPACE(array.array("i", [0]).itemsize)
    data, rights, _, _ = line.recvmsg(_LENGTH.size, room)
    for level, kind, content in rights:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            return data, os.fdopen(array.array("i", content[:4])[0], "rb")
    return data, None


def _receive(line: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        block = line.recv(min(size - len(data), _BLOCK))
        if not block:
            raise InputError("engine.desk_message", reason="cut off")
        data += block
    return bytes(data)
