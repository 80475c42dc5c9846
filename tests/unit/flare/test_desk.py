"""The node's desk over its socket: calls, files, refusals, bad callers."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consilium.gate.sums import Question
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError, InputError, PeerError, StateError
from consilium.kernel.identifiers import LeaseId
from consilium.node.desk import DeskServer
from consilium.node.frames import Message, receive_message, send_message
from consilium.node.job_main import SocketDesk

from .conftest import FakeDesk

MODEL = digest_of(b"model")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[FakeDesk], SocketDesk]]:
    servers: list[DeskServer] = []

    def start(desk: FakeDesk) -> SocketDesk:
        server = DeskServer(tmp_path / "desk.sock", desk)
        server.serve()
        servers.append(server)
        return SocketDesk(str(tmp_path / "desk.sock"))

    yield start
    for server in servers:
        server.close()


def test_admission_and_release_cross_the_socket(
    serve: Callable[[FakeDesk], SocketDesk], make_desk: Callable[..., FakeDesk]
) -> None:
    desk = make_desk()
    caller = serve(desk)
    caller.admit(b"order")
    update = os.urandom(3_000_000)
    reply = caller.release(LeaseId("lease-1"), update=update, facts={"n": 3, "work_s": 0.5})
    assert reply == b"reply to " + update
    assert desk.asked[0] == ("admit", b"order")
    assert desk.asked[1] == ("release", ("lease-1", update, {"n": 3, "work_s": 0.5}))


def test_what_a_site_keeps_and_what_it_sends_are_told_apart(
    serve: Callable[[FakeDesk], SocketDesk], make_desk: Callable[..., FakeDesk]
) -> None:
    desk = make_desk()
    caller = serve(desk)
    reply = caller.release(LeaseId("lease-1"), update=b"update", facts={}, kept=b"kept")
    assert (reply, desk.kept) == (b"reply to update", b"kept")


def test_a_question_crosses_the_socket_with_its_order(
    serve: Callable[[FakeDesk], SocketDesk], make_desk: Callable[..., FakeDesk]
) -> None:
    desk = make_desk()
    question = Question(step="share", round=2, model=MODEL, message=b'{"statements":[]}')
    assert serve(desk).converse(b"order", question) == b"answer to " + question.message
    assert desk.asked == [("converse", (b"order", question))]


def test_a_lease_brings_the_open_file_itself_read_only(
    serve: Callable[[FakeDesk], SocketDesk], make_desk: Callable[..., FakeDesk]
) -> None:
    desk = make_desk()
    caller = serve(desk)
    lease = caller.lease(b"order", kind="train", round=2, model=MODEL)
    desk.data.unlink()  # the name is not needed
    with lease.file as file:
        assert file.read() == b"patients"
        assert fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    assert lease.id == "lease-1"
    assert lease.facts == {"participant": "did:web:test.example:west"}
    assert desk.asked == [("lease", (b"order", "train", 2, MODEL))]


def test_a_file_that_could_be_written_is_never_handed_out(
    serve: Callable[[FakeDesk], SocketDesk], make_desk: Callable[..., FakeDesk]
) -> None:
    desk = make_desk()
    desk.mode = "r+b"
    with pytest.raises(StateError) as refused:
        serve(desk).lease(b"order", kind="train", round=1, model=MODEL)
    assert refused.value.code == "engine.desk_failed"


def test_a_refusal_keeps_its_family_code_and_sentences(
    serve: Callable[[FakeDesk], SocketDesk], make_desk: Callable[..., FakeDesk]
) -> None:
    refusal = DeniedError("engine.custom_code", detail="secret")
    caller = serve(make_desk(refusal))
    with pytest.raises(DeniedError) as refused:
        caller.lease(b"order", kind="train", round=1, model=MODEL)
    assert refused.value.as_record() == refusal.as_record()
    assert refused.value.detail == ""


def test_an_unexpected_failure_tells_the_caller_nothing_but_that_it_failed(
    serve: Callable[[FakeDesk], SocketDesk],
    make_desk: Callable[..., FakeDesk],
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = make_desk()
    desk.refusal = ZeroDivisionError("patient 4711")
    with pytest.raises(StateError) as refused:
        serve(desk).admit(b"order")
    assert refused.value.code == "engine.desk_failed"
    assert "4711" not in str(refused.value.as_record())
    assert "4711" in caplog.text  # in the node's own log


def test_the_socket_belongs_to_its_user_alone_and_goes_with_its_server(
    tmp_path: Path, make_desk: Callable[..., FakeDesk]
) -> None:
    path = tmp_path / "run" / "desk.sock"
    server = DeskServer(path, make_desk())
    server.serve()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    server.close()
    assert not path.exists()
    with pytest.raises(PeerError) as refused:
        SocketDesk(str(path)).admit(b"order")
    assert refused.value.code == "engine.desk_closed"


def test_another_users_process_gets_no_answer(
    tmp_path: Path, make_desk: Callable[..., FakeDesk]
) -> None:
    desk = make_desk()
    server = DeskServer(tmp_path / "desk.sock", desk, users={os.getuid() + 1})
    server.serve()
    with pytest.raises((PeerError, InputError)):
        SocketDesk(str(tmp_path / "desk.sock")).admit(b"order")
    server.close()
    assert desk.asked == []


def test_a_socket_left_by_a_killed_node_is_replaced(
    tmp_path: Path, make_desk: Callable[..., FakeDesk]
) -> None:
    path = tmp_path / "desk.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    server = DeskServer(path, make_desk())
    server.serve()
    SocketDesk(str(path)).admit(b"order")
    server.close()


def test_a_path_too_long_for_a_socket_is_refused_at_once(
    tmp_path: Path, make_desk: Callable[..., FakeDesk]
) -> None:
    with pytest.raises(InputError) as refused:
        DeskServer(tmp_path / ("x" * 100) / "desk.sock", make_desk())
    assert refused.value.code == "engine.desk_path"


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">I", 2**31),
        struct.pack(">I", 3) + b"{}x",
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 11) + b'{"size":-1}',
        struct.pack(">I", 20) + b'{"size":999999999999}'[:20],
        struct.pack(">I", 100) + b"{",
        struct.pack(">I", 24) + b'{"call":"open","size":0}',
        struct.pack(">I", 25) + b'{"call":"lease","size":0}',
        b"\x00",
    ],
)
def test_a_malformed_message_is_answered_and_harms_nobody(
    tmp_path: Path, make_desk: Callable[..., FakeDesk], sent: bytes
) -> None:
    desk = make_desk()
    server = DeskServer(tmp_path / "desk.sock", desk)
    server.serve()
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(str(tmp_path / "desk.sock"))
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        answer = receive_message(line, largest=0)
    assert answer.line["error"]["code"].startswith("engine.desk_")
    SocketDesk(str(tmp_path / "desk.sock")).admit(b"order")
    server.close()


def test_many_callers_are_served_at_the_same_time(
    serve: Callable[[FakeDesk], SocketDesk], make_desk: Callable[..., FakeDesk]
) -> None:
    caller = serve(make_desk())

    def call(number: int) -> bytes:
        update = bytes([number]) * 100_000
        return caller.release(LeaseId("x"), update=update, facts={"n": number})

    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(call, range(32)))
    assert replies == [b"reply to " + bytes([number]) * 100_000 for number in range(32)]


def test_a_message_keeps_its_bytes_and_its_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    near, far = socket.socketpair()
    body = os.urandom(500_000)
    with path.open("rb") as file:
        sending = threading.Thread(
            target=send_message, args=(near, Message(line={"a": 1}, body=body, file=file))
        )
        sending.start()
        got = receive_message(far, largest=len(body))
        sending.join()
    near.close()
    far.close()
    assert got.line == {"a": 1}
    assert got.body == body
    assert got.file is not None
    with got.file as received:
        assert received.read() == b"content"
