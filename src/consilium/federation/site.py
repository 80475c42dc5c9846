"""The hospital's side of a segment: lease, learn, release.

A `SiteWorker` runs in a job process beside the node. It holds no path and no
key: the desk hands it an open array file for one round and takes the result.
Recipe code runs inside one boundary here; what fails in there is told by the
kind of failure and its place in the code, never by its words, which could
quote a patient's values.
"""

from __future__ import annotations

import time
import traceback
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np

from consilium.federation.contract import (
    Cases,
    Chance,
    EvaluationPlan,
    Matrix,
    Needs,
    Prepared,
    Recipe,
    Tensor,
)
from consilium.federation.evaluation import stratify
from consilium.federation.modules import update_of
from consilium.federation.noise.figures import noisy_figures
from consilium.federation.ports import EVALUATE, TRAIN, Desk, Lease, Task
from consilium.federation.recalibration import sigmoid
from consilium.federation.registry import Recipes
from consilium.gate.orders import FieldNeed, Order, Study, peek_study
from consilium.gate.subgroups import Places
from consilium.gate.sums import Question
from consilium.gate.updates import check_layout, largest_update, plan_layout, read_update
from consilium.kernel.canonical import Json, digest_of
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    InputError,
    IntegrityError,
    RecipeError,
)
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays, pack_arrays, unpack_arrays

MIN_CASES = 10
"""Smallest calibration bin where the lease names none."""

_NO_COLUMNS = ("image", "signal")
_TARGET_TENSORS = {"survival": ("time",), "mask": ("mask",)}

Result = TypeVar("Result")


