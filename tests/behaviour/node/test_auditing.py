"""A hospital attacks a model that its patients trained; its verdict reaches the passport."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dataspace_rehearsal import Hospital
from node_bench import NodeBench
from studies_rehearsal import CLOCK, RECIPES, StudySpace, await_study, make_draft, own_terms
from typer.testing import CliRunner

from consilium.cli import build_app
from consilium.dataspace.revocation import revoke
from consilium.federation.audits.hospital import AuditFigures
from consilium.gate.arrays import ArrayFiles
from consilium.gate.gate import Gate
from consilium.kernel.errors import ConsiliumError
from consilium.kernel.identifiers import AgreementId, StudyId
from consilium.ledger.files import BlobStore
from consilium.ledger.keys import SigningKey
from consilium.models.marks import verify_marked
from consilium.models.verdicts import Attack, read_verdict, sign_verdict
from consilium.node.attacking import AuditRequest
from consilium.node.auditing import Auditor, AuditWish
from consilium.node.marking import Marker

QUIET = Attack(
    name="loss",
    auc=0.51,
    auc_low=0.45,
    auc_high=0.57,
    fpr=0.1,
    tpr=0.1,
    tpr_low=0.02,
    tpr_high=0.2,
    control=0.99,
)


@pytest.fixture
def passport(node: NodeBench, south: Hospital, west: Hospital) -> Path:
    """The passport of a study that north led over south and west."""
    answer = node.ask("POST", "/studies", make_draft(south, west))
    assert answer.status_code == 200, answer.text
    study = StudyId(answer.json()["study"])
    assert await_study(node.hospital, study)["state"] == "COMPLETED"
    return Path(node.get(f"/studies/{study}/result")["model"]["passport"])


def digest_of_model(passport: Path) -> str:
    return f"sha256:{passport.stem}"


def said(request: AuditRequest, report: Any) -> AuditFigures:
    """Say figures without an attack."""
    del request, report
    return AuditFigures(attacks=(QUIET,), members=60, others=30, references=0)


def auditor_of(world: StudySpace, hospital: Hospital, **changes: Any) -> Auditor:
    folder = world.folder / f"{hospital.name}-models"
    made = Auditor(
        connector=hospital.connector,
        marker=Marker(hospital.connector, folder),
        arrays=ArrayFiles(BlobStore(world.folder / f"{hospital.name}-blobs")),
        models=folder,
        min_cases=10,
    )
    return replace(made, **changes)


def audit(auditor: Auditor, passport: Path, **wish: Any) -> dict[str, Any]:
    asked = AuditWish(folder=str(passport.parent), **wish)
    return auditor.plan(digest_of_model(passport), asked)(lambda _: None)


def test_a_hospitals_own_attack_is_signed_and_stands_on_the_passport(
    node: NodeBench, world: StudySpace, south: Hospital, passport: Path
) -> None:
    found = audit(auditor_of(world, south), passport, references=16)
    assert (found["members"], found["others"], found["references"]) == (60, 30, 16)
    assert [one["name"] for one in found["attacks"]] == ["loss", "reference"]
    assert all(one["control"] > 0.9 for one in found["attacks"]), found["attacks"]
    assert (found["withheld"], found["marked"]) == ("", False), "the lead takes it in"
    assert south.kinds()[-2:] == ["audit.began", "audit.ended"]
    answer = node.ask("POST", "/verdicts", {"statement": found["statement"]})
    assert answer.status_code == 200, answer.text
    marked = verify_marked(passport, key=node.hospital.key.public)
    assert [one.verdict for one in marked.audits] == [read_verdict(found["statement"])]
    card = passport.with_suffix(".card.md").read_text()
    assert south.me in card[card.index("Attacked before release") :]
    assert node.hospital.kinds().count("passport.audited") == 1
    assert Marker(node.hospital.connector, passport.parent).mark() == 0, "nor after a restart"


@pytest.mark.slow
def test_nothing_of_a_single_patient_is_in_a_verdict(
    world: StudySpace, south: Hospital, passport: Path
) -> None:
    found = audit(auditor_of(world, south), passport, references=0)
    text = json.dumps(found["attacks"])
    assert len(text) < 400
    assert set(json.loads(text)[0]) == set(QUIET.__dataclass_fields__)


@pytest.mark.slow
def test_the_newest_verdict_of_a_hospital_counts_and_revocations_stay(
    node: NodeBench, world: StudySpace, south: Hospital, west: Hospital, passport: Path
) -> None:
    auditor = auditor_of(world, south, attack=said)
    for limit in (0.6, 0.55):
        statement = audit(auditor, passport, limit=limit)["statement"]
        assert node.ask("POST", "/verdicts", {"statement": statement}).status_code == 200
    [agreement] = [
        one["id"] for one in node.get("/agreements")["items"] if one["provider"] == west.me
    ]
    revoke(node.hospital.connector, AgreementId(agreement), reason="consent withdrawn")
    assert Marker(node.hospital.connector, passport.parent).mark() == 1
    marked = verify_marked(passport, key=node.hospital.key.public)
    assert [one.verdict.outcome for one in marked.audits] == ["inconclusive"]
    assert len(marked.marks) == 1
    with pytest.raises(ConsiliumError) as refusal:
        audit(auditor_of(world, west, attack=said), passport)
    assert refusal.value.code == "gate.agreement_revoked"


@pytest.mark.slow
def test_forged_verdicts_and_those_on_other_models_are_refused(
    node: NodeBench, world: StudySpace, south: Hospital, passport: Path
) -> None:
    found = read_verdict(audit(auditor_of(world, south, attack=said), passport)["statement"])
    key = SigningKey.generate()
    other = replace(found, weights="sha256:" + "0" * 64)
    for verdict, signer, code in (
        (found, key, "ledger.bad_signature"),
        (other, south.key, "node.audit_not_led"),
        (replace(found, agreement=AgreementId("urn:x")), south.key, "models.other_verdict"),
    ):
        answer = node.ask("POST", "/verdicts", {"statement": sign_verdict(signer, verdict)})
        assert answer.json()["code"] == code
    assert verify_marked(passport, key=node.hospital.key.public).audits == ()


def test_who_took_no_part_has_nothing_to_audit(
    node: NodeBench, world: StudySpace, south: Hospital, passport: Path
) -> None:
    model = digest_of_model(passport)
    cases = (
        (model, {}, "node.audit_not_ours"),
        (model, {"limit": 0.4}, "node.audit_bad_limit"),
        ("sha256:" + "0" * 64, {}, "node.no_model"),
        ("nonsense", {}, "node.no_model"),
        (model, {"folder": "models"}, "node.no_model"),
    )
    for digest, wish, code in cases:
        answer = node.ask("POST", f"/models/{digest}/audit", wish)
        assert answer.json()["code"] == code
    passport.with_suffix(".safetensors").write_bytes(b"other weights")
    with pytest.raises(ConsiliumError) as refusal:
        audit(auditor_of(world, south, attack=said), passport)
    assert refusal.value.code == "node.no_model"


def test_a_failed_attack_is_evidence_and_signs_nothing(
    world: StudySpace, south: Hospital, passport: Path
) -> None:
    with pytest.raises(ConsiliumError) as refusal:
        audit(auditor_of(world, south), passport, references=3)
    assert refusal.value.code == "federation.bad_references"
    assert south.kinds()[-2:] == ["audit.began", "audit.failed"]


@pytest.mark.slow
def test_the_lead_that_trains_on_its_own_patients_marks_its_model_itself(
    node: NodeBench, world: StudySpace, south: Hospital
) -> None:
    world.add_data(node.hospital, terms=own_terms("north"))
    answer = node.ask("POST", "/studies", make_draft(node.hospital, south))
    study = StudyId(answer.json()["study"])
    assert await_study(node.hospital, study)["state"] == "COMPLETED"
    passport = Path(node.get(f"/studies/{study}/result")["model"]["passport"])
    words = ["model", "audit", digest_of_model(passport), "--home", str(node.home)]
    told = CliRunner().invoke(build_app("model"), [*words, "--references", "2", "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["marked"]
    shown = CliRunner().invoke(build_app("passport"), ["passport", "show", str(passport), "--json"])
    [verdict] = json.loads(shown.stdout)["audits"]
    assert verdict["participant"] == node.hospital.me
    marked = verify_marked(passport, key=node.hospital.key.public)
    assert marked.audits[0].verdict.as_record() == verdict


@pytest.mark.slow
def test_beside_a_promise_of_noise_the_figures_stay_here_and_nothing_is_signed(
    node: NodeBench, world: StudySpace, south: Hospital, west: Hospital
) -> None:
    for hospital in (south, west):
        world.hub.desks[hospital.me] = Gate(
            hospital.database,
            me=hospital.me,
            key=hospital.key,
            clock=CLOCK,
            blobs=BlobStore(world.folder / f"{hospital.name}-blobs"),
            installed=RECIPES.digests,
            noisy=RECIPES.noisy,
        )
    privacy = {"preset": "standard", "ranges": {"age": [30, 90]}}
    draft = make_draft(south, west, privacy=privacy, settings={"learning_rate": 0.1})
    answer = node.ask("POST", "/studies", draft)
    study = StudyId(answer.json()["study"])
    row = await_study(node.hospital, study)
    assert row["state"] == "COMPLETED", row["reason"]
    passport = Path(node.get(f"/studies/{study}/result")["model"]["passport"])
    found = audit(auditor_of(world, south), passport, references=2)
    assert (found["withheld"], found["statement"]) == ("node.audit_bound", "")
    assert found["attacks"][0]["auc"] > 0
    [entry] = [
        one for one in south.database.evidence.entries(limit=1000) if one.kind == "audit.ended"
    ]
    assert "outcome" not in entry.facts, "a word is a figure too"
