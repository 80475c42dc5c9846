"""What the lead believes of a result: every signature, the one model, a quorum; else nothing."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from federation_rehearsal import RehearsalDesk, make_rehearsal

from consilium.federation.chain import list_rounds
from consilium.federation.local import LocalEngine
from consilium.federation.outcome import result_record, verify_outcome
from consilium.federation.passport import make_passport
from consilium.gate.orders import Study
from consilium.gate.plain import from_plain
from consilium.gate.replies import Answer, pack_reply, read_reply
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import InputError, IntegrityError
from consilium.kernel.identifiers import StudyId
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import peek_statement, sign_statement
from consilium.models.passports import sign_passport, verify_passport
from consilium.models.weights import pack_arrays, unpack_arrays


@dataclass(frozen=True)
class Stage:
    """A finished study as the hub returns it, and its hospitals."""

    plan: Study
    genuine: dict[str, Any]
    events: list[dict[str, Any]]
    south: RehearsalDesk
    west: RehearsalDesk

    def result(self) -> dict[str, Any]:
        return copy.deepcopy(self.genuine)

    def answer(self, result: dict[str, Any], site: RehearsalDesk) -> Answer:
        return from_plain(Answer, peek_statement(result["evaluation"]["replies"][site.participant]))

    def resign(
        self,
        result: dict[str, Any],
        site: RehearsalDesk,
        *,
        key: SigningKey | None = None,
        **changes: Any,
    ) -> None:
        """Put another statement in the place of a site's, signed by it or by another key."""
        answer = replace(self.answer(result, site), **changes)
        data = pack_reply(key or site.key, answer, update=pack_arrays({}))
        result["evaluation"]["replies"][site.participant] = read_reply(data).statement


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    rehearsal = make_rehearsal(tmp_path_factory.mktemp("outcome"), rounds=2)
    engine = LocalEngine(rehearsal.desks, recipes=rehearsal.recipes)
    folder = rehearsal.run(engine)
    engine.close()
    desks = {site.rpartition(":")[2]: desk for site, desk in rehearsal.desks.items()}
    events = [
        {"id": number, "time": event["time"], "kind": event["kind"], "facts": event}
        for number, event in enumerate(folder.events())
    ]
    final = base64.b64encode(folder.final()).decode()
    return Stage(
        plan=rehearsal.study,
        genuine={
            "evaluation": folder.evaluation(),
            "final": final,
            "rounds": list_rounds([folder], rehearsal.study),
        },
        events=events,
        south=desks["south"],
        west=desks["west"],
    )


def signed_by_another(stage: Stage, result: dict[str, Any]) -> None:
    stage.resign(result, stage.south, key=stage.west.key)


def altered(stage: Stage, result: dict[str, Any]) -> None:
    replies, site = result["evaluation"]["replies"], stage.south.participant
    head, body, tail = replies[site].split(".")
    replies[site] = ".".join((head, body[:-4] + "AAAA", tail))


def garbage(stage: Stage, result: dict[str, Any]) -> None:
    result["evaluation"]["replies"][stage.south.participant] = "no statement"


def of_another_form(stage: Stage, result: dict[str, Any]) -> None:
    signed = sign_statement(stage.south.key, "reply", {"study": stage.plan.study})
    result["evaluation"]["replies"][stage.south.participant] = signed


def in_anothers_name(stage: Stage, result: dict[str, Any]) -> None:
    stage.resign(result, stage.south, participant=stage.west.participant)


def of_another_round(stage: Stage, result: dict[str, Any]) -> None:
    stage.resign(result, stage.south, round=1)


def of_another_study(stage: Stage, result: dict[str, Any]) -> None:
    stage.resign(result, stage.south, study=StudyId("urn:uuid:another"))


def of_a_training_task(stage: Stage, result: dict[str, Any]) -> None:
    stage.resign(result, stage.south, kind="train")


def another_model(stage: Stage, result: dict[str, Any]) -> None:
    arrays = unpack_arrays(base64.b64decode(result["final"]))
    moved = {name: array + 1.0 for name, array in arrays.items()}
    result["final"] = base64.b64encode(pack_arrays(moved)).decode()


