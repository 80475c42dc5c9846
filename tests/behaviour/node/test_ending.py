"""Ending agreements by the node's API, and what becomes of their models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dataspace_rehearsal import Hospital
from node_bench import NodeBench
from studies_rehearsal import StudySpace, await_study, make_draft

from consilium.dataspace.revocation import revoke
from consilium.kernel.identifiers import AgreementId, StudyId
from consilium.models.marks import verify_marked
from consilium.node.marking import Marker

REASON = "the consent was withdrawn"


def test_an_agreement_is_ended_shown_and_unknown_to_others(
    node: NodeBench, south: Hospital, world: StudySpace
) -> None:
    wish = {"participant": south.me, "dataset": "heart"}
    first = node.ask("POST", "/agreements", wish).json()
    assert first["revocation"] is None
    path = f"/agreements/{first['id']}/revocation"
    answer = node.ask("POST", path, {"reason": REASON, "person": "steward"})
    assert answer.status_code == 200, answer.text
    shown = node.get(f"/agreements/{first['id']}")
    assert shown["state"] == "REVOKED"
    assert {key: shown["revocation"][key] for key in ("by", "reason", "person")} == {
        "by": node.hospital.me,
        "reason": REASON,
        "person": "steward",
    }
    assert [one["state"] for one in node.items("/agreements")] == ["REVOKED"]
    unknown = node.ask("POST", "/agreements/urn:uuid:none/revocation", {"reason": REASON})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "dataspace.no_agreement")
    bad = node.ask("POST", path.replace(first["id"], first["id"]), {"reason": " "})
    assert (bad.status_code, bad.json()["code"]) == (400, "dataspace.bad_reason")
    again = node.ask("POST", "/agreements", wish).json()
    assert again["id"] != first["id"], "a revoked agreement is not used again"


def test_the_model_of_a_revoked_agreement_is_marked_once_and_its_study_says_so(
    node: NodeBench, south: Hospital, west: Hospital, world: StudySpace
) -> None:
    answer = node.ask("POST", "/studies", make_draft(south, west))
    assert answer.status_code == 200, answer.text
    study = answer.json()["study"]
    row = await_study(node.hospital, StudyId(study))
    assert row["state"] == "COMPLETED"
    passport = Path(node.get(f"/studies/{study}/result")["model"]["passport"])
    marker = Marker(node.hospital.connector, passport.parent)
    assert marker.mark() == 0
    [agreement] = [one["id"] for one in node.items("/agreements") if one["provider"] == south.me]
    revoke(node.hospital.connector, AgreementId(agreement), reason=REASON)
    assert (marker.mark(), marker.mark()) == (1, 0)
    assert Marker(node.hospital.connector, passport.parent).mark() == 0, "nor after a restart"
    found = verify_marked(passport, key=node.hospital.key.public)
    [mark] = found.marks
    assert (mark.agreement, mark.by, mark.reason) == (agreement, node.hospital.me, REASON)
    [shown] = node.get(f"/studies/{study}")["marks"]
    assert (shown["agreement"], shown["participant"]) == (agreement, south.me)
    assert REASON in passport.with_suffix(".card.md").read_text(encoding="utf-8")
    assert node.hospital.kinds().count("passport.marked") == 1


def test_a_file_that_was_lost_is_laid_out_again(
    node: NodeBench, south: Hospital, west: Hospital
) -> None:
    study = node.ask("POST", "/studies", make_draft(south, west)).json()["study"]
    await_study(node.hospital, StudyId(study))
    passport = Path(node.get(f"/studies/{study}/result")["model"]["passport"])
    [agreement] = [one["id"] for one in node.items("/agreements") if one["provider"] == west.me]
    revoke(node.hospital.connector, AgreementId(agreement), reason=REASON)
    marker = Marker(node.hospital.connector, passport.parent)
    marker.mark()
    passport.with_suffix(".marks.json").unlink()
    assert marker.mark() == 0
    marks: Any = verify_marked(passport, key=node.hospital.key.public).marks
    assert len(marks) == 1
