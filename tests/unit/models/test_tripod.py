import re
from dataclasses import replace

from consilium.models.checklist import ANSWERED, AUTHORS, IN_PART, ChecklistItem
from consilium.models.passports import Passport
from consilium.models.tripod import TRIPOD, list_tripod_items, write_tripod
from consilium.models.tripod_items import ITEMS

# The numbers as printed in BMJ 2024; 385: e078378: main items with their parts.
PRINTED = {"3": "abc", "5": "ab", "6": "abc", "8": "abc", "9": "abc", "12": "abcdefg"} | {
    "18": "abcdef",
    "20": "abc",
    "23": "ab",
    "27": "abc",
}


def by_number(passport: Passport) -> dict[str, ChecklistItem]:
    return {one.number: one for one in list_tripod_items(passport)}


def test_all_27_items_stand_in_order_with_their_52_parts() -> None:
    expected = [f"{main}{part}" for main in range(1, 28) for part in PRINTED.get(str(main), [""])]
    assert list(ITEMS) == expected
    assert len(expected) == 52
    assert {*TRIPOD.facts} <= {*ITEMS}
    assert {*TRIPOD.facts} >= TRIPOD.complete


def test_what_the_passport_holds_stands_beside_its_item(passport: Passport) -> None:
    found = by_number(passport)
    assert found["9b"].facts == ("age (number, a)", "sex (category, f/m)")
    assert "learning_rate = 0.01" in found["12c"].facts
    assert found["22"].facts[0] == f"weights {passport.weights}"
    assert any("auroc 0.800 (0.750 to 0.850)" in fact for fact in found["23a"].facts)
    assert len(found["10"].facts) == 3


def test_what_only_people_know_is_left_to_the_authors(passport: Passport) -> None:
    found = by_number(passport)
    for number in ("2", "3a", "6b", "11", "14", "17", "18a", "19", "25", "27c"):
        assert (found[number].state, found[number].facts) == (AUTHORS, ())


def test_an_item_counts_as_answered_only_with_facts_that_are_the_whole_answer(
    passport: Passport,
) -> None:
    for one in list_tripod_items(passport):
        assert (one.state == AUTHORS) == (not one.facts)
        assert one.state != ANSWERED or one.number in TRIPOD.complete
        assert one.as_record()["number"] == one.number
    assert by_number(passport)["23b"].state == ANSWERED
    assert by_number(passport)["23a"].state == IN_PART


def test_updating_is_told_only_where_it_was_done(passport: Passport) -> None:
    assert by_number(passport)["12f"].state == AUTHORS
    site = passport.sites[0]
    rows = site.rows | {"recalibrated": {"auroc": {"value": 0.8, "low": None, "high": None}}}
    again = by_number(replace(passport, sites=(replace(site, rows=rows), *passport.sites[1:])))
    assert (again["12f"].state, again["24"].state) == (ANSWERED, ANSWERED)
    assert again["24"].facts == (f"{site.participant}: recalibrated auroc 0.800, no interval",)


def test_one_hospital_shows_no_differences_between_hospitals(passport: Passport) -> None:
    found = by_number(replace(passport, sites=passport.sites[:1]))
    assert {found[number].state for number in ("12d", "23b")} == {AUTHORS}


def test_a_passport_without_replies_still_gives_a_list(passport: Passport) -> None:
    sites = tuple(replace(site, n_train=None, n_test=None, rows={}) for site in passport.sites)
    found = by_number(replace(passport, sites=sites))
    assert {found[number].state for number in ("10", "12d", "12e", "21", "23a", "23b")} == {AUTHORS}


def test_the_page_is_whole_and_text_from_elsewhere_cannot_become_markup(passport: Passport) -> None:
    page = write_tripod(replace(passport, limitations=("| ![x](y)\n# Approved",)))
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert len(lines) == 54
    assert {len(re.split(r"(?<!\\)\|", line)) for line in lines} == {6}
    assert "![x]" not in page
    assert "\n# Approved" not in page
    assert "<everywhere>" not in page


def test_every_way_of_updating_is_told_with_its_figures(passport: Passport) -> None:
    site = passport.sites[0]
    rows = site.rows | {
        "fine_tuned": {"auroc": {"value": 0.82, "low": 0.7, "high": 0.9}},
        "personalised": {"auroc": {"value": 0.83, "low": 0.7, "high": 0.9}},
    }
    found = by_number(replace(passport, sites=(replace(site, rows=rows), *passport.sites[1:])))
    assert [fact.partition(":")[0] for fact in found["12f"].facts] == ["fine_tuned", "personalised"]
    assert found["24"].facts == (
        f"{site.participant}: fine_tuned auroc 0.820 (0.700 to 0.900)",
        f"{site.participant}: personalised auroc 0.830 (0.700 to 0.900)",
    )


def test_the_output_names_its_classes(passport: Passport) -> None:
    what = replace(passport.capability, classes=("low", "high"))
    found = by_number(replace(passport, capability=what))
    assert found["15"].facts == ("classification of outcome (low/high)",)
