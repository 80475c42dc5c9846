"""What the join writes, and what a node reads of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from list_bench import MEMBERSHIP

from consilium.kernel.errors import InputError, NotFoundError
from consilium.node.membership import load_membership


@pytest.mark.parametrize("title", ["北方医院", 'a "quoted" title', "back\\slash", "emoji 🏥"])
def test_a_membership_reads_back(tmp_path: Path, title: str) -> None:
    membership = replace(MEMBERSHIP, title=title)
    (tmp_path / "node.toml").write_text(membership.as_toml(), encoding="utf-8")
    assert load_membership(tmp_path) == membership


def test_settings_beside_it_do_no_harm(tmp_path: Path) -> None:
    text = MEMBERSHIP.as_toml() + "\n[node]\nmin_cases = 20\n"
    (tmp_path / "node.toml").write_text(text, encoding="utf-8")
    assert load_membership(tmp_path) == MEMBERSHIP


def test_a_folder_without_a_node_says_how_to_join(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        load_membership(tmp_path)
    assert caught.value.code == "link.not_joined"


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('space = "glioma"', "", "member.space"),
        ('name = "north"', "name = 3", "member.name"),
        ("port = 8441", 'port = "8441"', "engine.port"),
        ("port = 8441", "port = true", "engine.port"),
        ("[engine]", "[motor]", "engine.host"),
        ("[member]", "[member", "(the file)"),
    ],
)
def test_what_is_missing_or_wrong_is_named(tmp_path: Path, old: str, new: str, key: str) -> None:
    text = MEMBERSHIP.as_toml().replace(old, new, 1)
    (tmp_path / "node.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_membership(tmp_path)
    assert caught.value.facts["key"] == key


def test_each_member_has_an_address_at_the_relay() -> None:
    assert MEMBERSHIP.participant == "did:web:glioma:north"
    assert MEMBERSHIP.hub_participant == "did:web:glioma:hub"
    address = MEMBERSHIP.relay_address(MEMBERSHIP.participant)
    assert address == "https://hub:8440/members/north/dsp"