class SiteWorker:
    """Does the tasks of one order at one hospital; keeps no data between tasks.

    Parameters
    ----------
    order : bytes
        As the hub sent it. The desk judges it anew for each task.
    desk : Desk
        The node's counter.
    recipes : Recipes
        What is installed here.
    """

    def __init__(self, order: bytes, *, desk: Desk, recipes: Recipes) -> None:
        self._order = order
        self._study = peek_study(Order.from_json(order).signed_study)
        self._desk = desk
        self._recipes = recipes

    def work(self, task: Task) -> bytes:
        """Do one task and return the bytes to send back.

        Raises
        ------
        DeniedError, IntegrityError, InputError
            From the desk, when it refuses; nothing was read then.
        RecipeError
            `federation.recipe_failed`.

        Discloses
        ---------
        What the desk's output gate lets through: an update or an evaluation,
        signed. Nothing when it refuses.
        """
        self._check_model(task)
        lease = self._desk.lease(
            self._order, kind=task.kind, round=task.round, model=digest_of(task.model)
        )
        began = time.monotonic()
        with lease.file:
            job = _Job(study=self._study, recipe=self._recipe(), task=task, lease=lease)
            train, held_out = read_cases(lease, job.needs, lacks=job.lacks)
        result = inside_boundary(
            lambda: job.run(train, held_out), recipe=job.recipe.name, task=task.kind
        )
        facts = result.facts | {"work_s": round(time.monotonic() - began, 6)}
        return self._desk.release(lease.id, update=result.update, facts=facts, kept=result.kept)

    def converse(self, question: Question) -> bytes:
        """Pass one step of a secure sum to the desk and its answer back; data are not touched.

        Raises
        ------
        DeniedError, IntegrityError, InputError, StateError
            From the desk.

        Discloses
        ---------
        What the desk answers: never an update.
        """
        return self._desk.converse(self._order, question)

    def _recipe(self) -> Recipe:
        return self._recipes.get(self._study.recipe)

    def _check_model(self, task: Task) -> None:
        """Refuse a model that is none of the plan's before any data are opened for it."""
        try:
            check_model(task, self._study)
        except DeniedError as refusal:
            self._desk.report_refusal(refusal.code, refusal.public, what="task")
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What a task gives: the update's file, what is said, and the file that stays here."""

    update: bytes
    facts: dict[str, Json]
    kept: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One task at one site, while the data are open."""

    study: Study
    recipe: Recipe
    task: Task
    lease: Lease

    @property
    def participant(self) -> ParticipantId:
        return ParticipantId(str(self.lease.facts["participant"]))

    @property
    def chance(self) -> Chance:
        secret = bytes.fromhex(str(self.lease.facts.get("secret", "")))
        return Chance(seed=self.study.seed, participant=self.participant, secret=secret)

    @property
    def needs(self) -> Needs:
        return Needs(features=self.study.features, target=self.study.target)

    @property
    def lacks(self) -> tuple[str, ...]:
        place = self.study.find_site(self.participant)
        return () if place is None else place.lacks

    def run(self, train: Cases, held_out: Cases) -> _Result:
        """Run the verb of the task."""
        settings = self.recipe.read_settings(self.study.recipe.settings)
        prepared = self.recipe.prepare(
            train, held_out, needs=self.needs, settings=settings, chance=self.chance
        )
        model = unpack_arrays(self.task.model)
        if self.task.kind == TRAIN:
            return self._train(prepared, model, settings)
        if self.task.kind == EVALUATE:
            strata = stratify(held_out, self.needs, self.study.subgroups)
            return self._evaluate(prepared, model, settings, strata=strata)
        raise InputError("federation.unknown_task", task=self.task.kind)

    def _train(self, prepared: Prepared, model: Arrays, settings: Any) -> _Result:
        trained = self.recipe.train(
            prepared.train,
            model,
            settings,
            chance=self.chance,
            number=self.task.round,
            kept=unpack_kept(self.lease.kept),
        )
        return _Result(
            update=pack_arrays(update_of(trained, model, lacks=self.lacks)),
            facts={**trained.facts, "n": prepared.train.n},
            kept=pack_arrays(trained.kept) if trained.kept else b"",
        )

    def _evaluate_with_noise(self, prepared: Prepared, model: Arrays, settings: Any) -> _Result:
        """Judge the shared model alone, from held-out patients counted with noise."""
        held_out, plan = prepared.held_out, self.study.privacy
        if plan is None or self.study.target.kind != "binary":
            raise InputError("federation.no_noisy_figures", kind=self.study.target.kind)
        z = self.recipe.predict(held_out, model, settings, kept={})
        facts = noisy_figures(
            held_out.y,
            sigmoid(z),
            group=held_out.group,
            epsilon=plan.epsilon,
            source=self.chance.draw_secret("figures"),
            min_cases=_min_cases(self.lease),
        )
        facts |= {"n_train": prepared.train.n, "n_test": held_out.n, "n": held_out.n}
        return _Result(update=pack_arrays({}), facts=facts)

    def _evaluate(
        self, prepared: Prepared, model: Arrays, settings: Any, *, strata: tuple[Places, ...]
    ) -> _Result:
        if self.study.has_bound:
            return self._evaluate_with_noise(prepared, model, settings)
        start = self.recipe.initial(self.needs, settings, seed=self.study.seed)
        is_same = digest_of(pack_arrays(start)) == self.study.start
        plan = EvaluationPlan(
            needs=self.needs,
            kept=unpack_kept(self.lease.kept),
            start=start,
            rounds=self.study.rounds,
            chance=self.chance,
            min_cases=_min_cases(self.lease),
            strata=strata,
        )
        facts = self.recipe.evaluate(prepared, model, settings, plan=plan)
        facts |= {"n": prepared.held_out.n, "local_start": "same" if is_same else "fresh"}
        return _Result(update=pack_arrays({}), facts=facts)


def unpack_kept(data: bytes) -> Arrays:
    """Return what the site kept, empty if nothing.

    Discloses
    ---------
    Nothing: it stays in the job process.
    """
    return unpack_arrays(data) if data else {}


def check_model(task: Task, study: Study) -> None:
    """Return if the hub's model has the plan's arrays, all finite, and nothing else in it.

    Raises
    ------
    DeniedError
        `federation.bad_model` with the flaw's code.

    Discloses
    ---------
    Nothing.
    """
    layout = plan_layout(study)
    try:
        arrays = read_update(task.model, largest=largest_update(layout))
        if layout is not None:
            check_layout(arrays, layout)
    except DeniedError as flaw:
        raise DeniedError("federation.bad_model", round=task.round, flaw=flaw.code) from flaw


def read_cases(lease: Lease, needs: Needs, *, lacks: Sequence[str] = ()) -> tuple[Cases, Cases]:
    """Read the leased array file as training part and held-out part, in the study's fields.

    Parameters
    ----------
    lease : Lease
        With the open file and the columns' facts.
    needs : Needs
        The study's fields and target.
    lacks : sequence of str
        Modalities that are not here: their columns are all missing, their
        tensors absent.

    Raises
    ------
    IntegrityError
        `federation.bad_array_file` when it is not what a reader writes.
    InputError
        `federation.no_column`, `federation.other_categories`.

    Discloses
    ---------
    Nothing: the arrays stay in the job process.
    """
    wanted = _tensors_of(needs, lacks)
    arrays = _load(lease.file, wanted)
    columns = cast("Sequence[Mapping[str, Any]]", lease.facts["columns"])
    cases = Cases(
        x=_select(arrays["x"], columns, needs.columns, lacks=lacks),
        y=arrays["y"],
        group=arrays["group"],
        tensors={name: arrays[member] for name, member in wanted.items()},
    )
    return cases.take(arrays["part"] == 0), cases.take(arrays["part"] == 1)


def _tensors_of(needs: Needs, lacks: Sequence[str]) -> dict[str, str]:
    """Name the members of the array file that are no columns, by tensor."""
    fields = {
        need.name: f"field.{need.name}"
        for need in needs.features
        if not need.is_column and need.modality not in lacks
    }
    return fields | {name: name for name in _TARGET_TENSORS.get(needs.target.kind, ())}


def _min_cases(lease: Lease) -> int:
    least = lease.facts.get("min_cases", MIN_CASES)
    return max(1, least) if isinstance(least, int) else MIN_CASES


def _load(file: BinaryIO, wanted: Mapping[str, str]) -> dict[str, Tensor]:
    try:
        with np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in ("x", "y", "group", "part")}
            for name, member in wanted.items():
                if member not in found:
                    raise InputError("federation.no_column", column=name)
                arrays[member] = found[member]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise IntegrityError("federation.bad_array_file") from error
    n = len(arrays["y"])
    if arrays["x"].ndim != 2 or any(len(array) != n for array in arrays.values()):
        raise IntegrityError("federation.bad_array_file")
    return arrays


def _select(
    x: Matrix,
    columns: Sequence[Mapping[str, Any]],
    features: Sequence[FieldNeed],
    *,
    lacks: Sequence[str],
) -> Matrix:
    """Take the study's columns, in its order and with its numbering of categories."""
    names = [str(column["name"]) for column in columns if column.get("kind") not in _NO_COLUMNS]
    chosen = []
    for need in features:
        if need.modality in lacks:
            chosen.append(np.full(len(x), np.nan))
            continue
        if need.name not in names or names.index(need.name) >= x.shape[1]:
            raise InputError("federation.no_column", column=need.name)
        place = names.index(need.name)
        known = [str(word) for word in columns[place].get("categories") or ()]
        chosen.append(_renumber(x[:, place], known, need))
    if not chosen:
        return np.empty((len(x), 0))
    return np.stack(chosen, axis=1).astype(np.float64)


