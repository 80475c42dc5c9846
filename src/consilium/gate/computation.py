"""What the gate asks of the code that computes, and how it looks at what that gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from consilium.gate.columns import Labels, Numbers, Table
from consilium.gate.disclosure import Selection
from consilium.gate.figures import check_figures
from consilium.gate.grouping import Groups
from consilium.gate.questions import LOGISTIC, Question
from consilium.kernel.canonical import Digest, Json

Beta = tuple[float, ...]
"""Coefficients of a regression."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The cohort's rows, variables only: what figures are computed from.

    `values` and `patients` have shape (rows of the cohort,); a category is its
    place in the question's list, missing is NaN. `groups` are the bins and
    categories that may be told apart.
    """

    values: Mapping[str, Numbers]
    patients: Labels
    groups: tuple[Groups, ...]
    beta: Beta


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Computed:
    """Figures, and how much each row weighs in them where rows weigh differently.

    `beta` is where a step of a regression was taken.
    """

    figures: dict[str, Json]
    weights: tuple[Numbers, ...] = ()
    beta: Beta = field(default=())


class Computation(Protocol):
    """Code that turns a cohort into figures. It sees numbers, and answers with numbers."""

    @property
    def digest(self) -> Digest:
        """Fingerprint of its files; agreements name it."""
        ...

    def compute(self, question: Question, sample: Sample) -> Computed:
        """Return the figures of one step."""
        ...

    def begin(self, question: Question) -> Beta:
        """Return where the first step is taken."""
        ...

    def advance(self, beta: Beta, figures: Sequence[Mapping[str, Json]]) -> Beta:
        """Return where the next step is taken, from all hospitals' figures of this one."""
        ...


def compute_exact(
    computation: Computation,
    question: Question,
    table: Table,
    selection: Selection,
    *,
    step: int,
    beta: Beta,
    k: int,
    room: int,
) -> Computed | None:
    """Compute the figures of a step, or None where they would say too much.

    Figures in several steps are no totals of one function, so the partition
    does not cover them. They are bounded otherwise: a question has fewer
    figures in all its steps than there are values behind it; all such
    questions together have at most `room` more; and at no step do fewer than
    `k` patients carry the weight.

    Raises
    ------
    DeniedError
        `gate.not_figures`.
    """
    rows = selection.rows
    sample = Sample(
        values={name: table.values[name][rows] for name in question.variables},
        patients=table.patients[rows],
        groups=selection.groups,
        beta=beta,
    )
    computed = computation.compute(question, sample)
    figures = _hide(computed.figures, selection.hidden)
    size = check_figures(figures, names=question.words)
    if question.statistic == LOGISTIC and k > 1:
        behind = _count(sample.patients) * len(question.variables)
        too_many = size * question.steps > behind or size * (question.steps - step) > room
        if too_many or any(_carriers(weights, sample.patients) < k for weights in computed.weights):
            return None
    return Computed(figures=figures, beta=beta)


def _hide(figures: dict[str, Json], hidden: tuple[str, ...]) -> dict[str, Json]:
    """Leave out the numbers of missing values that are too small."""
    missing = figures.get("missing")
    if not isinstance(missing, Mapping):
        return figures
    shown = {name: None if name in hidden else value for name, value in missing.items()}
    return {**figures, "missing": shown}


def _count(patients: Labels) -> int:
    return int(np.unique(patients).size)


def _carriers(weights: Numbers, patients: Labels) -> float:
    """Return how many patients carry the weight: the square of the sum by the sum of squares."""
    sums = np.bincount(patients, weights=np.abs(weights))
    squares = float(np.square(sums).sum())
    return float(sums.sum()) ** 2 / squares if squares else 0.0
