"""CLAIM: 42 items, for models of images, and nothing claimed that the passport does not hold."""

import re
from dataclasses import replace

import pytest

from consilium.models.card import write_card
from consilium.models.checklist import ANSWERED, AUTHORS
from consilium.models.claim import CLAIM, is_imaging, list_claim_items, write_claim
from consilium.models.claim_items import ITEMS
from consilium.models.passports import Input, Passport


@pytest.fixture
def imaging(passport: Passport) -> Passport:
    photo = Input(name="fundus", kind="image", modality="fundus", shape=(64, 64, 3))
    what = replace(passport.capability, inputs=(photo,), classes=("healthy", "ill"))
    return replace(passport, capability=what)


def test_all_42_items_stand_in_order(imaging: Passport) -> None:
    assert list(ITEMS) == [str(number) for number in range(1, 43)]
    assert {*CLAIM.facts} <= {*ITEMS}
    assert {*CLAIM.facts} >= CLAIM.complete
    assert [one.number for one in list_claim_items(imaging)] == list(ITEMS)


def test_what_the_passport_holds_stands_beside_its_item(imaging: Passport) -> None:
    found = {one.number: one for one in list_claim_items(imaging)}
    assert found["11"].facts == ("fundus (image, 64 x 64 x 3)",)
    assert "classification of outcome (healthy/ill)" in found["22"].facts
    assert "weight: 2" in found["22"].facts
    assert found["24"].facts == (f"starting model {imaging.lineage.start}, seed 42",)
    assert f"{imaging.sites[0].participant} chose federated" in found["26"].facts
    assert found["21"].state == found["28"].state == ANSWERED


def test_what_only_people_know_is_left_to_the_authors(imaging: Passport) -> None:
    found = {one.number: one for one in list_claim_items(imaging)}
    for number in ("2", "5", "8", "12", "13", "15", "16", "17", "18", "30", "31", "33", "37", "42"):
        assert (found[number].state, found[number].facts) == (AUTHORS, ())


def test_without_evaluations_no_figures_and_no_uncertainty_are_claimed(imaging: Passport) -> None:
    sites = tuple(
        replace(site, n_train=None, n_test=None, rows={}, chosen="") for site in imaging.sites
    )
    found = {one.number: one for one in list_claim_items(replace(imaging, sites=sites))}
    for number in ("19", "20", "21", "28", "29", "32", "35", "36"):
        assert found[number].state == AUTHORS


def test_the_checklist_is_for_models_of_images(passport: Passport, imaging: Passport) -> None:
    assert not is_imaging(passport)
    assert is_imaging(imaging)
    assert "| CLAIM |" in write_card(imaging)
    assert "| CLAIM |" not in write_card(passport)
    assert "| TRIPOD+AI |" in write_card(passport)


def test_the_page_is_whole(imaging: Passport) -> None:
    lines = [line for line in write_claim(imaging).splitlines() if line.startswith("|")]
    assert len(lines) == 44
    assert {len(re.split(r"(?<!\\)\|", line)) for line in lines} == {6}
