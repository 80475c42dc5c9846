"""Groups apart: as the plan says, against the same figures taken by hand, small ones hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error
from toy_recipe import make_judge, make_toy_cases, train_toy

from consilium.federation.contract import Cases, Needs, Prepared
from consilium.federation.evaluation import evaluate_site, stratify
from consilium.gate.facts import CountRule, check_facts
from consilium.gate.orders import FieldNeed
from consilium.gate.subgroups import MOST_GROUPS, read_groupings
from consilium.kernel.errors import InputError

SEX = FieldNeed(name="sex", kind="category", categories=("f", "m"))
AGE = FieldNeed(name="age", kind="number", unit="a")
SCAN = FieldNeed(name="scan", kind="image", shape=(8, 8, 1))
NEEDS = Needs(features=(AGE, SCAN, SEX))


def raw(ages: list[float], sexes: list[float]) -> Cases:
    return Cases(
        x=np.stack([np.array(ages), np.array(sexes)], axis=1),
        y=np.zeros(len(ages)),
        group=np.arange(len(ages)),
    )


def test_places_follow_the_plans_order_and_its_cuts() -> None:
    cases = raw([39.9, 40, 59, 60, np.nan], [0, 1, 1, np.nan, 0])
    sex, age = stratify(cases, NEEDS, ["sex", "age:40,60"])
    assert age.tolist() == [0, 1, 1, 2, 3]
    assert sex.tolist() == [0, 1, 1, 2, 0]
    groupings = read_groupings(
        [
            "sex",
            "age:40,60",
        ],
        NEEDS.columns,
    )
    assert [one.labels for one in groupings] == [("f", "m"), ("< 40", "40 – < 60", "≥ 60")]


@pytest.mark.parametrize(
    "wanted",
    [
        ["weight"], ["scan"], ["sex:1"], ["age"], ["age:old"], ["age:60,40"], ["age:40,40"],
        ["age:inf"], ["sex", "sex"], ["age:" + ",".join(map(str, range(MOST_GROUPS)))],
    ],
    ids=["unknown", "image", "cut category", "no cuts", "word", "falling", "twice", "endless",
         "field twice", "too many"],
)  # fmt: skip
def test_a_plan_that_cannot_be_grouped_so_is_refused(wanted: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read_groupings(wanted, NEEDS.features)
    assert caught.value.code == "gate.bad_order"
    assert caught.value.facts["field"] == "subgroups"


@pytest.mark.parametrize("kind", ["binary", "classes", "number", "survival", "mask"])
def test_groups_are_judged_apart_and_pass_the_gate(kind: str) -> None:
    train, held_out = make_toy_cases(kind, n=90, seed=1), make_toy_cases(kind, n=80, seed=2)
    places = np.repeat([0, 1, 3], [30, 30, 20])
    judge = make_judge(kind, arrays=train_toy(kind, train), strata=(places,))
    found: Any = evaluate_site(judge, Prepared(train=train, held_out=held_out))
    rows = found["subgroups"]
    assert [(one["field"], one["index"], one["n"]) for one in rows] == [
        (0, 0, 30), (0, 1, 30), (0, 3, 20),
    ]  # fmt: skip
    assert set(rows[0]["rows"]) == {"federated", found["choice"]["chosen"]}
    assert check_facts(found, rule=CountRule(smallest=10, largest=200))["subgroups"]
    raw_ = judge.federated(held_out)[places == 1]
    if kind == "number":
        mae = rows[1]["rows"]["federated"]["mae"]["value"]
        assert mae == pytest.approx(mean_absolute_error(held_out.y[places == 1], raw_))
    if kind == "binary":
        right = rows[1]["rows"]["federated"]["accuracy"]["value"]
        assert right == pytest.approx(accuracy_score(held_out.y[places == 1], raw_ > 0))


def test_a_small_group_hides_and_takes_another_with_it_that_would_betray_it() -> None:
    train, held_out = make_toy_cases("binary", n=90, seed=1), make_toy_cases("binary", n=60, seed=2)
    places = np.repeat([0, 1, 2], [4, 20, 36])
    judge = make_judge("binary", arrays=train_toy("binary", train), strata=(places,))
    found: Any = evaluate_site(judge, Prepared(train=train, held_out=held_out))
    assert found["subgroups"][:2] == [
        {"field": 0, "index": 0, "reason": "measures.too_few"},
        {"field": 0, "index": 1, "reason": "measures.hidden_with_others"},
    ]
    assert found["subgroups"][2]["n"] == 36


def test_without_a_wish_nothing_is_told_of_groups() -> None:
    train = make_toy_cases("binary", n=60, seed=1)
    found = evaluate_site(make_judge("binary"), Prepared(train=train, held_out=train))
    assert "subgroups" not in found
