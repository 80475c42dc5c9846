"""The conformance suite: what every recipe must hold to, tried on mock rows.

A hospital runs it before it installs a recipe, an engineer while writing one.
Each check is one sentence that is true or not; what fails says where.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from consilium.federation.contract import (
    Cases,
    Chance,
    EvaluationPlan,
    Needs,
    Prepared,
    Recipe,
    Trained,
    train_rounds,
)
from consilium.federation.registry import InstalledRecipe
from consilium.federation.workshop.mock import mock_needs, mock_sides
from consilium.gate.facts import CountRule, check_facts
from consilium.gate.orders import TARGETS
from consilium.kernel.errors import ConsiliumError, InputError
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays, pack_arrays, unpack_arrays

ROUNDS = 3
_SEED = 42
_MIN_CASES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found: `what` names the data it was tried on; `flaw` is empty if it holds."""

    check: str
    what: str
    flaw: str = ""

    @property
    def holds(self) -> bool:
        """Say whether the check passed."""
        return not self.flaw


class FlawError(Exception):
    """A check does not hold; its text says why."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A recipe with mock rows of two sites, and what it makes of them."""

    recipe: Recipe
    needs: Needs
    settings: Any
    sides: tuple[Cases, Cases]
    participant: str = "did:web:mock:north"

    @property
    def chance(self) -> Chance:
        """The site's source of randomness."""
        return Chance(seed=_SEED, participant=ParticipantId(self.participant))

    @cached_property
    def start(self) -> Arrays:
        """The starting model."""
        return self.recipe.initial(self.needs, self.settings, seed=_SEED)

    @cached_property
    def prepared(self) -> Prepared:
        """The site's cases as the recipe prepares them."""
        return self.prepare(self.sides)

    def prepare(self, sides: tuple[Cases, Cases]) -> Prepared:
        """Prepare other parts in the same way."""
        return self.recipe.prepare(
            *sides, needs=self.needs, settings=self.settings, chance=self.chance
        )

    def train(self, number: int = 1, *, kept: Arrays | None = None) -> Trained:
        """Train one round from the start."""
        return self.recipe.train(
            self.prepared.train,
            self.start,
            self.settings,
            chance=self.chance,
            number=number,
            kept=kept or {},
        )

    def predict(self, cases: Cases, arrays: Arrays, kept: Arrays | None = None) -> Any:
        """Predict with a model."""
        return self.recipe.predict(cases, arrays, self.settings, kept=kept or {})

    @cached_property
    def trained(self) -> Trained:
        """The model after a few rounds on this site alone."""
        return train_rounds(
            self.recipe,
            self.prepared.train,
            self.start,
            self.settings,
            chance=self.chance,
            rounds=ROUNDS,
        )

    def judge(self) -> Any:
        """Evaluate the trained model as a study does."""
        plan = EvaluationPlan(
            needs=self.needs,
            start=self.start,
            rounds=1,
            chance=self.chance,
            min_cases=_MIN_CASES,
            resamples=50,
            kept=self.trained.kept,
        )
        return self.recipe.evaluate(self.prepared, self.trained.arrays, self.settings, plan=plan)


def check_recipe(
    installed: InstalledRecipe, *, settings: dict[str, Any] | None = None
) -> Iterator[Finding]:
    """Try a recipe on mock rows for everything that it says it can do.

    Parameters
    ----------
    installed : InstalledRecipe
        Found, fingerprinted, and loaded here.
    settings : dict, optional
        Settings other than the defaults, such as fewer steps.

    Yields
    ------
    Finding
        One for each check and kind of data; a failure does not end the suite.

    Discloses
    ---------
    Nothing: the rows are invented.
    """
    recipe = installed.load()
    filled = recipe.read_settings(installed.check_settings(settings or {}))
    for needs in _all_needs(installed):
        what = f"{needs.target.kind} from {', '.join(_kinds(needs))}"
        trial = Trial(
            recipe=recipe,
            needs=needs,
            settings=filled,
            sides=mock_sides(needs, seed=1),
        )
        for check in CHECKS:
            yield _try(check, trial, installed, what)


def _all_needs(installed: InstalledRecipe) -> Iterator[Needs]:
    """Go through every target with each modality alone and with all together."""
    modalities = installed.capability.modalities
    choices = [*combinations(modalities, 1)] + [modalities] * (len(modalities) > 1)
    for target in installed.capability.targets:
        for chosen in choices:
            if target != "mask" or "image" in chosen:
                yield mock_needs(chosen, target)


def _kinds(needs: Needs) -> list[str]:
    return list(dict.fromkeys("table" if one.is_column else one.kind for one in needs.features))


