"""The node's local API: what it shows, what it does, and how it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dataspace_rehearsal import Hospital
from node_bench import CANARY, NodeBench
from studies_rehearsal import StudySpace, await_study, make_draft, own_terms

from consilium.cli import build_app
from consilium.cli.boundary import run_app
from consilium.dataspace.contract_id import read_contract_id
from consilium.dataspace.records import Role
from consilium.dataspace.store import list_agreements
from consilium.federation.store import list_studies
from consilium.kernel.canonical import Digest
from consilium.kernel.errors import DeniedError
from consilium.ledger.auditing import verify_export
from consilium.ledger.files import digest_file
from consilium.ledger.notes import verify_checkpoint
from consilium.models.passports import verify_passport
from consilium.node.evidence import ExportWish

pytestmark = pytest.mark.slow


def part(some: dict[str, Any], whole: dict[str, Any]) -> bool:
    return {name: whole[name] for name in some} == some


def test_the_status_tells_who_this_is_and_whether_it_is_ready(node: NodeBench) -> None:
    assert node.get("/status") == {
        "ready": True,
        "participant": "did:web:example.org:north",
        "title": "北方医院",
        "space": "example.org",
        "hub": "https://hub.example.org",
        "online": True,
        "engine": {"running": True, "restarts": 2, "pid": 4711},
        "evidence": 0,
    }


def test_members_are_shown_with_their_fingerprints(node: NodeBench, south: Hospital) -> None:
    members = {one["participant"]: one for one in node.get("/members")}
    assert set(members) == {node.hospital.me, south.me}
    assert members[south.me]["fingerprint"] == south.key.public.fingerprint
    assert members[south.me]["state"] == "admitted"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/tasks/none", "node.no_task"),
        ("GET", "/datasets/none", "dataspace.no_dataset"),
        ("GET", "/agreements/none", "dataspace.no_agreement"),
        ("GET", "/studies/none", "study.unknown"),
        ("GET", "/studies/none/result", "study.unknown"),
        ("POST", "/studies/none/stop", "study.unknown"),
        ("GET", "/nothing", "boundary.no_route"),
    ],
)
def test_what_is_not_there_is_told_in_one_form(
    node: NodeBench, method: str, path: str, code: str
) -> None:
    answer = node.ask(method, path)
    assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert answer.json()["en"]
    assert answer.json()["zh"]


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("POST", "/agreements", {"participant": "x"}, "dataset"),
        ("POST", "/agreements", {"participant": "x", "dataset": "y", "colour": CANARY}, "colour"),
        ("POST", "/agreements", {"participant": [CANARY], "dataset": "y"}, "participant"),
        ("POST", "/agreements", None, "the body"),
        ("POST", "/studies", [CANARY], "the body"),
        ("POST", "/studies", None, "the body"),
        ("GET", "/evidence?after=x", None, "after"),
        ("GET", "/studies/a?after=x", None, "after"),
        ("GET", "/agreements/a?role=owner", None, "role"),
    ],
)
def test_a_malformed_request_names_its_field_and_no_value(
    node: NodeBench, method: str, path: str, body: Any, place: str
) -> None:
    answer = node.ask(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "boundary.malformed")
    assert f"look at {place}. " in answer.json()["en"]
    assert CANARY not in answer.text


def test_the_catalogue_shows_every_member_and_says_who_cannot_be_reached(
    world: StudySpace, node: NodeBench, south: Hospital
) -> None:
    absent = world.space.add("absent")
    del world.space.doors[absent.me]
    shown = {one["participant"]: one for one in node.get("/catalog/members")}
    assert set(shown) == {node.hospital.me, south.me, absent.me}
    (dataset,) = shown[south.me]["datasets"]
    assert (dataset["name"], dataset["n_train"]) == ("heart", 60)
    assert shown[absent.me]["datasets"] == []
    assert shown[absent.me]["error"]["code"] == "dataspace.unreachable"
    assert shown[absent.me]["error"]["zh"]


def test_an_agreement_is_made_once_and_shown_from_both_sides(
    node: NodeBench, south: Hospital
) -> None:
    wish = {"participant": south.me, "dataset": "heart"}
    first = node.ask("POST", "/agreements", wish).json()
    again = node.ask("POST", "/agreements", wish).json()
    assert (first["state"], first["provider"]) == ("FINALIZED", south.me)
    assert again["id"] == first["id"]
    (listed,) = node.items("/agreements")
    shown = node.get(f"/agreements/{first['id']}")
    assert all(part(first, whole) for whole in (listed, shown))
    assert [one["participant"] for one in shown["signatures"]] == [node.hospital.me, south.me]
    assert read_contract_id(first["contract_id"])["kind"] == "C"
    assert first["contract_placeholder"] is True
    answer = node.ask("GET", f"/agreements/{first['id']}", role="provider")
    assert answer.status_code == 404
    with south.database.read() as connection:
        (theirs,) = list_agreements(connection, role=Role.PROVIDER)
    assert theirs.id == first["id"]


def test_another_offer_than_the_one_that_was_read_is_not_agreed_to(
    node: NodeBench, south: Hospital
) -> None:
    wish = {"participant": south.me, "dataset": "heart", "offer": "urn:uuid:yesterdays"}
    answer = node.ask("POST", "/agreements", wish)
    assert (answer.status_code, answer.json()["code"]) == (404, "dataspace.no_offer")
    assert node.items("/agreements") == []
    (dataset,) = next(
        one for one in node.get("/catalog/members") if one["participant"] == south.me
    )["datasets"]
    answer = node.ask("POST", "/agreements", {**wish, "offer": dataset["offer"]})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"participant": "did:web:example.org:nobody"}, 404, "dataspace.unknown_participant"),
        ({"participant": "nobody at all"}, 404, "dataspace.unknown_participant"),
        ({"dataset": "lungs"}, 404, "study.no_offer"),
    ],
)
def test_a_wish_that_nobody_can_fulfil_is_refused(
    node: NodeBench, south: Hospital, wish: dict[str, str], status: int, code: str
) -> None:
    body = {"participant": south.me, "dataset": "heart"} | wish
    answer = node.ask("POST", "/agreements", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_dataset_that_is_offered_to_others_looks_like_none(
    world: StudySpace, node: NodeBench
) -> None:
    east = world.add("east")
    world.add_data(east, terms=own_terms("west"))
    answer = node.ask("POST", "/agreements", {"participant": east.me, "dataset": "heart"})
    assert (answer.status_code, answer.json()["code"]) == (404, "study.no_offer")


def test_a_study_is_begun_watched_and_read_over_the_api(
    node: NodeBench, south: Hospital, west: Hospital
) -> None:
    study = node.ask("POST", "/studies", make_draft(south, west)).json()["study"]
    early = node.ask("GET", f"/studies/{study}/result")
    assert (early.status_code, early.json()["code"]) == (409, "study.not_finished")
    await_study(node.hospital, study)
    shown = node.get(f"/studies/{study}")
    assert (shown["state"], shown["title"]) == ("COMPLETED", "Heart disease")
    assert [one["provider"] for one in shown["agreements"]] == [south.me, west.me]
    assert shown["plan"]["signed"]["label"] == "outcome"
    half = shown["events"][len(shown["events"]) // 2]["id"]
    later = node.get(f"/studies/{study}", after=half)["events"]
    assert [event["id"] for event in later] == [
        event["id"] for event in shown["events"] if event["id"] > half
    ]
    (listed,) = node.items("/studies")
    assert listed["id"] == study
    result = node.get(f"/studies/{study}/result")
    assert result["study"] == study
    with open(result["model"]["passport"], encoding="ascii") as file:
        passport = verify_passport(file.read(), key=node.hospital.key.public)
    assert passport.weights == result["model"]["digest"]
    stopped = node.ask("POST", f"/studies/{study}/stop")
    assert (stopped.status_code, stopped.json()["code"]) == (409, "study.cannot_go")


def test_a_bad_plan_is_refused_with_its_field_and_begins_nothing(
    node: NodeBench, south: Hospital
) -> None:
    for changes, field in (
        ({"rounds": 0}, "rounds"),
        ({"colour": CANARY}, "colour"),
        ({"invite": []}, "invite"),
        ({"recipe": "magic"}, "recipe"),
    ):
        answer = node.ask("POST", "/studies", make_draft(south, **changes))
        assert (answer.status_code, answer.json()["code"]) == (400, "study.bad_plan")
        assert f"cannot be used: {field} " in answer.json()["en"]
        assert CANARY not in answer.text
    with node.hospital.database.read() as connection:
        assert list_studies(connection) == []


def test_evidence_is_read_in_pages_and_its_checkpoint_is_signed(
    node: NodeBench, south: Hospital
) -> None:
    node.ask("POST", "/agreements", {"participant": south.me, "dataset": "heart"})
    entries = node.items("/evidence", after=0)
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert node.items("/evidence", after=1, limit=1) == entries[1:2]
    assert node.ask("GET", "/evidence", limit=0).status_code == 400
    note = node.get("/evidence/checkpoint")["checkpoint"]
    checkpoint = verify_checkpoint(note, node.hospital.key.public)
    assert (checkpoint.origin, checkpoint.size) == (node.hospital.me, len(entries))
    assert node.get("/status")["evidence"] == len(entries)


def test_an_entry_is_proved_and_exported_over_the_api(
    node: NodeBench, south: Hospital, tmp_path: Path
) -> None:
    node.ask("POST", "/agreements", {"participant": south.me, "dataset": "heart"})
    entries = node.items("/evidence", after=0)
    told = node.get("/evidence/2/proof")
    assert (told["index"], told["size"], told["root"][:0]) == (1, len(entries), "")
    assert json.loads(told["entry"])["subject"] == entries[1]["subject"]
    made = node.ask("POST", "/evidence/exports", {"first": 1, "last": 3}).json()
    assert (made["entries"], made["size"]) == (3, len(entries))
    file = tmp_path / "export.zip"
    file.write_bytes(node.ask("GET", f"/evidence/exports/{made['digest']}").content)
    assert digest_file(file) == made["digest"]
    verdict = verify_export(file, key=node.hospital.key.public.fingerprint)
    assert (verdict.verified, verdict.entries) == (True, 3)
    kinds = [entry["kind"] for entry in node.items("/evidence", after=0)[-2:]]
    assert kinds == ["export.made", "export.released"]


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", "/evidence/99/proof", None, "ledger.no_proof"),
        ("POST", "/evidence/exports", {"first": 99}, "ledger.no_proof"),
        ("POST", "/evidence/exports", {"subject": "urn:nothing"}, "ledger.nothing_to_export"),
        ("POST", "/evidence/exports", {"whole": True}, "boundary.malformed"),
        ("GET", "/evidence/exports/sha256:" + "0" * 64, None, "node.no_export"),
        ("GET", "/evidence/exports/new", None, "node.no_export"),
        ("GET", "/log/tile/0/009", None, "ledger.no_tile"),
    ],
)
def test_what_cannot_be_proved_or_exported_is_refused(
    node: NodeBench, method: str, path: str, body: Any, code: str
) -> None:
    with node.hospital.database.write() as tx:
        tx.record("ward.opened", "icu", {})
    answer = node.ask(method, path, body)
    assert (answer.status_code >= 400, answer.json()["code"]) == (True, code)


def test_an_export_leaves_only_if_whoever_is_asked_lets_it(node: NodeBench, tmp_path: Path) -> None:
    with node.hospital.database.write() as tx:
        tx.record("ward.opened", "icu", {})

    def refuse(_digest: Digest, _authorization: str) -> None:
        raise DeniedError("ledger.other_log_shown", member="x")

    desk = replace(node.desk, release=refuse)
    made = desk.make(ExportWish())
    with pytest.raises(DeniedError):
        desk.hand_out(str(made["digest"]))
    kinds = [entry.kind for entry in node.hospital.database.evidence.entries()]
    assert "evidence.released" not in kinds


def test_the_log_is_served_as_tiles(node: NodeBench) -> None:
    with node.hospital.database.write() as tx:
        tx.record("ward.opened", "icu", {})
    note = node.ask("GET", "/log/checkpoint")
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    size = verify_checkpoint(note.text, node.hospital.key.public).size
    assert len(node.ask("GET", f"/log/tile/0/000.p/{size}").content) == 32 * size
    bundle = node.ask("GET", f"/log/tile/entries/000.p/{size}").content
    assert bundle[2:].startswith(b'{"facts"')


def test_the_commands_write_and_check_an_export(
    node: NodeBench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(5):
        with node.hospital.database.write() as tx:
            tx.record("ward.opened", f"ward-{number}", {})
    file, home = str(tmp_path / "out.zip"), ["--home", str(node.home)]

    def run(*words: str) -> tuple[int, str]:
        code = run_app(lambda: build_app("evidence"), ["evidence", *words])
        return code, capsys.readouterr().out

    code, said = run("export", "--out", file, "--from", "2", "--to", "4", *home)
    assert (code, "3 of 5 entries, cosigned by nobody yet" in said) == (0, True)
    key = node.hospital.key.public.fingerprint
    code, said = run("verify", file, "--key", key)
    assert (code, f"{key} (as named)" in said) == (0, True)
    code, said = run("verify", file)
    assert (code, "NOT NAMED BY YOU" in said) == (0, True)
    code, said = run("verify", file, "--witness", key, "--json")
    assert (code, json.loads(said)["reason"]) == (7, "ledger.witness_missing")
    code, said = run("prove", "3", *home)
    assert (code, "ward-2" in said, "root " in said) == (0, True, True)
    code, said = run("prove", "3", "--out", file, *home)
    assert run("verify", file, "--key", key)[0] == code == 0
    code, said = run("prove", "3", *home, "--json")
    assert json.loads(said)["seq"] == 3
