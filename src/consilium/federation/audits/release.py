"""The audit of one model before its release, by a hospital whose patients trained it.

Its training patients are told from its held-out part, which no round ever
trained on. Two attacks: the loss alone, and, where training is cheap, the loss
against that of models which did not see the patient. Each has a positive
control on the same patients: a model that learnt by heart must be found out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from consilium.federation.audits.membership import Fit, Members, deal_members, memorising_fit
from consilium.federation.audits.scores import Scores, by_patient, read_scores, sureness
from consilium.federation.contract import (
    Cases,
    Chance,
    Matrix,
    Needs,
    Prepared,
    Recipe,
    Vector,
    stack_cases,
    train_rounds,
)
from consilium.kernel.errors import InputError
from consilium.models.verdicts import Attack
from consilium.models.weights import Arrays

METHOD = "loss threshold and reference models, 1"
LOSS, REFERENCE = "loss", "reference"
REFERENCES = 16
"""Models trained for comparison where training is cheap: a recipe of columns alone."""
MOST_REFERENCES = 256
MOST_MEMORISED = 400
"""Patients of either side that a control learns or is tried on."""
MOST_INPUTS, DIRECTIONS = 4096, 64
"""Numbers of an image that a control looks at, and their random mixtures."""
SHARPNESS = 1000.0
"""How finely a control tells patients apart: those a thousandth of a spread apart are two."""

Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """The model that is attacked, and how it was trained.

    Attributes
    ----------
    arrays : mapping of str to array
        The shared model, as its passport names it.
    start : mapping of str to array
        What reference models start from.
    rounds : int
        Rounds of the study.
    chance : Chance
        The hospital's; its secret may be any, no reference model leaves.
    """

    recipe: Recipe
    arrays: Arrays
    start: Arrays
    needs: Needs
    settings: Any
    rounds: int
    chance: Chance


def audit_release(
    attacked: Attacked, prepared: Prepared, *, references: int, tell: Tell | None = None
) -> tuple[Attack, ...]:
    """Attack a model with a hospital's own patients.

    Parameters
    ----------
    prepared : Prepared
        The hospital's cases; its training part are the members.
    references : int
        Reference models, an even number up to `MOST_REFERENCES`; 0 for the loss alone.
    tell : callable, optional
        Hears how many reference models are trained, of how many.

    Raises
    ------
    InputError
        As `check_audit`; `federation.audit_not_finite`.

    Discloses
    ---------
    To whoever reads them: a few figures about all patients together.

    Sources
    -------
    Yeom et al., CSF 2018, arXiv:1709.01604 (loss); Watson et al., ICLR 2022,
    arXiv:2111.08440, and Carlini et al., S&P 2022, arXiv:2112.03570, section VI
    (offline, one variance for all cases).
    """
    check_audit(attacked.needs, references=references)
    both = stack_cases([prepared.train, prepared.held_out])
    inside = np.arange(both.n) < prepared.train.n
    generator = attacked.chance.draw("audit")
    seed = int(generator.integers(2**31))
    sure = _sure(attacked, attacked.arrays, both)
    control = _Control.make(both, inside, generator)
    scores = _part(sure, both.group, inside)
    found = [read_scores(LOSS, scores, control=control.by_loss(), seed=seed)]
    if references:
        fit = _reference_fit(attacked, both, tell=tell, total=references)
        usual = _mean_without(fit, both.group, references, generator)
        found.append(
            read_scores(
                REFERENCE,
                _part(sure - usual, both.group, inside),
                control=control.by_reference(references, generator),
                seed=seed,
            )
        )
    return tuple(found)


def check_audit(needs: Needs, *, references: int) -> None:
    """Return if a model can be attacked with so many reference models.

    Raises
    ------
    InputError
        `federation.bad_references`; `federation.audit_without_loss` for
        survival, where what a case loses depends on the others.

    Discloses
    ---------
    Nothing: it sees the plan.
    """
    if references % 2 or not 0 <= references <= MOST_REFERENCES:
        raise InputError("federation.bad_references", most=MOST_REFERENCES)
    if needs.target.kind == "survival":
        raise InputError("federation.audit_without_loss", kind=needs.target.kind)


def usual_references(needs: Needs) -> int:
    """Say how many reference models are worth their time: training on columns alone is cheap.

    Discloses
    ---------
    Nothing: it sees the plan.
    """
    return REFERENCES if len(needs.columns) == len(needs.features) else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Control:
    """Some patients of either side, and a way to learn them by heart."""

    fit: Fit
    group: npt.NDArray[np.int64]
    inside: Members

    @classmethod
    def make(cls, both: Cases, inside: Members, generator: np.random.Generator) -> _Control:
        _, firsts = np.unique(both.group, return_index=True)
        sides = [firsts[inside[firsts]], firsts[~inside[firsts]]]
        rows = np.concatenate([generator.permutation(side)[:MOST_MEMORISED] for side in sides])
        coins = generator.integers(0, 2, size=len(rows)).astype(np.float64)
        inputs = SHARPNESS * _inputs(both.take(rows), generator)
        fit = memorising_fit(inputs, coins)
        return cls(fit=fit, group=both.group[rows], inside=inside[rows])

    def by_loss(self) -> float:
        return _part(self.fit(self.inside, 0), self.group, self.inside).area

    def by_reference(self, models: int, generator: np.random.Generator) -> float:
        usual = _mean_without(self.fit, self.group, models, generator)
        return _part(self.fit(self.inside, 0) - usual, self.group, self.inside).area


def _sure(attacked: Attacked, arrays: Arrays, cases: Cases) -> Vector:
    raw = attacked.recipe.predict(cases, arrays, attacked.settings, kept={})
    return sureness(raw, cases, needs=attacked.needs)


def _reference_fit(attacked: Attacked, both: Cases, *, tell: Tell | None, total: int) -> Fit:
    """Train as the study did, at this hospital alone, on the members only."""

    def fit(members: Members, number: int) -> Vector:
        trained = train_rounds(
            attacked.recipe,
            both.take(members),
            attacked.start,
            attacked.settings,
            chance=_other(attacked.chance, number),
            rounds=attacked.rounds,
        )
        if tell is not None:
            tell(number + 1, total)
        return _sure(attacked, trained.arrays, both)

    return fit


def _other(chance: Chance, number: int) -> Chance:
    """Give each reference model its own chance, fixed by study and hospital."""
    seed = int(chance.draw("reference", number).integers(2**53))
    return Chance(seed=seed, participant=chance.participant, secret=chance.secret)


def _mean_without(
    fit: Fit, group: npt.NDArray[np.int64], models: int, generator: np.random.Generator
) -> Vector:
    """Return how sure models are of a case that they were not trained on, on average.

    Each patient is in half of the models, whichever side it stands on.
    """
    _, places = np.unique(group, return_inverse=True)
    dealt = deal_members(int(places.max()) + 1, models, generator)[:, places.reshape(-1)]
    sure = np.stack([fit(mask, number) for number, mask in enumerate(dealt)])
    return np.asarray(np.where(dealt, 0.0, sure).sum(axis=0) / (models // 2), dtype=np.float64)


def _part(scores: Vector, group: npt.NDArray[np.int64], inside: Members) -> Scores:
    return Scores(
        members=by_patient(scores[inside], group[inside]),
        others=by_patient(scores[~inside], group[~inside]),
    )


def _inputs(cases: Cases, generator: np.random.Generator) -> Matrix:
    """Return the cases as the control sees them: columns, and mixtures of what is no column."""
    parts = [_standard(np.nan_to_num(cases.x))]
    for name in sorted(cases.tensors):
        flat = cases.tensors[name].reshape(cases.n, -1)
        step = max(1, -(-flat.shape[1] // MOST_INPUTS))
        few = _standard(np.nan_to_num(flat[:, ::step].astype(np.float64)))
        mixing = generator.normal(size=(few.shape[1], DIRECTIONS))
        parts.append(_standard(few @ mixing))
    return np.concatenate(parts, axis=1)


def _standard(inputs: Matrix) -> Matrix:
    spread = inputs.std(axis=0)
    return np.asarray((inputs - inputs.mean(axis=0)) / np.where(spread > 0, spread, 1.0))
