"""How far drawn regions coincide with the true ones: Dice, sensitivity, precision."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.measures.records import NOTHING_MARKED, TOO_FEW_CASES, Measurement
from consilium.measures.resampling import RESAMPLES, measure_mean, number_patients
from consilium.measures.weighted import Vector


def dice(truth: npt.ArrayLike, drawn: npt.ArrayLike) -> Measurement:
    """Measure the Dice coefficient of two masks, within [0, 1].

    It is 2 |A and B| / (|A| + |B|). For many images take it image by image and
    hand the values to `measure_mean`, with NaN where it is undefined: a mean
    over pixels would let one large lesion speak for all patients.

    Parameters
    ----------
    truth, drawn : array of one shape, boolean or 0 and 1
        Masks of one image, of any number of axes.

    Returns
    -------
    Measurement
        `n` counts pixels or voxels. Undefined (`measures.nothing_marked`) when
        both masks are empty, where some programs say 1 and some say 0.

    Raises
    ------
    InputError
        `measures.bad_masks` when the shapes differ or a value is neither 0 nor 1.

    Sources
    -------
    Dice, Ecology 26, 1945; Maier-Hein et al., Nature Methods 21, 2024 (empty masks).

    Examples
    --------
    >>> dice([[1, 1], [0, 0]], [[1, 0], [0, 0]]).value
    0.6666666666666666
    """
    a, b = _check_masks(truth, drawn)
    marked = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    if not marked:
        return Measurement(value=None, n=a.size, reason=NOTHING_MARKED)
    both = int(np.count_nonzero(np.logical_and(a, b)))
    return Measurement(value=2 * both / marked, n=a.size)


def measure_masks(
    truth: npt.ArrayLike,
    drawn: npt.ArrayLike,
    *,
    group: npt.ArrayLike,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> dict[str, Measurement]:
    """Measure drawn masks image by image, with intervals over patients.

    Parameters
    ----------
    truth, drawn : array of shape (n, height, width), boolean or 0 and 1
        Masks of n images.
    group : array of shape (n,), integer
        Patient number of each image.
    seed, resamples, level
        As in `measure`.

    Returns
    -------
    dict of str to Measurement
        Means over images, within [0, 1]: `dice`; `sensitivity`, the share of
        the marked pixels that were drawn; `precision`, the share of the drawn
        pixels that are marked. An image in which one is undefined (nothing
        marked, nothing drawn) is left out of it, and `n` counts the others;
        undefined (`measures.nothing_marked`) when none is left.

    Raises
    ------
    InputError
        `measures.bad_masks`, `measures.bad_cases`.

    Sources
    -------
    Maier-Hein et al., Nature Methods 21, 2024: image by image, never over all pixels.
    """
    a, b = _check_masks(truth, drawn)
    number_patients(group, len(a))
    if not len(a):
        missing = Measurement(value=None, n=0, reason=TOO_FEW_CASES)
        return dict.fromkeys(("dice", "sensitivity", "precision"), missing)
    axes = tuple(range(1, a.ndim))
    both = np.count_nonzero(a & b, axis=axes).astype(np.float64)
    marked, said = np.count_nonzero(a, axis=axes), np.count_nonzero(b, axis=axes)
    shares = {
        "dice": _share(2 * both, marked + said),
        "sensitivity": _share(both, marked),
        "precision": _share(both, said),
    }
    return {
        name: _mean(each, group=group, seed=seed, resamples=resamples, level=level)
        for name, each in shares.items()
    }


def _mean(
    each: Vector, *, group: npt.ArrayLike, seed: int, resamples: int, level: float
) -> Measurement:
    if np.isnan(each).all():
        return Measurement(value=None, n=0, reason=NOTHING_MARKED)
    return measure_mean(each, group=group, seed=seed, resamples=resamples, level=level)


def _check_masks(
    truth: npt.ArrayLike, drawn: npt.ArrayLike
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    a, b = np.asarray(truth), np.asarray(drawn)
    if a.shape != b.shape or not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise InputError("measures.bad_masks", truth=a.shape, drawn=b.shape)
    return a.astype(bool), b.astype(bool)


def _share(part: Vector, whole: npt.NDArray[np.intp]) -> Vector:
    """Divide where there is something to divide by; NaN elsewhere."""
    share: Vector = np.full(part.shape, np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share
