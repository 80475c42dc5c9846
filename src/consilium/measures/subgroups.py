"""A model's figures for groups of patients apart: by sex, by age, by scanner.

A good mean can hide a group the model fails. But small groups are small
counts: those below the least number of patients are hidden, and where what is
hidden could be found by subtraction from the whole, further groups hide with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.measures.intervals import METRICS, measure
from consilium.measures.records import HIDDEN_WITH_OTHERS, TOO_FEW, Measurement
from consilium.measures.resampling import RESAMPLES, number_patients
from consilium.measures.weighted import check_cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """One row of a subgroup table.

    Attributes
    ----------
    name : str
        The category.
    n, patients : int, optional
        Its cases and patients; None when the row is hidden.
    figures : mapping of str to Measurement
        By metric; empty when the row is hidden.
    reason : str, optional
        Why it is hidden: `measures.too_few` or `measures.hidden_with_others`.
    """

    name: str
    n: int | None = None
    patients: int | None = None
    figures: Mapping[str, Measurement] = field(default_factory=dict)
    reason: str | None = None

    def as_record(self) -> dict[str, Json]:
        """Give plain JSON."""
        return {
            "name": self.name,
            "n": self.n,
            "patients": self.patients,
            "figures": {name: one.as_record() for name, one in self.figures.items()},
            "reason": self.reason,
        }


def subgroup_table(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    *,
    category: npt.ArrayLike,
    group: npt.ArrayLike,
    least: int,
    seed: int,
    metrics: Sequence[str] = tuple(METRICS),
    resamples: int = RESAMPLES,
) -> tuple[Subgroup, ...]:
    """Measure binary predictions in each category, with 95 % intervals over patients.

    Parameters
    ----------
    y, p : array of shape (n,)
        Labels, 0 or 1, and predicted chances within [0, 1].
    category : array of shape (n,)
        Name of each case's category; ages and the like cut into groups before.
    group : array of shape (n,), integer
        Patient number of each case; a patient may appear in several categories.
    least : int
        Fewest patients of a row that is shown, at least 1.
    seed : int
        Not negative; the same for every row.
    metrics : sequence of str, optional
        Names out of `METRICS` and `ON_REQUEST`.
    resamples : int, optional
        Draws, at least 1.

    Returns
    -------
    tuple of Subgroup
        One for each category, by name. Rows below `least` are hidden; while the
        hidden rows together have fewer than `least` patients, the smallest
        shown row hides with them (`measures.hidden_with_others`), for whoever
        knows the whole could subtract. Two tables over different categories of
        the same patients are not protected against each other.

    Raises
    ------
    InputError
        `measures.bad_cases`, `measures.bad_least`, `measures.unknown_metric`.

    Sources
    -------
    Complementary suppression: Hundepool et al., Statistical Disclosure
    Control, 2012, chapter 4.
    """
    labels, chances = check_cases(y, p)
    patients = number_patients(group, labels.size)
    names, place = np.unique(np.asarray(category).astype(str), return_inverse=True)
    if place.shape != labels.shape:
        raise InputError("measures.bad_cases", labels=labels.size, predictions=place.size)
    if least < 1:
        raise InputError("measures.bad_least", least=least)
    inside = [np.unique(patients[place == one]) for one in range(names.size)]
    hidden = hide_groups(inside, least=least)
    rows = []
    for one, name in enumerate(names.tolist()):
        if one in hidden:
            rows.append(Subgroup(name=name, reason=hidden[one]))
            continue
        mine = place == one
        figures = measure(
            labels[mine],
            chances[mine],
            group=patients[mine],
            seed=seed,
            metrics=metrics,
            resamples=resamples,
        )
        rows.append(
            Subgroup(name=name, n=int(mine.sum()), patients=inside[one].size, figures=figures)
        )
    return tuple(rows)


def hide_groups(inside: Sequence[npt.NDArray[np.intp]], *, least: int) -> dict[int, str]:
    """Choose the groups to hide, so that none of fewer than `least` patients can be worked out.

    Parameters
    ----------
    inside : sequence of array, integer
        The patients of each group, each patient once.
    least : int
        Fewest patients of a group that is shown.

    Returns
    -------
    dict of int to str
        By place, why the group is hidden: `measures.too_few` or
        `measures.hidden_with_others`.
    """
    by_size = sorted(range(len(inside)), key=lambda one: (inside[one].size, one))
    hidden = {one: TOO_FEW for one in by_size if inside[one].size < least}
    for one in by_size[len(hidden) :]:
        together = {int(patient) for other in hidden for patient in inside[other]}
        if not hidden or len(together) >= least:
            break
        hidden[one] = HIDDEN_WITH_OTHERS
    return hidden
