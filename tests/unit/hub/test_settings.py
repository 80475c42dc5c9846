"""The hub's settings: where they come from, and what stops the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from signer_bench import make_settings

from consilium.hub.settings import load_settings, write_settings
from consilium.kernel.errors import InputError, NotFoundError


def test_settings_read_back_as_they_were_written(tmp_path: Path) -> None:
    settings = make_settings(**{"hub.also": ["10.0.0.7"], "signer.site_hours": 0.5})
    (tmp_path / "hub.toml").write_text(write_settings(settings))
    assert load_settings(tmp_path, environment={}) == settings


def test_the_environment_beats_the_file_and_flags_beat_both(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(write_settings(make_settings()))
    environment = {
        "CONSILIUM__HUB__PORT": "9000",
        "CONSILIUM__RELAY__POLL_S": "2.5",
        "CONSILIUM__HUB__ALSO": "a.example,b.example",
        "CONSILIUM__NODE__SOMETHING": "for the node",
        "CONSILIUM_TEST_DATA": "/data",
    }
    found = load_settings(tmp_path, environment=environment, flags={"hub.port": "9001"})
    assert (found.hub.port, found.relay.poll_s) == (9001, 2.5)
    assert found.hub.also == ("a.example", "b.example")


def test_contract_ids_are_made_of_what_the_office_sets(tmp_path: Path) -> None:
    subjects = ["tiantan=91350100M000100Y43"]
    settings = make_settings(
        **{"contract.node_type": 1, "contract.area": "1100", "contract.subjects": subjects}
    )
    (tmp_path / "hub.toml").write_text(write_settings(settings))
    register = load_settings(tmp_path, environment={}).register
    assert (register.node_type, register.area) == (1, "1100")
    assert register.subjects == {"did:web:glioma:tiantan": "91350100M000100Y43"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("contract.node_type", 4),
        ("contract.area", "11"),
        ("contract.area", "11O0"),
        ("contract.subjects", ["tiantan=91350100M000100Y44"]),
        ("contract.subjects", ["91350100M000100Y43"]),
        ("contract.subjects", ["Tian Tan=91350100M000100Y43"]),
    ],
)
def test_a_code_that_cannot_be_is_refused(key: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        make_settings(**{key: value})
    assert (caught.value.code, caught.value.facts["key"]) == ("hub.bad_setting", key)


def test_a_folder_without_a_hub_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        load_settings(tmp_path, environment={})
    assert caught.value.code == "hub.no_hub"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[hub]\nprot = 1\n", "hub.prot"),
        ("[hubb]\nport = 1\n", "hubb.port"),
        ("port = 1\n", "port"),
    ],
)
def test_an_unknown_setting_is_named_with_its_file(tmp_path: Path, text: str, key: str) -> None:
    (tmp_path / "hub.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_settings(tmp_path, environment={})
    assert caught.value.code == "hub.unknown_setting"
    assert caught.value.facts == {"source": str(tmp_path / "hub.toml"), "key": key}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hub.port", 0),
        ("hub.port", 70000),
        ("hub.port", "https"),
        ("hub.port", True),
        ("hub.engine_port", 8440),
        ("hub.space", ""),
        ("hub.space", "x" * 49),
        ("hub.also", "a\nb"),
        ("signer.site_hours", 0),
        ("signer.site_hours", "long"),
        ("relay.poll_s", 61),
        ("relay.body_bytes", 10),
    ],
)
def test_an_impossible_value_is_named(key: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        make_settings(**{key: value})
    assert caught.value.code == "hub.bad_setting"
    assert caught.value.facts["key"] == key


def test_an_environment_with_a_misspelt_key_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(write_settings(make_settings()))
    with pytest.raises(InputError) as caught:
        load_settings(tmp_path, environment={"CONSILIUM__HUB__PROT": "1"})
    assert caught.value.facts["source"] == "the environment"


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("[hub\n")
    with pytest.raises(InputError) as caught:
        load_settings(tmp_path, environment={})
    assert caught.value.code == "hub.bad_setting"


def test_an_address_of_numbers_is_written_as_addresses_are() -> None:
    assert make_settings(**{"hub.host": "::1"}).address == "https://[::1]:8440"
    assert make_settings().address == "https://hub.example.org:8440"
