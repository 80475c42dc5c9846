"""How far predicted numbers lie from the true ones: mean absolute and root mean square error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from consilium.measures.records import TOO_FEW_CASES, Measurement
from consilium.measures.resampling import RESAMPLES, measure_figures, number_patients
from consilium.measures.weighted import Figure, check_finite, mean_of


def measure_errors(
    y: npt.ArrayLike,
    predicted: npt.ArrayLike,
    *,
    group: npt.ArrayLike,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> dict[str, Measurement]:
    """Measure the errors of predicted numbers, with intervals over patients.

    Parameters
    ----------
    y, predicted : array of shape (n,)
        True and predicted numbers in one unit; finite.
    group, seed, resamples, level
        As in `measure`.

    Returns
    -------
    dict of str to Measurement
        `mae` and `rmse` in the unit of `y`, at least 0, `mae` at most `rmse`;
        `mean_error`, predicted minus true: above 0 the predictions are too high.

    Raises
    ------
    InputError
        `measures.bad_values`, `measures.bad_cases`.

    Sources
    -------
    Willmott and Matsuura, Climate Research 30, 2005: what either error says.
    """
    figures = prepare_errors(y, predicted)
    number_patients(group, figures["mae"].n)
    return measure_figures(figures, group=group, seed=seed, resamples=resamples, level=level)


def prepare_errors(y: npt.ArrayLike, predicted: npt.ArrayLike) -> dict[str, Figure]:
    """Make the figures of `measure_errors` ready: for comparisons and other intervals."""
    true, said = check_finite(y, predicted)
    if not true.size:
        return dict.fromkeys(("mae", "rmse", "mean_error"), Figure(n=0, reason=TOO_FEW_CASES))
    error = said - true
    squared = mean_of(error**2)
    return {
        "mae": Figure(n=true.size, block=mean_of(np.abs(error))),
        "rmse": Figure(n=true.size, block=lambda weights: np.sqrt(squared(weights))),
        "mean_error": Figure(n=true.size, block=mean_of(error)),
    }
