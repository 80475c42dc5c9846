"""A node's own settings: file, then environment, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from consilium.kernel.errors import InputError
from consilium.node.settings import NodeSettings, load_node_settings

ENVIRONMENT = "CONSILIUM__NODE__"


def load(home: Path, text: str, environment: Mapping[str, str] | None = None) -> NodeSettings:
    (home / "node.toml").write_text(text, encoding="utf-8")
    return load_node_settings(home, environment=environment or {})


def test_without_a_section_everything_is_as_usual(tmp_path: Path) -> None:
    settings = load(tmp_path, '[member]\nname = "north"\n')
    assert settings == NodeSettings()
    assert settings.url(tmp_path) == f"sqlite:///{tmp_path}/node.db"


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    text = '[node]\nmin_cases = 20\ndatabase = "postgresql://a"\n'
    assert load(tmp_path, text) == NodeSettings(database="postgresql://a", min_cases=20)
    environment = {f"{ENVIRONMENT}MIN_CASES": "30", "CONSILIUM__HUB__PORT": "1", "HOME": "/"}
    settings = load(tmp_path, text, environment)
    assert settings == NodeSettings(database="postgresql://a", min_cases=30)
    assert settings.url(tmp_path) == "postgresql://a"


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ("[node]\nmin_case = 20\n", "node.unknown_setting", "node.min_case"),
        ("[node]\nmin_cases = 4\n", "node.bad_setting", "node.min_cases"),
        ("[node]\nmin_cases = true\n", "node.bad_setting", "node.min_cases"),
        ("[node]\nmin_cases = 20.0\n", "node.bad_setting", "node.min_cases"),
        ("[node]\nepsilon = 0\n", "node.bad_setting", "node.epsilon"),
        ("[node]\nepsilon = inf\n", "node.bad_setting", "node.epsilon"),
        ("[node]\ndelta = 1.0\n", "node.bad_setting", "node.delta"),
        ("[node]\ndelta = 'much'\n", "node.bad_setting", "node.delta"),
        ("[node]\ndatabase = 3\n", "node.bad_setting", "node.database"),
        ("node = 3\n", "node.bad_setting", "node"),
    ],
)
def test_a_slip_in_the_file_is_named_with_file_and_key(
    tmp_path: Path, text: str, code: str, key: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    assert caught.value.code == code
    assert caught.value.facts == {"key": key, "source": str(tmp_path / "node.toml")}


@pytest.mark.parametrize(
    ("name", "value", "code", "key"),
    [
        ("MIN_CASE", "20", "node.unknown_setting", "node.min_case"),
        ("MIN_CASES", "4", "node.bad_setting", "node.min_cases"),
        ("MIN_CASES", "-20", "node.bad_setting", "node.min_cases"),
        ("MIN_CASES", "many", "node.bad_setting", "node.min_cases"),
        ("MIN_CASES", "", "node.bad_setting", "node.min_cases"),
    ],
)
def test_a_slip_in_the_environment_is_named_with_variable_and_key(
    tmp_path: Path, name: str, value: str, code: str, key: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, "", {ENVIRONMENT + name: value})
    assert caught.value.code == code
    assert caught.value.facts == {"key": key, "source": ENVIRONMENT + name}


def test_the_privacy_budget_can_be_set_in_file_and_environment(tmp_path: Path) -> None:
    settings = load(tmp_path, "[node]\nepsilon = 4\n", {f"{ENVIRONMENT}DELTA": "1e-6"})
    assert (settings.epsilon, settings.delta) == (4.0, 1e-6)