def fewer_than_the_quorum(stage: Stage, result: dict[str, Any]) -> None:
    del result["evaluation"]["replies"][stage.south.participant]
    del result["evaluation"]["replies"][stage.west.participant]


def from_a_stranger(stage: Stage, result: dict[str, Any]) -> None:
    replies = result["evaluation"]["replies"]
    replies["did:web:example.org:stranger"] = replies[stage.south.participant]


def without_rows(stage: Stage, result: dict[str, Any]) -> None:
    facts = stage.answer(result, stage.south).facts
    stage.resign(result, stage.south, facts={**facts, "rows": {}})


def without_an_evaluation(stage: Stage, result: dict[str, Any]) -> None:
    stage.resign(result, stage.south, facts={})


def with_a_word_for_a_figure(stage: Stage, result: dict[str, Any]) -> None:
    facts = stage.answer(result, stage.south).facts
    facts["rows"]["federated"]["auroc"]["value"] = "same"
    stage.resign(result, stage.south, facts=facts)


def with_a_choice_that_is_no_row(stage: Stage, result: dict[str, Any]) -> None:
    facts = stage.answer(result, stage.south).facts
    facts["choice"]["chosen"] = "personalised"
    stage.resign(result, stage.south, facts=facts)


def with_a_decision_curve_of_words(stage: Stage, result: dict[str, Any]) -> None:
    facts = stage.answer(result, stage.south).facts
    facts["decision"] = [dict.fromkeys(("threshold", "value"), "same") | {"n": 20}]
    stage.resign(result, stage.south, facts=facts)


def with_a_calibration_of_words(stage: Stage, result: dict[str, Any]) -> None:
    facts = stage.answer(result, stage.south).facts
    facts["bins"]["federated"] = [{"n": 20, "predicted": "same", "observed": 0.5}]
    stage.resign(result, stage.south, facts=facts)


def with_a_group_that_the_plan_does_not_have(stage: Stage, result: dict[str, Any]) -> None:
    facts = stage.answer(result, stage.south).facts
    facts["subgroups"] = [{"field": 0, "index": 0, "reason": "measures.too_few"}]
    stage.resign(result, stage.south, facts=facts)


def with_words_of_its_own(stage: Stage, result: dict[str, Any]) -> None:
    facts = stage.answer(result, stage.south).facts
    facts["choice"]["chosen"] = "<script>alert(1)</script>"
    stage.resign(result, stage.south, facts=facts)


def without_a_model(stage: Stage, result: dict[str, Any]) -> None:
    del result["final"]


def of_another_shape(stage: Stage, result: dict[str, Any]) -> None:
    result["evaluation"] = []


def without_a_round(stage: Stage, result: dict[str, Any]) -> None:
    result["rounds"].pop()


def without_rounds(stage: Stage, result: dict[str, Any]) -> None:
    del result["rounds"]


def with_a_round_twice(stage: Stage, result: dict[str, Any]) -> None:
    result["rounds"][1] = result["rounds"][0]


def with_a_round_below_the_quorum(stage: Stage, result: dict[str, Any]) -> None:
    replies = result["rounds"][0]["replies"]
    del replies[stage.south.participant], replies[stage.west.participant]


def with_a_round_by_a_stranger(stage: Stage, result: dict[str, Any]) -> None:
    replies = result["rounds"][0]["replies"]
    replies["did:web:example.org:stranger"] = replies[stage.south.participant]


def with_a_round_in_anothers_name(stage: Stage, result: dict[str, Any]) -> None:
    replies = result["rounds"][0]["replies"]
    replies[stage.south.participant] = replies[stage.west.participant]


def with_a_round_from_another_model(stage: Stage, result: dict[str, Any]) -> None:
    result["rounds"][0]["model"] = digest_of(b"another model")


def with_a_round_that_cannot_be_read(stage: Stage, result: dict[str, Any]) -> None:
    result["rounds"][0] = {"replies": []}


