"""Consoles of a space on one machine: a port in each node's settings, and no account elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from consilium.kernel.errors import StateError
from consilium.node.settings import load_console_settings
from consilium.space.consoles import give_console, open_accounts


def made(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "node.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_node_gets_a_free_port_once(tmp_path: Path) -> None:
    folder = made(tmp_path / "north", '[member]\nname = "north"')
    give_console(folder)
    port = load_console_settings(folder, environment={}).port
    assert port > 0
    give_console(folder)
    assert load_console_settings(folder, environment={}).port == port


def test_a_console_of_ones_own_stays_as_it_is(tmp_path: Path) -> None:
    folder = made(tmp_path / "north", "[console]\nport = 4711\n")
    give_console(folder)
    assert load_console_settings(folder, environment={}).port == 4711


def test_no_trial_accounts_are_made_where_other_machines_come(tmp_path: Path) -> None:
    settings = 'host = "10.0.0.1"\nport = 1\ncertificate = "/c"\ncertificate_key = "/k"\n'
    made(tmp_path / "north", f"[console]\n{settings}")
    with pytest.raises(StateError) as refused:
        open_accounts(tmp_path, ["north"])
    assert refused.value.code == "space.console_not_local"