Check = Callable[[Trial, InstalledRecipe], None]


def _try(check: Check, trial: Trial, installed: InstalledRecipe, what: str) -> Finding:
    name = (check.__doc__ or check.__name__).strip()
    try:
        check(trial, installed)
    except FlawError as flaw:
        return Finding(check=name, what=what, flaw=str(flaw))
    except ConsiliumError as error:
        return Finding(check=name, what=what, flaw=f"{error.code}: {error.public}")
    except Exception as error:  # noqa: BLE001 - the recipe boundary
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        return Finding(check=name, what=what, flaw=f"{type(error).__name__} at {place}: {error}")
    return Finding(check=name, what=what)


def _need(holds: bool, flaw: str) -> None:
    if not holds:
        raise FlawError(flaw)


def _same(one: Arrays, other: Arrays) -> bool:
    return pack_arrays(one) == pack_arrays(other)


def _it_is_who_its_card_says(trial: Trial, installed: InstalledRecipe) -> None:
    """Name and version are those of its card."""
    _need(trial.recipe.name == installed.name, "another name than recipe.toml")
    _need(trial.recipe.version == installed.version, "another version than recipe.toml")


def _it_refuses_unknown_settings(trial: Trial, _: InstalledRecipe) -> None:
    """A setting that its card does not have is refused."""
    try:
        trial.recipe.read_settings({"no-such-setting": 1})
    except InputError:
        return
    raise FlawError("read_settings takes what the card does not know")


def _it_refuses_other_targets(trial: Trial, installed: InstalledRecipe) -> None:
    """A target that it does not serve is refused as an input error, before any data."""
    for kind in sorted(set(TARGETS) - set(installed.capability.targets)):
        needs = replace(mock_needs(installed.capability.modalities, kind))
        try:
            trial.recipe.initial(needs, trial.settings, seed=_SEED)
        except InputError:
            continue
        raise FlawError(f"initial takes the target {kind}")


def _the_start_is_always_the_same(trial: Trial, _: InstalledRecipe) -> None:
    """The starting model is the same each time, finite, and numbers only."""
    np.random.seed(0)
    again = trial.recipe.initial(trial.needs, trial.settings, seed=_SEED)
    _need(_same(trial.start, again), "initial gives other bytes the second time")
    _need(bool(trial.start), "initial gives no arrays")
    for name, array in trial.start.items():
        _need(array.dtype.kind == "f", f"{name} does not hold floating numbers")
        _need(bool(np.isfinite(array).all()), f"{name} is not finite")


def _preparing_leaves_its_input_alone(trial: Trial, _: InstalledRecipe) -> None:
    """Preparing changes nothing that it was given, and loses no patient."""
    train, held_out = trial.sides
    before = _bytes_of(train), _bytes_of(held_out)
    prepared = trial.prepare(trial.sides)
    _need(before == (_bytes_of(train), _bytes_of(held_out)), "prepare changed its input")
    rest = 0 if prepared.validation is None else prepared.validation.n
    _need(prepared.train.n + rest == train.n, "prepare loses training cases")
    _need(prepared.held_out.n == held_out.n, "prepare loses held-out cases")
    if prepared.validation is not None:
        shared = np.intersect1d(prepared.train.group, prepared.validation.group)
        _need(not shared.size, "a patient is in training and in validation")


def _training_cases_know_nothing_of_the_held_out(trial: Trial, _: InstalledRecipe) -> None:
    """What is prepared for training does not depend on the held-out part, nor on its labels."""
    train, held_out = trial.sides
    other = replace(
        held_out,
        x=held_out.x + 3.0,
        tensors={name: tensor[::-1].copy() for name, tensor in held_out.tensors.items()},
    )
    found = trial.prepare((train, other))
    _need(_bytes_of(found.train) == _bytes_of(trial.prepared.train), "held-out values leak")
    relabelled = trial.prepare((train, replace(held_out, y=held_out.y[::-1].copy())))
    _need(
        np.array_equal(relabelled.held_out.x, trial.prepared.held_out.x, equal_nan=True),
        "held-out labels change held-out inputs",
    )


def _a_round_is_always_the_same(trial: Trial, _: InstalledRecipe) -> None:
    """A repeated round gives the same bytes, and leaves its input alone."""
    before = pack_arrays(trial.start), _bytes_of(trial.prepared.train)
    first, second = trial.train(), trial.train()
    _need(_same(first.arrays, second.arrays), "train gives other weights the second time")
    _need(_same(first.kept, second.kept), "train keeps other arrays the second time")
    after = pack_arrays(trial.start), _bytes_of(trial.prepared.train)
    _need(before == after, "train changed its input")