Forge = Callable[[Stage, dict[str, Any]], None]
FORGERIES: dict[Forge, str] = {
    signed_by_another: "ledger.bad_signature",
    altered: "ledger.bad_signature",
    garbage: "ledger.bad_signature",
    of_another_form: "study.bad_result",
    in_anothers_name: "study.bad_result",
    of_another_round: "gate.other_task",
    of_another_study: "gate.other_task",
    of_a_training_task: "gate.other_task",
    another_model: "gate.other_task",
    fewer_than_the_quorum: "study.bad_result",
    from_a_stranger: "study.bad_result",
    without_rows: "study.bad_result",
    without_an_evaluation: "study.bad_result",
    with_a_word_for_a_figure: "study.bad_result",
    with_words_of_its_own: "study.bad_result",
    with_a_choice_that_is_no_row: "study.bad_result",
    with_a_decision_curve_of_words: "study.bad_result",
    with_a_calibration_of_words: "study.bad_result",
    with_a_group_that_the_plan_does_not_have: "study.bad_result",
    without_a_model: "study.bad_result",
    of_another_shape: "study.bad_result",
    without_a_round: "study.broken_chain",
    without_rounds: "study.bad_result",
    with_a_round_twice: "gate.other_task",
    with_a_round_below_the_quorum: "study.broken_chain",
    with_a_round_by_a_stranger: "study.broken_chain",
    with_a_round_in_anothers_name: "ledger.bad_signature",
    with_a_round_from_another_model: "gate.other_task",
    with_a_round_that_cannot_be_read: "study.broken_chain",
}


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda one: one.__name__)
def test_a_result_that_is_not_wholly_signed_is_refused(stage: Stage, forge: Forge) -> None:
    result = stage.result()
    forge(stage, result)
    with pytest.raises(IntegrityError) as caught:
        verify_outcome(stage.plan, result)
    assert caught.value.code == FORGERIES[forge]


@pytest.mark.parametrize("result", [{}, {"final": 1, "evaluation": {"replies": {}}}, {"final": ""}])
def test_a_result_that_is_none_is_refused(stage: Stage, result: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="incomplete"):
        verify_outcome(stage.plan, result)


def test_a_genuine_result_is_believed(stage: Stage) -> None:
    outcome = verify_outcome(stage.plan, stage.result())
    assert set(outcome.answers) == {site.participant for site in stage.plan.sites}
    assert outcome.digest == digest_of(base64.b64decode(stage.genuine["final"]))


def test_a_result_without_one_site_still_counts_while_there_is_a_quorum(stage: Stage) -> None:
    result = stage.result()
    del result["evaluation"]["replies"][stage.west.participant]
    outcome = verify_outcome(stage.plan, result)
    passport = make_passport(outcome, fingerprints={}, clock=SystemClock())
    (west,) = [site for site in passport.sites if site.participant == stage.west.participant]
    assert (west.rows, west.chosen, west.reply, west.rounds) == ({}, "", "", 2)


def make_record(stage: Stage, events: list[dict[str, Any]]) -> dict[str, Any]:
    return result_record(
        verify_outcome(stage.plan, stage.result()),
        titles={stage.south.participant: "南方医院"},
        events=events,
        evidence={"entries": 7, "verified": True},
        passport="/models/x.passport",
    )


def test_the_record_has_one_row_for_each_site_from_its_own_signed_figures(stage: Stage) -> None:
    record = make_record(stage, stage.events)
    assert [site["id"] for site in record["sites"]] == sorted(
        site.participant for site in stage.plan.sites
    )
    titles = {site["id"]: site["title"] for site in record["sites"]}
    assert titles[stage.south.participant] == "南方医院"
    assert titles[stage.west.participant] == stage.west.participant
    answers = verify_outcome(stage.plan, stage.result()).answers
    for site in record["sites"]:
        facts = answers[site["id"]].facts
        assert site["auroc"]["federated"] == facts["rows"]["federated"]["auroc"]["value"]
        ways = {"federated", "recalibrated", "fine_tuned", "local", "majority"}
        assert set(site["accuracy"]) == ways
        assert site["chosen"] in site["auroc"]
        assert [point["round"] for point in site["curve"]] == [0, 1]
        for name, reason in site["undefined"].items():
            metric, row = name.split(".")
            assert site[metric][row] is None
            assert reason
    assert record["bytes"]["up"] == sum(one["facts"].get("bytes_up", 0) for one in stage.events)
    assert len(record["timing"]["round_overhead_s"]) == 2


