"""Drawing patients again and again: the interval of any figure, and of a difference.

Patients are drawn with replacement, each with all its cases, and every figure
of one call is taken on the same draws. The same arguments give the same
figures to the last bit on the same machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.measures.records import (
    TOO_FEW_CASES,
    TOO_FEW_PATIENTS,
    TOO_FEW_RESAMPLES,
    Measurement,
)
from consilium.measures.weighted import BlockOf, Figure, Matrix, Vector, mean_of, take_plain

RESAMPLES = 1000
LEAST_VALID = 0.5
"""An interval needs this share of resamples in which the figure is defined."""

Patients = npt.NDArray[np.intp]

_BLOCK = 4_000_000  # weights held at once: 32 MB


def number_patients(group: npt.ArrayLike, cases: int) -> Patients:
    """Return a dense patient number, from 0, for each of so many cases.

    Raises
    ------
    InputError
        `measures.bad_cases` when `group` has another length.
    """
    patients = np.unique(np.asarray(group), return_inverse=True)[1].reshape(-1)
    if patients.shape != (cases,):
        raise InputError("measures.bad_cases", labels=cases, predictions=patients.size)
    return patients


def measure_figures(
    figures: Mapping[str, Figure],
    *,
    group: npt.ArrayLike,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> dict[str, Measurement]:
    """Take figures over the same cases, each with a percentile interval over patients.

    Parameters
    ----------
    figures : mapping of str to Figure
        All over the same n cases, in the same order.
    group : array of shape (n,), integer
        Patient number of each case.
    seed : int
        Not negative.
    resamples : int, optional
        Draws, at least 1.
    level : float, optional
        Share that the interval covers, within (0, 1).

    Returns
    -------
    dict of str to Measurement
        Without interval, and with the reason, where there are fewer than two
        patients or too few draws in which the figure is defined.

    Raises
    ------
    InputError
        `measures.bad_cases`.

    Sources
    -------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13;
    resampling whole patients: Davison and Hinkley, 1997, section 3.8.
    """
    found = {name: take_plain(figure) for name, figure in figures.items()}
    blocks = {
        name: figure.block
        for name, figure in figures.items()
        if figure.block is not None and found[name].value is not None
    }
    for figure in figures.values():
        patients = number_patients(group, figure.n)
    if not blocks:
        return found
    if patients.max() < 1:
        return found | {name: replace(found[name], reason=TOO_FEW_PATIENTS) for name in blocks}
    draws = resample(blocks, patients=patients, seed=seed, resamples=resamples)
    return found | {name: with_interval(found[name], draws[name], level) for name in blocks}


def measure_mean(
    values: npt.ArrayLike,
    *,
    group: npt.ArrayLike,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Measurement:
    """Take the mean of one number per case, such as a Dice coefficient per image.

    Parameters
    ----------
    values : array of shape (n,)
        NaN marks a case in which the number is undefined; it is left out.
    group, seed, resamples, level
        As in `measure_figures`.

    Returns
    -------
    Measurement
        `n` counts the cases in which the number is defined.
    """
    each = np.asarray(values, dtype=np.float64).reshape(-1)
    kept = np.isfinite(each)
    number_patients(group, each.size)
    if not kept.any():
        return Measurement(value=None, n=0, reason=TOO_FEW_CASES)
    return measure_figures(
        {"mean": Figure(n=int(kept.sum()), block=mean_of(each[kept]))},
        group=np.asarray(group)[kept],
        seed=seed,
        resamples=resamples,
        level=level,
    )["mean"]


def resample(
    blocks: Mapping[str, BlockOf], *, patients: Patients, seed: int, resamples: int
) -> dict[str, Vector]:
    """Take each figure on each draw of patients; a block of draws at a time.

    Returns
    -------
    dict of str to array of shape (resamples,)
        NaN where the figure is undefined on a draw.
    """
    found = {name: np.empty(resamples) for name in blocks}
    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // patients.size)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        weights = _draw(generator, patients, count)
        for name, block in blocks.items():
            found[name][start : start + count] = block(weights)
    return found


def with_interval(plain: Measurement, draws: Vector, level: float) -> Measurement:
    """Give a figure the percentiles of its draws, if enough of them are defined."""
    valid = draws[np.isfinite(draws)]
    skipped = draws.size - valid.size
    if valid.size < max(1, LEAST_VALID * draws.size):
        return replace(plain, reason=TOO_FEW_RESAMPLES, skipped=skipped)
    tail = (1 - level) / 2
    low, high = np.quantile(valid, (tail, 1 - tail))
    return replace(plain, low=float(low), high=float(high), skipped=skipped)


def _draw(generator: np.random.Generator, patients: Patients, count: int) -> Matrix:
    """Draw patients with replacement; a case weighs as often as its patient was drawn."""
    n_patients = int(patients.max()) + 1
    drawn = generator.integers(0, n_patients, size=(count, n_patients))
    drawn += np.arange(count)[:, None] * n_patients
    times = np.bincount(drawn.reshape(-1), minlength=count * n_patients)
    weights: Matrix = times.reshape(count, n_patients)[:, patients].astype(np.float64)
    return weights
