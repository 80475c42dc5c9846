"""Persons by the command line: the first administrator, roles, a release, a model handed out."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from node_bench import NodeBench

from consilium.cli import build_app
from consilium.cli.boundary import run_app
from consilium.kernel.canonical import digest_of
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.files import digest_file
from consilium.models.passports import Capability, Lineage, Passport, sign_passport
from consilium.models.weights import pack_arrays
from consilium.persons.accounts import add_person, grant_role
from consilium.persons.passwords import Cost, hash_password
from consilium.persons.records import Grant, Role
from consilium.space.client import connect

pytestmark = pytest.mark.slow

CHEAP = Cost(memory_kib=8, passes=1)
PASSWORD = "密码 of a careful person"
WEIGHTS = pack_arrays({"bias": np.array([0.5])})
DIGEST = digest_of(WEIGHTS)
Run = Callable[..., int]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(f"{PASSWORD}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def run(node: NodeBench, secret: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Type a command against the served node; passwords come from the file."""
    monkeypatch.setenv("CONSILIUM_LANG", "en")
    monkeypatch.setenv("CONSILIUM_HOME", str(node.home))

    def type_in(noun: str, verb: str, *words: str, as_: str = "", new: bool = False) -> int:
        given = [noun, verb, *words]
        if as_:
            given += ["--as", as_, "--password-file", str(secret)]
        if new:
            given += ["--new-password-file", str(secret)]
        return run_app(lambda: build_app(noun), given)

    return type_in


@pytest.fixture
def staffed(run: Run, node: NodeBench) -> Run:
    """Give the node an administrator, two stewards and a research lead."""
    people = {
        "管理员甲": Role.ADMINISTRATOR,
        "one": Role.STEWARD,
        "two": Role.STEWARD,
        "lead": Role.RESEARCH_LEAD,
    }
    clock, secret = node.hospital.connector.clock, hash_password(PASSWORD, name="", cost=CHEAP)
    with node.hospital.database.write() as tx:
        for name, role in people.items():
            person = add_person(tx, name=name, secret=secret, by="test", clock=clock)
            grant_role(tx, person, Grant(role=role), by="test", clock=clock)
    return run


