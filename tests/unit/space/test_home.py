"""The home of a space: taken only if it can be used and is nobody else's."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from consilium.kernel.errors import InputError, StateError
from consilium.space.home import clear_home, pick_ports, prepare_home
from consilium.space.plans import HubPlan, ParticipantPlan, SpacePlan


def plan(name: str = "rehearsal") -> SpacePlan:
    west = ParticipantPlan(name="west", title="West", datasets=())
    return SpacePlan(name=name, title=name, hub=HubPlan(), participants=(west,), studies=())


def test_a_fresh_home_is_made_for_its_user_alone(tmp_path: Path) -> None:
    home = prepare_home(tmp_path / "h", plan())
    assert home.is_absolute()
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_home_is_taken_up_again_by_its_own_space_only(tmp_path: Path) -> None:
    home = prepare_home(tmp_path / "h", plan())
    (home / "keep").touch()
    assert prepare_home(home, plan()) == home
    with pytest.raises(StateError, match="not from this space"):
        prepare_home(home, plan("another"))


def test_a_folder_with_other_files_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(StateError, match="not from this space"):
        prepare_home(tmp_path, plan())
    with pytest.raises(StateError, match="not from this space"):
        prepare_home(tmp_path / "thesis.txt", plan())


def test_a_path_too_long_for_sockets_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 90)
    with pytest.raises(InputError, match="too long"):
        prepare_home(home, plan())
    assert not home.exists()


def test_clearing_deletes_only_what_the_space_itself_made(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    clear_home(tmp_path, plan())
    assert (tmp_path / "thesis.txt").exists()
    home = prepare_home(tmp_path / "h", plan())
    clear_home(home, plan("another"))
    assert home.exists()
    clear_home(home, plan())
    assert not home.exists()


def test_free_ports_are_two_different_ones() -> None:
    first, second = pick_ports(HubPlan())
    assert first != second


def test_a_port_in_use_is_named_with_its_key() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StateError) as caught:
            pick_ports(HubPlan(engine_port=port))
    assert str(port) in caught.value.public
    assert "engine_port" in caught.value.public


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(InputError, match="no address"):
        pick_ports(HubPlan(host="192.0.2.1"))
