import json
import re
from dataclasses import replace

from consilium.models.bom import write_bom
from consilium.models.card import write_card
from consilium.models.passports import Passport


def test_the_card_shows_each_hospital_with_interval_mean_and_worst(passport: Passport) -> None:
    card = write_card(passport)
    assert "0.800 (0.750 to 0.850)" in card
    assert "| **mean 平均** | 0.700 (of 2)" in card
    assert "| **worst 最差** | 0.600 |" in card
    for site in passport.sites:
        assert site.participant in card
        assert site.fingerprint in card


def test_the_card_gives_the_reason_where_a_figure_is_undefined(passport: Passport) -> None:
    assert "– (models.not_weights)" in write_card(passport)


def test_headings_stand_in_both_languages(passport: Passport) -> None:
    headings = re.findall(r"^##+ (.+)$", write_card(passport), flags=re.MULTILINE)
    assert len(headings) > 6
    assert all(re.search(r"[\u4e00-\u9fff]", line) for line in headings)


def test_text_from_elsewhere_cannot_become_markup(passport: Passport) -> None:
    hostile = replace(passport, name="![x](http://example.org)\n# Approved | yes")
    card = write_card(hostile)
    assert "![x]" not in card
    assert "\n# Approved" not in card
    assert "<everywhere>" not in card


def test_every_table_has_as_many_cells_as_its_head(passport: Passport) -> None:
    for block in write_card(passport).split("\n\n"):
        if block.startswith("|"):
            cells = {len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(cells) == 1


def test_the_bill_of_materials_names_model_data_and_figures(passport: Passport) -> None:
    bom = json.loads(write_bom(passport))
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    model, *data = bom["components"]
    assert model["type"] == "machine-learning-model"
    assert model["hashes"][0]["content"] == passport.weights.removeprefix("sha256:")
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert {"auroc", "brier"} == {metric["type"] for metric in metrics}
    assert all(isinstance(metric["value"], str) for metric in metrics)
    refs = {part["bom-ref"] for part in data}
    assert {item["ref"] for item in model["modelCard"]["modelParameters"]["datasets"]} == refs
    assert bom["dependencies"][0]["dependsOn"] == [part["bom-ref"] for part in data]


def test_card_and_bill_are_the_same_each_time(passport: Passport) -> None:
    assert write_card(passport) == write_card(passport)
    assert write_bom(passport) == write_bom(passport)


def test_the_card_shows_the_candidates_and_figures_that_there_are(passport: Passport) -> None:
    figure = {"value": 2.5, "low": 2.0, "high": 3.0, "n": 40, "reason": None, "skipped": 0}
    site = passport.sites[0]
    rows = {"federated": {"mae": figure}, "personalised": {"mae": figure | {"value": 1.5}}}
    what = replace(passport.capability, unit="mm", task="regression")
    other = replace(passport, capability=what, sites=(replace(site, rows=rows),))
    card = write_card(other)
    assert "### mean absolute error 平均绝对误差 [mm]" in card
    assert "| hospital 医院 | federated 联邦 | personalised 个性化 |" in card
    assert "1.500 (2.000 to 3.000)" in card
    assert "AUROC" not in card
    assert "fine-tuned" not in card
    assert "outcome (mm)" in card
