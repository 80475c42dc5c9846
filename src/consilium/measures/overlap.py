"""How far a drawn region coincides with the true one: the Dice coefficient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from consilium.kernel.errors import InputError
from consilium.measures.records import NOTHING_MARKED, Measurement


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
    a, b = np.asarray(truth), np.asarray(drawn)
    if a.shape != b.shape or not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise InputError("measures.bad_masks", truth=a.shape, drawn=b.shape)
    marked = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    if not marked:
        return Measurement(value=None, n=a.size, reason=NOTHING_MARKED)
    both = int(np.count_nonzero(np.logical_and(a, b)))
    return Measurement(value=2 * both / marked, n=a.size)
