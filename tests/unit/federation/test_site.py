"""The worker at the hospital: lease, columns, the recipe boundary."""

from __future__ import annotations

import io
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from federation_rehearsal import (
    RECIPES,
    Rehearsal,
    RehearsalDesk,
    RehearsalLease,
    SiteData,
    make_rehearsal,
)

from consilium.federation.contract import Needs, Recipe
from consilium.federation.ports import Task
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.federation.registry import Recipes
from consilium.federation.site import SiteWorker, read_cases
from consilium.gate.orders import FieldNeed
from consilium.gate.replies import read_reply
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError, InputError, IntegrityError, RecipeError
from consilium.kernel.identifiers import LeaseId
from consilium.models.weights import unpack_arrays

PATIENT = "Li Wei, 63, chest pain"


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    return make_rehearsal(tmp_path)


def worker(rehearsal: Rehearsal, recipes: Recipes = RECIPES) -> tuple[SiteWorker, RehearsalDesk]:
    order, _, _ = rehearsal.begin()
    desk = next(iter(rehearsal.desks.values()))
    return SiteWorker(order.as_json(), desk=desk, recipes=recipes), desk


def task(rehearsal: Rehearsal, kind: str = "train") -> Task:
    return Task(kind=kind, round=1, model=rehearsal.start)


def test_a_trained_reply_is_the_difference_to_the_model_it_was_given(rehearsal: Rehearsal) -> None:
    site, desk = worker(rehearsal)
    reply = read_reply(site.work(task(rehearsal)))
    assert desk.leases == [("train", 1, digest_of(rehearsal.start))]
    assert reply.n == int((desk.data.part == 0).sum())
    start = unpack_arrays(rehearsal.start)
    assert {name: array.shape for name, array in reply.arrays.items()} == {
        name: array.shape for name, array in start.items()
    }
    assert 0 < np.abs(reply.arrays["weight"]).max() < 1


def test_an_evaluation_carries_figures_and_no_arrays(rehearsal: Rehearsal) -> None:
    site, desk = worker(rehearsal)
    reply = read_reply(site.work(task(rehearsal, "evaluate")))
    assert dict(reply.arrays) == {}
    assert reply.n == int((desk.data.part == 1).sum())
    assert reply.facts["local_start"] == "same"
    assert set(reply.facts["rows"]) == {"federated", "recalibrated", "local", "majority"}


def test_a_study_with_a_start_of_its_own_says_that_local_training_began_afresh(
    tmp_path: Path,
) -> None:
    rehearsal = make_rehearsal(tmp_path, start=digest_of(b"a published model"))
    order = replace(make_rehearsal(tmp_path / "x").begin()[0], signed_study=rehearsal.signed)
    desk = next(iter(rehearsal.desks.values()))
    site = SiteWorker(order.as_json(), desk=desk, recipes=RECIPES)
    reply = read_reply(site.work(task(rehearsal, "evaluate")))
    assert reply.facts["local_start"] == "fresh"


def test_a_refused_lease_opens_nothing(rehearsal: Rehearsal) -> None:
    site, desk = worker(rehearsal)
    desk.refuses_from_round = 1
    with pytest.raises(DeniedError):
        site.work(task(rehearsal))
    assert desk.leases == []


def test_the_array_file_is_closed_after_reading(rehearsal: Rehearsal) -> None:
    site, desk = worker(rehearsal)
    files = []
    lend = desk.lease

    def remember(*args: Any, **asked: Any) -> RehearsalLease:
        lease = lend(*args, **asked)
        files.append(lease.file)
        return lease

    desk.lease = remember  # type: ignore[method-assign]
    site.work(task(rehearsal))
    assert [file.closed for file in files] == [True]


class BrokenRecipe:
    """A recipe that fails with a patient's values in its words."""

    name, version = RECIPE.name, RECIPE.version

    def __init__(self, verb: str) -> None:
        self.verb = verb

    def __getattr__(self, verb: str) -> Any:
        return self._fail if verb == self.verb else getattr(RECIPE, verb)

    def _fail(self, *_: object, **__: object) -> None:
        raise ValueError(PATIENT)


class OneRecipe(Recipes):
    """Gives one recipe, whatever is asked."""

    def __init__(self, recipe: object) -> None:
        super().__init__({})
        self.recipe = recipe

    def get(self, ref: object) -> Recipe:  # type: ignore[override]
        return cast("Recipe", self.recipe)


@pytest.mark.parametrize("verb", ["read_settings", "prepare", "train"])
def test_a_failing_recipe_is_told_without_its_words(rehearsal: Rehearsal, verb: str) -> None:
    site, _ = worker(rehearsal, OneRecipe(BrokenRecipe(verb)))
    with pytest.raises(RecipeError) as caught:
        site.work(task(rehearsal))
    assert caught.value.code == "federation.recipe_failed"
    assert caught.value.facts["reason"] == "ValueError"
    said = "".join(traceback.format_exception(caught.value)) + caught.value.detail
    assert PATIENT not in said
    assert "test_site.py" in caught.value.detail


def test_an_unknown_task_is_refused(rehearsal: Rehearsal) -> None:
    site, _ = worker(rehearsal)
    with pytest.raises(RecipeError) as caught:
        site.work(task(rehearsal, "exfiltrate"))
    assert caught.value.facts["reason"] == "federation.unknown_task"


AGE = FieldNeed(name="age", kind="number")
PAIN = FieldNeed(name="pain", kind="category", categories=("none", "some", "much"))
COLUMNS = [
    {"name": "extra", "kind": "number", "categories": []},
    {"name": "pain", "kind": "category", "categories": ["much", "none", "some"]},
    {"name": "age", "kind": "number", "categories": []},
]


def lease(data: bytes | None = None, columns: list[dict[str, Any]] = COLUMNS) -> RehearsalLease:
    made = SiteData(
        x=np.array([[9, 0, 61], [9, 1, 50], [9, 2, 70], [9, np.nan, 41]]),
        y=np.array([0, 1, 1, 0]),
        part=np.array([0, 1, 0, 0]),
    )
    return RehearsalLease(
        id=LeaseId("l"),
        file=io.BytesIO(made.as_file() if data is None else data),
        facts={"participant": "did:web:x:y", "columns": columns},
    )


def test_columns_come_in_the_studys_order_and_numbering() -> None:
    train, held_out = read_cases(lease(), Needs(features=(AGE, PAIN)))
    np.testing.assert_array_equal(train.x, [[61, 2], [70, 1], [41, np.nan]])
    np.testing.assert_array_equal(held_out.x, [[50, 0]])
    np.testing.assert_array_equal(train.group, [0, 2, 3])


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError) as caught:
        read_cases(lease(), Needs(features=(FieldNeed(name="chol", kind="number"),)))
    assert caught.value.facts == {"column": "chol"}


def test_a_category_that_the_study_does_not_know_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        read_cases(lease(), Needs(features=(replace(PAIN, categories=("none", "some")),)))
    assert caught.value.code == "federation.other_categories"


def _pickled() -> bytes:
    stream = io.BytesIO()
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(stream, x=objects, y=objects, group=objects, part=objects)
    return stream.getvalue()


def _ragged() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, x=np.ones((3, 3)), y=np.ones(2), group=np.ones(3), part=np.ones(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"no zip", b"PK\x03\x04 cut short", _pickled(), _ragged()],
    ids=["empty", "text", "cut", "objects", "ragged"],
)
def test_a_file_that_no_reader_wrote_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        read_cases(lease(data), Needs(features=(AGE,)))
    assert caught.value.code == "federation.bad_array_file"
