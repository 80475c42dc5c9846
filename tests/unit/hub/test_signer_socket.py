"""Speaking with the signer over its sockets."""

from __future__ import annotations

import os
import socket
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from consilium.hub.signer_socket import SocketService, Verb, call_signer
from consilium.kernel.errors import DeniedError, InputError, NotFoundError, PeerError


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    def refuse(facts: object) -> None:
        raise NotFoundError("hub.no_member", member="nobody")

    verbs: dict[str, Verb] = {"echo": dict, "refuse": refuse}
    found = tmp_path / "s.sock"
    service = SocketService(found, mode=0o600, verbs=verbs, only_owner=True)
    service.start()
    yield found
    service.close()
    assert not found.exists()


def test_a_question_is_answered_and_the_caller_is_known(path: Path) -> None:
    assert call_signer(path, "echo", {"a": 1}) == {"a": 1, "by": os.getuid()}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_caller_cannot_pose_as_another_user(path: Path) -> None:
    assert call_signer(path, "echo", {"by": 4711})["by"] == os.getuid()


def test_a_refusal_comes_back_with_its_code(path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        call_signer(path, "refuse", {})
    assert caught.value.code == "hub.no_member"


def test_an_unknown_verb_is_refused(path: Path) -> None:
    with pytest.raises(DeniedError) as caught:
        call_signer(path, "mint", {})
    assert caught.value.code == "hub.unknown_verb"


def test_nobody_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(PeerError) as caught:
        call_signer(tmp_path / "none.sock", "echo", {})
    assert caught.value.code == "hub.signer_away"


@pytest.mark.parametrize(
    "data", [struct.pack(">I", 1 << 30), struct.pack(">I", 2) + b"[]", struct.pack(">I", 1) + b"x"]
)
def test_a_malformed_question_does_no_harm(path: Path, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        line.sendall(data)
        assert b"error" in line.recv(4096)
    assert call_signer(path, "echo", {})


def test_a_caller_who_hangs_up_does_no_harm(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        line.sendall(b"\0")
    assert call_signer(path, "echo", {})


def test_a_path_that_is_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        SocketService(tmp_path / ("x" * 120), mode=0o600, verbs={}, only_owner=True)
    assert caught.value.code == "hub.path_too_long"
