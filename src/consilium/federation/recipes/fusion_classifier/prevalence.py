"""How frequent classes are at a site: added to the logits in training, it need not be learnt."""

from __future__ import annotations

import numpy as np

from consilium.federation.contract import Vector


def log_prevalence(y: Vector, outputs: int) -> Vector:
    """Return the log-odds of the positive class, or the log prevalence of each class.

    One case of each class is added, so that a class that the site lacks stays finite.

    Parameters
    ----------
    y : array of shape (n,), float64
        Labels of the training part: 0 or 1, or the class's index.
    outputs : int
        1 for yes or no, else the number of classes.

    Returns
    -------
    array of shape (outputs,), float64

    Discloses
    ---------
    Nothing: what it returns stays in the job process.

    Sources
    -------
    Menon et al., ICLR 2021, arXiv:2007.07314 (logit adjustment); Zhang et al.,
    ICML 2022, arXiv:2209.00189 (in a federation whose labels are skewed).
    """
    counts = np.bincount(y.astype(np.intp), minlength=max(2, outputs)) + 1.0
    shares = counts[1:] / counts[:1] if outputs == 1 else counts / counts.sum()
    return np.asarray(np.log(shares), dtype=np.float64)