def test_a_round_that_was_run_again_counts_once_in_figures_and_twice_in_bytes(
    stage: Stage,
) -> None:
    again = [event for event in stage.events if event["kind"] == "round_closed"][-1:]
    once, twice = make_record(stage, stage.events), make_record(stage, stage.events + again)
    assert twice["timing"]["round_overhead_s"] == once["timing"]["round_overhead_s"]
    assert twice["sites"] == once["sites"]
    assert twice["bytes"]["up"] == once["bytes"]["up"] + again[0]["facts"]["bytes_up"]


def test_times_are_told_only_when_they_are_known(stage: Stage) -> None:
    timing = make_record(stage, [])["timing"]
    assert timing == {"command_to_first_round_s": None, "round_overhead_s": [], "total_s": 0.0}
    began = {"id": 0, "time": "2026-01-01T00:00:00.000000Z", "kind": "recruiting", "facts": {}}
    first = dict(began, kind="round_started", facts={"time": "2026-01-01T00:00:02.500000Z"})
    ended = dict(began, kind="completed", time="2026-01-01T00:00:09.000000Z")
    timing = make_record(stage, [began, first, ended])["timing"]
    assert (timing["command_to_first_round_s"], timing["total_s"]) == (2.5, 9.0)


def test_the_passport_names_plan_weights_and_each_hospitals_signed_reply(stage: Stage) -> None:
    outcome = verify_outcome(stage.plan, stage.result())
    fingerprint = digest_of(b"south's table")
    passport = make_passport(
        outcome,
        fingerprints={stage.south.participant: fingerprint},
        clock=SystemClock(),
    )
    assert (passport.weights, passport.lineage.plan) == (outcome.digest, stage.plan.digest)
    assert passport.capability.recipe_digest == stage.plan.recipe.digest
    assert passport.capability.arrays == {one.name: one.shape for one in stage.plan.layout}
    sites = {site.participant: site for site in passport.sites}
    assert sites[stage.south.participant].fingerprint == fingerprint
    assert sites[stage.west.participant].fingerprint == ""
    for site, record in sites.items():
        assert record.reply == digest_of(outcome.statements[site].encode())
        assert record.rounds == 2
    key = SigningKey.generate()
    signed = sign_passport(key, passport)
    assert verify_passport(signed, key=key.public, weights=outcome.model) == passport
    with pytest.raises((IntegrityError, InputError)):
        verify_passport(signed, key=key.public, weights=outcome.model + b" ")


def test_groups_are_named_by_the_plans_words(tmp_path: Path) -> None:
    rehearsal = make_rehearsal(tmp_path, rounds=1, subgroups=("x1:-1,0.5",))
    engine = LocalEngine(rehearsal.desks, recipes=rehearsal.recipes)
    folder = rehearsal.run(engine)
    engine.close()
    genuine = {
        "evaluation": folder.evaluation(),
        "final": base64.b64encode(folder.final()).decode(),
        "rounds": list_rounds([folder], rehearsal.study),
    }
    outcome = verify_outcome(rehearsal.study, genuine)
    record = result_record(outcome, titles={}, events=[], evidence={}, passport="")
    groups = {"< -1", "-1 – < 0.5", "≥ 0.5"}
    for site in record["sites"]:
        assert {one["group"] for one in site["subgroups"]} <= groups
        for one in site["subgroups"]:
            assert one["field"] == "x1"
            assert (one["n"] is None) == (one["reason"] is not None)
            assert set(one["auroc"]) == (
                set() if one["n"] is None else {"federated", site["chosen"]}
            )