def _weights_keep_their_layout(trial: Trial, _: InstalledRecipe) -> None:
    """Trained weights have the start's names, shapes and precision, and are finite."""
    trained = trial.train().arrays
    _need(sorted(trained) == sorted(trial.start), "train gives other arrays than initial")
    for name, array in trial.start.items():
        _need(trained[name].shape == array.shape, f"{name} has another shape")
        _need(trained[name].dtype == array.dtype, f"{name} has another precision")
        _need(bool(np.isfinite(trained[name]).all()), f"{name} is not finite")


def _what_it_keeps_can_be_kept(trial: Trial, installed: InstalledRecipe) -> None:
    """What it keeps between rounds survives being written and read."""
    first = trial.train()
    _need(
        not first.kept or installed.capability.personal,
        "it keeps arrays, but its card does not say `personal`",
    )
    if first.kept:
        read = unpack_arrays(pack_arrays(first.kept))
        _need(
            _same(trial.train(2, kept=first.kept).arrays, trial.train(2, kept=read).arrays),
            "kept arrays mean something else after they were written and read",
        )


def _its_facts_may_leave(trial: Trial, _: InstalledRecipe) -> None:
    """What training and evaluation report passes the output gate."""
    n = trial.prepared.train.n
    rule = CountRule(smallest=_MIN_CASES, largest=n + trial.prepared.held_out.n)
    check_facts({**trial.train().facts, "n": n}, rule=rule)
    check_facts({**trial.judge(), "n": trial.prepared.held_out.n}, rule=rule)


def _predictions_have_their_shape(trial: Trial, _: InstalledRecipe) -> None:
    """Predictions have the shape of their target and are finite."""
    cases = trial.prepared.held_out
    found = trial.predict(cases, trial.trained.arrays)
    expected: tuple[int, ...] = (cases.n,)
    if trial.needs.target.kind == "classes":
        expected = (cases.n, len(trial.needs.target.classes))
    if trial.needs.target.kind == "mask":
        expected = trial.sides[1].tensors["mask"].shape
    _need(found.shape == expected, f"predict gives {found.shape}, not {expected}")
    _need(bool(np.isfinite(found).all()), "predict gives what is not finite")


def _a_patient_is_predicted_alone(trial: Trial, _: InstalledRecipe) -> None:
    """A patient's prediction does not depend on who else is there."""
    cases = trial.prepared.held_out
    together = trial.predict(cases, trial.trained.arrays)
    some = np.arange(cases.n)[::3]
    alone = trial.predict(cases.take(some), trial.trained.arrays)
    _need(np.allclose(together[some], alone, rtol=1e-4, atol=1e-4), "it depends on the others")


def _it_learns(trial: Trial, _: InstalledRecipe) -> None:
    """Training lowers the loss that it reports."""
    before, after = trial.train().facts.get("loss_before"), trial.trained.facts.get("loss_after")
    _need(
        isinstance(before, float) and isinstance(after, float),
        "train reports no `loss_before` and `loss_after`",
    )
    _need(math.isfinite(float(after)) and float(after) < float(before), f"{before} → {after}")  # type: ignore[arg-type]


def _small_and_one_sided_sites_take_part(trial: Trial, _: InstalledRecipe) -> None:
    """A site of a dozen cases, or whose cases are all alike, can train and be judged."""
    train, held_out = trial.sides
    few = (train.take(np.arange(12)), held_out.take(np.arange(6)))
    alike = (
        replace(train, y=np.full_like(train.y, train.y[0])),
        replace(held_out, y=np.full_like(held_out.y, train.y[0])),
    )
    for sides in (few, alike):
        other = replace(trial, sides=sides)
        other.train()
        other.judge()


def _bytes_of(cases: Cases) -> bytes:
    return pack_arrays({"x": cases.x, "y": cases.y, "group": cases.group, **cases.tensors})


CHECKS: tuple[Check, ...] = (
    _it_is_who_its_card_says,
    _it_refuses_unknown_settings,
    _it_refuses_other_targets,
    _the_start_is_always_the_same,
    _preparing_leaves_its_input_alone,
    _training_cases_know_nothing_of_the_held_out,
    _a_round_is_always_the_same,
    _weights_keep_their_layout,
    _what_it_keeps_can_be_kept,
    _its_facts_may_leave,
    _predictions_have_their_shape,
    _a_patient_is_predicted_alone,
    _it_learns,
    _small_and_one_sided_sites_take_part,
)
"""Every check, in the order of a round."""
