"""Answers become drafts; what is given is accepted where studies are begun."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listings import AGE, CLOCK, NORTH, RECIPES, SEX, SOUTH, WEST, catalogue_of, listing, terms

from consilium.federation.proposal import read_draft
from consilium.gate.plain import to_plain
from consilium.node.reading.drafts import Answers, Drafted, Drafting
from consilium.web.seats import Scope

TITLES = {"title": "心脏病", "purpose": "research", "recipe": "tabular-logistic"}
BOTH = [{"participant": who, "dataset": "heart"} for who in (SOUTH, WEST)]
THREE = [*BOTH, {"participant": NORTH, "dataset": "heart"}]
NAMES = sorted(RECIPES.digests)
RULES = ("", "fedavg", "fedadam", "median", "krum", "qfedavg", "bagging", "none")


def draft(*found: Any, **changes: Any) -> Drafted:
    catalogue = catalogue_of(*(found or (listing(SOUTH), listing(WEST))))
    drafting = Drafting(recipes=RECIPES, catalogue=catalogue, clock=CLOCK)
    return drafting.draft(Answers(**{**TITLES, "invite": BOTH, **changes}), Scope())


def test_few_answers_are_enough() -> None:
    found = draft()
    assert found.flaws == []
    assert found.draft is not None
    assert (found.draft["rule"], found.draft["rounds"], found.draft["quorum"]) == ("fedavg", 15, 2)


def test_a_recipe_that_goes_with_one_rule_gets_it() -> None:
    found = draft(recipe="tabular-trees")
    assert found.draft is not None
    assert found.draft["rule"] == "bagging"


def test_secure_sums_get_a_mask_with_room_for_every_hospital() -> None:
    ours, secure = listing(NORTH), {"secure": True, "invite": THREE}
    found = draft(ours, listing(SOUTH, n_train=300), listing(WEST), **secure)
    assert found.draft is not None
    assert found.draft["secure"] == {"clip": 10.0, "max_cases": 300, "bits": 64}
    hidden = draft(ours, listing(SOUTH, n_train=None), listing(WEST), **secure)
    assert hidden.draft is not None
    assert hidden.draft["secure"]["max_cases"] == 100_000


@pytest.mark.parametrize(
    ("theirs", "answers", "code", "field"),
    [
        ({"max_rounds": 7}, {}, "console.too_many_rounds", "rounds"),
        ({"purposes": ("teaching",)}, {}, "console.other_purpose", "purpose"),
        ({"min_participants": 3}, {}, "console.quorum_too_low", "quorum"),
        ({"secure_aggregation": True}, {}, "console.secure_needed", "secure"),
        (
            {"secure_aggregation": False},
            {"secure": True, "invite": THREE},
            "console.secure_refused",
            "secure",
        ),
        ({"epsilon": 2.0}, {}, "console.noise_needed", "privacy"),
        (
            {"epsilon": 2.0},
            {"privacy": {"preset": "standard"}},
            "console.epsilon_too_high",
            "privacy",
        ),
        ({"algorithms": ()}, {}, "console.recipe_not_allowed", "recipe"),
        ({"not_after": "2000-01-01T00:00:00.000000Z"}, {}, "console.offer_ended", "invite"),
    ],
)
def test_what_terms_refuse_is_said_with_its_hospital_and_answer(
    theirs: dict[str, Any], answers: dict[str, Any], code: str, field: str
) -> None:
    entries = listing(NORTH), listing(SOUTH), listing(WEST, terms=terms(**theirs))
    found = draft(*entries, **answers)
    assert found.draft is not None
    assert [(one.code, one.field, one.participant) for one in found.flaws] == [(code, field, WEST)]


def test_terms_that_noise_meets_are_met() -> None:
    found = draft(
        listing(SOUTH), listing(WEST, terms=terms(epsilon=2.0)), privacy={"preset": "strict"}
    )
    assert found.flaws == []


def test_fields_that_differ_are_named() -> None:
    months = listing(WEST, columns=(SEX,))
    found = draft(listing(SOUTH), months)
    assert [(one.code, one.participant) for one in found.flaws] == [("gate.no_such_column", WEST)]
    assert AGE.name in found.flaws[0].zh


def test_our_own_dataset_decides_which_fields_count() -> None:
    ours = listing(NORTH, columns=(AGE,))
    assert draft(ours, listing(SOUTH), listing(WEST), invite=THREE).flaws == []


def test_a_dataset_that_is_not_offered_is_a_flaw() -> None:
    found = draft(listing(SOUTH))
    assert [(one.code, one.participant) for one in found.flaws] == [("study.no_offer", WEST)]


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "recipe": st.sampled_from([*NAMES, "magic"]),
            "rule": st.sampled_from(RULES),
            "rounds": st.integers(-1, 2_000),
            "quorum": st.integers(-1, 4),
            "deadline_s": st.floats(-1, 1e6),
            "seed": st.integers(-(2**31), 2**31),
            "days": st.integers(-1, 4_000),
            "secure": st.sampled_from([None, True, False, {"clip": 0.5}, {"bits": 7}]),
            "privacy": st.sampled_from(
                [{}, {"preset": "standard"}, {"preset": "audit"}, {"preset": "x"}, {"epsilon": "a"}]
            ),
            "settings": st.sampled_from([{}, {"local_steps": 5}, {"colour": 1}]),
            "subgroups": st.lists(st.sampled_from(["sex", "age:40", "none"]), max_size=2),
            "title": st.text(max_size=20),
        },
    )
)
def test_every_draft_that_is_given_is_accepted(changes: dict[str, Any]) -> None:
    found = draft(**changes)
    if found.draft is None:
        assert found.flaws
        assert all(one.en and one.zh for one in found.flaws)
    else:
        assert to_plain(read_draft(found.draft, recipes=RECIPES)) == found.draft
