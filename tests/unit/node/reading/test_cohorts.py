"""Which datasets one study could take together."""

from __future__ import annotations

from typing import Any

from listings import AGE, NORTH, RECIPES, SEX, SOUTH, WEST, catalogue_of, listing

from consilium.dataspace.catalog import FieldShown
from consilium.node.reading.cohorts import compare
from consilium.node.reading.recipes import show_recipe

SCAN = FieldShown(
    name="scan",
    kind="image",
    unit="",
    categories=(),
    code="",
    modality="image",
    shape=(8, 8, 1),
)


def codes(one: Any, like: Any, *, mixed: bool = False) -> list[str]:
    return [words.code for words in compare(one, like, mixed=mixed)[1]]


def test_the_same_fields_fit_and_more_of_them_do_no_harm() -> None:
    like = listing(SOUTH, columns=(AGE,))
    assert codes(listing(WEST, columns=(SEX, AGE)), like) == []


def test_years_here_and_months_there_do_not_fit() -> None:
    months = FieldShown(name="age", kind="number", unit="mo", categories=(), code="")
    assert codes(listing(WEST, columns=(months, SEX)), listing(SOUTH)) == ["gate.column_differs"]


def test_a_value_that_the_study_does_not_know_does_not_fit() -> None:
    third = FieldShown(name="sex", kind="category", unit="", categories=("f", "m", "x"), code="")
    found = compare(listing(WEST, columns=(AGE, third)), listing(SOUTH), mixed=False)[1]
    assert "categories" in found[0].en
    assert codes(listing(WEST), listing(SOUTH, columns=(AGE, third))) == []


def test_another_label_or_target_does_not_fit() -> None:
    assert codes(listing(WEST, label={"field": "death"}), listing(SOUTH)) == ["gate.no_such_column"]
    number = listing(WEST, target={"kind": "number", "classes": (), "unit": "a"})
    assert codes(number, listing(SOUTH)) == ["gate.column_differs"] * 2


def test_a_missing_modality_is_lacking_only_where_the_recipe_can_do_without() -> None:
    like = listing(SOUTH, columns=(AGE, SEX, SCAN))
    assert compare(listing(WEST), like, mixed=True) == (["image"], [])
    assert codes(listing(WEST), like, mixed=False) == ["gate.no_such_column"]


def test_every_recipe_has_words_for_its_settings_in_both_languages() -> None:
    for recipe in RECIPES.list():
        for setting in show_recipe(recipe).settings:
            assert setting.help.en
            assert any("一" <= letter <= "鿿" for letter in setting.help.zh), setting.name


def test_members_that_answer_are_remembered_with_the_time() -> None:
    catalogue = catalogue_of(listing(SOUTH))
    heard = catalogue.heard_s(SOUTH)
    assert heard is not None
    assert 0 <= heard < 60
    assert catalogue.heard_s("did:web:example.org:nobody") is None
    assert catalogue.me == NORTH
