"""What the space adds around the nodes: terms, drafts, progress."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from consilium.kernel.clock import HeldClock
from consilium.space.offers import draft_record, full_id, terms_record
from consilium.space.plans import StudyPlan, TermsPlan
from consilium.space.report.charts import merge_bins
from consilium.space.report.words import spoken
from consilium.space.results import CalibrationBin
from consilium.space.run import StudyProgress
from consilium.space.spacefile import read_space
from consilium.space.watch import Stage

FILE = Path(__file__).parents[3] / "src" / "consilium" / "space" / "demos" / "heart-disease.toml"


def study() -> StudyPlan:
    return read_space(FILE).studies[0]


def test_terms_name_members_in_full_and_end_on_a_day() -> None:
    terms = TermsPlan(purposes=("care",), recipients=("west", "did:web:other:east"), days=2)
    clock = HeldClock(datetime(2026, 11, 23, tzinfo=UTC))
    record = terms_record(terms, space="sp", recipes={"tabular-logistic"}, clock=clock)
    assert record["not_after"] == "2026-11-25T00:00:00.000000Z"
    assert record["recipients"] == ["did:web:sp:west", "did:web:other:east"]
    assert record["algorithms"] == ["statistics", "tabular-logistic"]


def test_terms_without_recipes_allow_the_installed_ones() -> None:
    terms = TermsPlan(purposes=("care",), recipients=("west",))
    clock = HeldClock(datetime(2026, 11, 23, tzinfo=UTC))
    record = terms_record(terms, space="sp", recipes=(), clock=clock)
    assert "tabular-logistic" in record["algorithms"]


def test_a_draft_invites_every_site_and_leaves_the_lead_to_its_node() -> None:
    record = draft_record(study(), space="demo-heart")
    assert {each["participant"] for each in record["invite"]} == {
        full_id(name, space="demo-heart") for name in study().datasets
    }
    assert "lead" not in record
    assert "name" not in record
    assert record["rounds"] == 15


def test_the_events_of_a_study_move_its_stages() -> None:
    told: list[tuple[Stage, int, int]] = []
    progress = StudyProgress(lambda *step: told.append(step), study())
    events = ["recruiting", *["agreed"] * 4, *["opened"] * 4, "submitted", "evaluation_started"]
    for kind in events:
        progress({"kind": kind, "facts": {}})
    progress({"kind": "round_closed", "facts": {"round": 15}})
    progress({"kind": "evaluated", "facts": {}})
    progress({"kind": "something_new"})
    assert (Stage.AGREEMENTS, 8, 8) in told
    assert (Stage.ROUNDS, 15, 15) in told
    assert told[-1] == (Stage.EVALUATION, 1, 1)


def test_small_calibration_bins_are_joined_without_losing_anyone() -> None:
    bins = [CalibrationBin(predicted=k / 10, observed=k % 2, n=2) for k in range(1, 10)]
    merged = merge_bins(bins)
    assert sum(each.n for each in merged) == 18
    assert all(each.n >= 8 for each in merged)
    total = sum(each.predicted * each.n for each in merged)
    assert abs(total - sum(each.predicted * each.n for each in bins)) < 1e-9
    assert merge_bins(bins[:1]) == tuple(bins[:1])
    assert merge_bins([]) == ()


def test_only_a_title_with_one_chinese_half_is_split() -> None:
    assert spoken("仁和医院 · Renhe Hospital") == ("Renhe Hospital", "仁和医院")
    assert spoken("Renhe Hospital · 仁和医院") == ("Renhe Hospital", "仁和医院")
    assert spoken("A · B") == ("A · B", "A · B")
    assert spoken("仁和医院") == ("仁和医院", "仁和医院")