def keep_model(node: NodeBench) -> None:
    """Put a model with its passport where the node keeps those that it led."""
    me = ParticipantId("did:web:example.org:north")
    passport = Passport(
        weights=DIGEST,
        name="Hearts",
        capability=Capability(
            task="binary classification",
            family="logistic regression",
            recipe="tabular-logistic",
            recipe_version="1.0.0",
            recipe_digest=digest_of(b"recipe"),
            settings={},
            inputs=(),
            label="outcome",
            arrays={"bias": (1,)},
        ),
        lineage=Lineage(
            study=StudyId("urn:uuid:study"),
            plan=digest_of(b"plan"),
            title="Hearts",
            question="",
            purpose="research",
            lead=me,
            rule="fedavg",
            rounds=1,
            seed=42,
            start=digest_of(b"start"),
        ),
        sites=(),
        issuer=me,
        created="2026-01-10T00:00:00.000000Z",
    )
    stem = node.home / "models" / DIGEST.removeprefix("sha256:")
    stem.parent.mkdir()
    stem.with_suffix(".safetensors").write_bytes(WEIGHTS)
    stem.with_suffix(".card.md").write_text("# Hearts", encoding="utf-8")
    signed = sign_passport(node.hospital.key, replace(passport))
    stem.with_suffix(".passport").write_text(signed, encoding="utf-8")


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_first_administrator_is_made_once_and_makes_the_others(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("person", "list") == 0
    assert "No account yet" in capsys.readouterr().out
    assert run("person", "add", "somebody", as_="管理员甲", new=True) == 4
    assert "persons.no_first" in capsys.readouterr().err
    assert run("person", "add", "管理员甲", "--first", new=True) == 0
    assert run("person", "add", "another", "--first", new=True) == 5
    assert "persons.not_first" in capsys.readouterr().err
    assert run("person", "add", "steward", as_="管理员甲", new=True) == 0
    assert run("person", "add", "doctor", as_="steward", new=True) == 4
    assert "persons.not_allowed" in capsys.readouterr().err
    assert run("person", "list", "--json") == 0
    assert [one["name"] for one in told(capsys)] == ["steward", "管理员甲"]


def test_roles_are_given_in_their_scope_and_withdrawn(
    staffed: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = ("--study", "urn:uuid:study")
    assert staffed("person", "role", "lead", "steward", *scope, as_="管理员甲") == 0
    assert staffed("person", "role", "lead", "research-lead", "--withdraw", as_="管理员甲") == 0
    capsys.readouterr()
    assert staffed("person", "show", "LEAD", "--json") == 0
    grants = told(capsys)["grants"]
    assert grants == [{"role": "steward", "study": "urn:uuid:study", "organisation": ""}]
    assert staffed("person", "role", "lead", "emperor", as_="管理员甲") == 2


def test_an_account_is_disabled_enabled_and_gets_another_password(
    staffed: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert staffed("person", "disable", "管理员甲", "--reason", "x", as_="管理员甲") == 5
    assert "persons.last_administrator" in capsys.readouterr().err
    assert staffed("person", "disable", "one", "--reason", "left", as_="管理员甲") == 0
    assert staffed("person", "password", "one", as_="one", new=True) == 4
    assert staffed("person", "enable", "one", "--reason", "back", as_="管理员甲") == 0
    assert staffed("person", "password", "one", as_="one", new=True) == 0
    assert staffed("person", "password", "one", as_="two", new=True) == 4
    assert "person.manage" in capsys.readouterr().err


def test_a_model_leaves_only_after_two_persons_released_it(
    staffed: Run, node: NodeBench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    keep_model(node)
    out = tmp_path / "out"
    export = ("model", "export", DIGEST, "--to", str(out))
    assert staffed("model", "list") == 0
    assert "Hearts" in capsys.readouterr().out
    assert staffed(*export, as_="lead") == 4
    assert "persons.not_released" in capsys.readouterr().err
    ask = ("approval", "request", "model", DIGEST, "--reason", "for the paper", "--json")
    assert staffed(*ask, as_="lead") == 0
    release = told(capsys)["id"]
    assert staffed("approval", "approve", release, as_="lead") == 4
    assert staffed("approval", "approve", release, as_="one") == 0
    assert staffed("approval", "approve", release, as_="one") == 5
    assert staffed(*export, as_="lead") == 4
    assert not out.exists()
    assert staffed("approval", "approve", release, as_="two") == 0
    capsys.readouterr()
    assert staffed(*export, "--json", as_="lead") == 0
    names = [Path(one).name for one in told(capsys)["files"]]
    stem = DIGEST.removeprefix("sha256:")
    assert names == [f"{stem}.safetensors", f"{stem}.passport", f"{stem}.card.md"]
    assert (out / names[0]).read_bytes() == WEIGHTS
    assert node.hospital.kinds()[-1] == "model.exported"
    assert staffed(*export, as_="lead") == 5
    assert "node.cannot_export" in capsys.readouterr().err
    assert staffed("approval", "withdraw", release, "--reason", "newer", as_="one") == 0
    again = ("model", "export", DIGEST, "--to", str(tmp_path / "again"))
    assert staffed(*again, as_="lead") == 4
    assert staffed("approval", "list") == 0
    assert "withdrawn" in capsys.readouterr().out


def test_weights_that_are_not_what_their_name_says_do_not_leave(
    staffed: Run, node: NodeBench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    keep_model(node)
    stem = node.home / "models" / DIGEST.removeprefix("sha256:")
    stem.with_suffix(".safetensors").write_bytes(WEIGHTS + b" ")
    assert staffed("model", "export", DIGEST, "--to", str(tmp_path / "x"), as_="lead") == 7
    assert "models.other_weights" in capsys.readouterr().err
    assert staffed("model", "export", "sha256:none", "--to", "/tmp", as_="lead") == 3


def test_an_export_of_evidence_is_admitted_after_its_release(staffed: Run, node: NodeBench) -> None:
    with connect(node.home) as client:
        for name in ("one", "two"):
            speaker = (name, PASSWORD)
            if name == "one":
                record = client.approvals.request(
                    "evidence", DIGEST, reason="for the audit", speaker=speaker
                )
            client.approvals.approve(record["id"], speaker=speaker)
        found = client.approvals.admit_export("evidence", DIGEST, speaker=("one", PASSWORD))
    assert found["release"]["id"] == record["id"]
    assert node.hospital.kinds()[-1] == "evidence.exported"


def test_the_queue_is_listed_and_what_is_not_there_is_told(
    staffed: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert staffed("queue", "list", "--all") == 0
    assert "Nothing waits" in capsys.readouterr().out
    assert staffed("queue", "show", "none") == 3
    assert staffed("queue", "settle", "none", "proceed", "--reason", "x", as_="one") == 3
    assert staffed("queue", "settle", "none", "perhaps", "--reason", "x", as_="one") == 2
    assert staffed("queue", "delegate", "none", "two", "--reason", "x", as_="one") == 3


def test_a_password_file_that_others_can_read_is_refused(
    staffed: Run, secret: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret.chmod(0o644)
    assert staffed("person", "password", "one", as_="one", new=True) == 2
    assert "persons.no_password" in capsys.readouterr().err
    secret.chmod(0o600)
    secret.write_text("", encoding="utf-8")
    assert staffed("person", "password", "one", as_="one", new=True) == 2
    secret.unlink()
    assert staffed("person", "password", "one", as_="one", new=True) == 2


def test_without_a_terminal_and_a_file_nobody_is_asked(
    staffed: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert staffed("person", "password", "one", "--as", "one") == 2
    assert "persons.no_password" in capsys.readouterr().err


def test_a_header_that_names_nobody_is_refused(staffed: Run, node: NodeBench) -> None:
    for header in ("", "Basic", "Basic !!", "Basic b25l", "Bearer b25lOnR3bw==", "Basic /w=="):
        answer = node.send("POST", "/queue/none/settle", header)
        assert (answer.status_code, answer.json()["code"]) == (403, "persons.not_recognised")


def test_no_password_stands_in_answers_evidence_logs_or_the_database(
    staffed: Run,
    node: NodeBench,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    assert staffed("person", "password", "one", as_="one", new=True) == 0
    bad = {"name": "x", "password": PASSWORD, "extra": PASSWORD}
    answers = [node.ask("POST", "/persons", bad).text, node.ask("GET", "/persons").text]
    spoken = "".join((*answers, caplog.text, *capsys.readouterr()))
    evidence = "".join(repr(one) for one in node.hospital.database.evidence.entries(limit=1000))
    assert PASSWORD not in spoken
    assert PASSWORD not in evidence
    assert "argon2" not in spoken + evidence
    for path in node.home.parent.rglob("*.db*"):
        assert PASSWORD.encode() not in path.read_bytes()


def test_an_evidence_export_waits_in_the_node_until_two_persons_released_it(
    staffed: Run, node: NodeBench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    node.asks_persons = True
    out = tmp_path / "evidence.zip"
    assert staffed("evidence", "export", "--out", str(out)) == 4
    assert "persons.not_recognised" in capsys.readouterr().err
    assert staffed("evidence", "export", "--out", str(out), as_="one") == 4
    [digest] = set(re.findall("sha256:[0-9a-f]{64}", capsys.readouterr().err))
    assert not out.exists()
    ask = ("approval", "request", "evidence", digest, "--reason", "for the audit", "--json")
    assert staffed(*ask, as_="one") == 0
    release = told(capsys)["id"]
    assert staffed("approval", "approve", release, as_="one") == 0
    assert staffed("evidence", "fetch", digest, "--out", str(out), as_="one") == 4
    assert staffed("approval", "approve", release, as_="two") == 0
    assert staffed("evidence", "fetch", digest, "--out", str(out), as_="lead") == 4
    assert not out.exists()
    assert staffed("evidence", "fetch", digest, "--out", str(out), as_="one") == 0
    assert digest_file(out) == digest
    assert node.hospital.kinds()[-2:] == ["evidence.exported", "export.released"]