def _renumber(column: Matrix, known: Sequence[str], need: FieldNeed) -> Matrix:
    if need.kind != "category" or tuple(known) == need.categories:
        return column
    if not set(known) <= set(need.categories):
        raise InputError("federation.other_categories", column=need.name)
    places = np.array([need.categories.index(word) for word in known], dtype=np.float64)
    missing = np.isnan(column)
    renumbered: Matrix = places[np.where(missing, 0, column).astype(np.intp)]
    renumbered[missing] = np.nan
    return renumbered


def inside_boundary(call: Callable[[], Result], *, recipe: str, task: str) -> Result:
    """Run recipe code; whatever fails in there becomes a `RecipeError` without its words.

    Raises
    ------
    RecipeError
        `federation.recipe_failed`.

    Discloses
    ---------
    The kind of a failure and its place in the code, never its words.
    """
    try:
        return call()
    except ConsiliumError as error:
        raise _failed(error, error.code, recipe=recipe, task=task) from None
    except Exception as error:  # noqa: BLE001 - the recipe boundary
        raise _failed(error, type(error).__name__, recipe=recipe, task=task) from None


def _failed(error: Exception, reason: str, *, recipe: str, task: str) -> RecipeError:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return RecipeError(
        "federation.recipe_failed",
        recipe=recipe,
        task=task,
        reason=reason,
        detail=f"at {Path(last.filename).name}:{last.lineno}",
    )
