"""The conformance suite finds what it is there to find: each flaw by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from consilium.federation.contract import Cases, Prepared, Trained
from consilium.federation.recipes.tabular_logistic.recipe import TabularLogistic
from consilium.federation.registry import InstalledRecipe, Recipes
from consilium.federation.workshop import check_recipe


class Flawed(TabularLogistic):
    """The installed recipe, with one flaw that a test gives it."""

    __slots__ = ()


def findings_of(**flaws: Callable[..., Any]) -> set[str]:
    """Return the sentences that do not hold for a recipe with these verbs."""
    kind = type("Broken", (Flawed,), flaws)
    installed = Recipes().find("tabular-logistic")
    assert installed is not None
    broken = _Loaded(**{name: getattr(installed, name) for name in installed.__slots__})
    object.__setattr__(broken, "made", kind())
    return {one.check.split(",")[0].rstrip(".") for one in check_recipe(broken) if not one.holds}


@dataclass(frozen=True, kw_only=True)
class _Loaded(InstalledRecipe):
    def load(self) -> Any:
        return self.__dict__["made"]


def test_the_recipe_itself_has_no_flaw() -> None:
    assert findings_of() == set()


def test_a_round_that_depends_on_the_moment_is_found() -> None:
    moment = np.random.default_rng()

    def train(self: Any, cases: Cases, start: Any, settings: Any, **how: Any) -> Trained:
        trained = TabularLogistic.train(self, cases, start, settings, **how)
        return replace(
            trained, arrays={n: a + moment.normal(size=a.shape) for n, a in trained.arrays.items()}
        )

    assert "A repeated round gives the same bytes" in findings_of(train=train)


def test_scaling_learnt_from_the_held_out_part_is_found() -> None:
    def prepare(self: Any, train: Cases, held_out: Cases, **how: Any) -> Prepared:
        found = TabularLogistic.prepare(self, train, held_out, **how)
        return replace(found, train=replace(found.train, x=found.train.x + held_out.x[0, 0]))

    held = "What is prepared for training does not depend on the held-out part"
    assert held in findings_of(prepare=prepare)


def test_a_fact_that_may_not_leave_is_found() -> None:
    def train(self: Any, cases: Cases, start: Any, settings: Any, **how: Any) -> Trained:
        trained = TabularLogistic.train(self, cases, start, settings, **how)
        return replace(trained, facts={**trained.facts, "first_patient": float(cases.x[0, 0])})

    assert findings_of(train=train) == {
        "What training and evaluation report passes the output gate"
    }


def test_a_prediction_that_depends_on_the_others_is_found() -> None:
    def predict(self: Any, cases: Cases, arrays: Any, settings: Any, **how: Any) -> Any:
        found = TabularLogistic.predict(self, cases, arrays, settings, **how)
        return found - found.mean()

    assert "A patient's prediction does not depend on who else is there" in findings_of(
        predict=predict
    )


def test_a_crash_in_foreign_code_is_one_finding_with_its_place() -> None:
    def predict(self: Any, cases: Cases, arrays: Any, settings: Any, **how: Any) -> Any:
        raise ZeroDivisionError("so")

    assert "Predictions have the shape of their target and are finite" in findings_of(
        predict=predict
    )


def test_the_input_must_stay_as_it_was() -> None:
    def train(self: Any, cases: Cases, start: Any, settings: Any, **how: Any) -> Trained:
        cases.x[0, 0] += 1.0
        return TabularLogistic.train(self, cases, start, settings, **how)

    assert "A repeated round gives the same bytes" in findings_of(train=train)
