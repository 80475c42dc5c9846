"""Making a hub."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from signer_bench import START

from consilium.hub.init import init_hub
from consilium.hub.settings import load_settings
from consilium.kernel.clock import HeldClock
from consilium.kernel.errors import ConsiliumError, StateError
from consilium.ledger.certificates import (
    SERVER_USE,
    identify_participant,
    load_certificate,
    root_fingerprint,
    verify_certificate,
)


def make(home: Path, **others: object) -> None:
    given = {"space": "glioma", "title": "胶质瘤空间", "host": "localhost"}
    init_hub(home, **{**given, **others}, clock=HeldClock(START))  # type: ignore[arg-type]


def test_a_new_hub_has_everything_and_nothing_lies_open(tmp_path: Path) -> None:
    home = tmp_path / "hub"
    made = init_hub(
        home, space="glioma", title="胶质瘤空间", host="localhost", clock=HeldClock(START)
    )
    root = load_certificate(home / "keys" / "root.crt")
    assert made.fingerprint == root_fingerprint(root)
    assert (made.participant, made.address) == ("did:web:glioma:hub", "https://localhost:8440")
    assert load_settings(home, environment={}).hub.title == "胶质瘤空间"
    hub = load_certificate(home / "keys" / "hub.crt")
    assert identify_participant(hub, root, space="glioma", now=START).title == "胶质瘤空间"
    for name in ("https", "engine-server"):
        leaf = load_certificate(home / "keys" / f"{name}.crt")
        verify_certificate(leaf, root, use=SERVER_USE, now=START)
    for path in home.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir() or path.suffix in {".key", ".db"}:
            assert not mode & 0o077, path


def test_a_hub_is_not_overwritten(tmp_path: Path) -> None:
    make(tmp_path / "hub")
    before = (tmp_path / "hub" / "signer" / "ca.key").read_bytes()
    with pytest.raises(StateError) as caught:
        make(tmp_path / "hub")
    assert caught.value.code == "hub.exists"
    assert (tmp_path / "hub" / "signer" / "ca.key").read_bytes() == before


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(StateError) as caught:
        make(tmp_path)
    assert caught.value.code == "hub.folder_in_use"
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "others",
    [
        {"space": "../x"},
        {"title": ""},
        {"host": "a b"},
        {"others": {"hub.port": 0}},
        {"others": {"hub.prot": 1}},
    ],
)
def test_a_failed_attempt_leaves_nothing(tmp_path: Path, others: dict[str, object]) -> None:
    with pytest.raises(ConsiliumError):
        make(tmp_path / "hub", **others)
    assert list(tmp_path.iterdir()) == []
