"""A node's own settings: file, then environment, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from consilium.kernel.errors import InputError
from consilium.node.settings import (
    ConsoleSettings,
    NodeSettings,
    load_approval_settings,
    load_console_settings,
    load_node_settings,
)
from consilium.persons.settings import ApprovalSettings

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


def load_approvals(
    home: Path, text: str, environment: Mapping[str, str] | None = None
) -> ApprovalSettings:
    (home / "node.toml").write_text(text, encoding="utf-8")
    return load_approval_settings(home, environment=environment or {})


def test_without_a_section_the_policy_decides_and_two_persons_release(tmp_path: Path) -> None:
    settings = load_approvals(tmp_path, "[node]\n")
    assert (settings.agreements, settings.studies) == ("policy", "policy")
    assert settings.exports == "two persons"


def test_a_steward_demands_persons_by_file_or_environment(tmp_path: Path) -> None:
    text = '[approvals]\nagreements = "person"\ndue_hours = 24\n'
    environment = {"CONSILIUM__APPROVALS__STUDIES": "two persons"}
    settings = load_approvals(tmp_path, text, environment)
    assert (settings.agreements, settings.studies) == ("person", "two persons")
    assert settings.due_hours == 24


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ('[approvals]\nexport = "policy"\n', "node.unknown_setting", "approvals.export"),
        ('[approvals]\nexports = "three persons"\n', "node.bad_setting", "approvals.exports"),
        ("[approvals]\nagreements = 2\n", "node.bad_setting", "approvals.agreements"),
        ("[approvals]\nrelease_days = 0\n", "node.bad_setting", "approvals.release_days"),
    ],
)
def test_a_slip_about_approvals_is_named(tmp_path: Path, text: str, code: str, key: str) -> None:
    with pytest.raises(InputError) as caught:
        load_approvals(tmp_path, text)
    assert (caught.value.code, caught.value.facts["key"]) == (code, key)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('authentication = "off"', "node.authentication_needed"),
        ('authentication = "off"\nlisten_port = 1', ""),
        ('authentication = "off"\nlisten_port = 1\nlisten_host = "::1"', ""),
        (
            'authentication = "off"\nlisten_port = 1\nlisten_host = "10.0.0.1"',
            "node.authentication_needed",
        ),
        (
            'authentication = "off"\nlisten_port = 1\nlisten_host = "localhost"',
            "node.authentication_needed",
        ),
        (
            'authentication = "off"\nlisten_port = 1\nlisten_host = "0.0.0.0"\n'
            'certificate = "c"\ncertificate_key = "k"',
            "node.authentication_needed",
        ),
        ('listen_port = 1\nlisten_host = "10.0.0.1"', "node.certificate_needed"),
        (
            'listen_port = 1\nlisten_host = "10.0.0.1"\ncertificate = "c"\ncertificate_key = "k"',
            "",
        ),
        ('authentication = "no"', "node.bad_setting"),
    ],
)
def test_authentication_is_off_on_this_machine_only(tmp_path: Path, text: str, code: str) -> None:
    if not code:
        load(tmp_path, f"[node]\n{text}\n")
        return
    with pytest.raises(InputError) as caught:
        load(tmp_path, f"[node]\n{text}\n")
    assert caught.value.code == code


def console(home: Path, text: str, environment: Mapping[str, str] | None = None) -> ConsoleSettings:
    (home / "node.toml").write_text(text, encoding="utf-8")
    return load_console_settings(home, environment=environment or {})


def test_there_is_no_console_unless_a_port_is_set(tmp_path: Path) -> None:
    assert console(tmp_path, "[node]\n") == ConsoleSettings()
    assert ConsoleSettings().port == 0
    found = console(tmp_path, "[console]\nport = 1\n", {"CONSILIUM__CONSOLE__PORT": "8080"})
    assert found.address == "http://127.0.0.1:8080/"
    assert console(tmp_path, '[console]\nport = 1\nhost = "::1"\n').address == "http://[::1]:1/"


def test_a_console_that_others_reach_needs_a_certificate(tmp_path: Path) -> None:
    text = '[console]\nhost = "10.0.0.1"\nport = 8443\n'
    for more in ("", 'certificate = "/c"\n', 'certificate_key = "/k"\n'):
        with pytest.raises(InputError) as caught:
            console(tmp_path, text + more)
        assert caught.value.code == "node.console_certificate_needed"
    found = console(tmp_path, f'{text}certificate = "/c"\ncertificate_key = "/k"\n')
    assert found.address == "https://10.0.0.1:8443/"
    assert not found.is_local
