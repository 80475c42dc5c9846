"""Scores of patients, and what they say: how well members are told from others.

A score is the higher the surer a model is of what is true of a patient. Figures
are taken over patients, each once, with intervals from drawing patients again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Cases, Needs, Tensor, Vector
from consilium.federation.evaluation.kinds import kind_of
from consilium.kernel.errors import InputError
from consilium.measures.discrimination import Auroc
from consilium.measures.records import Measurement
from consilium.measures.resampling import measure_figures
from consilium.measures.weighted import BlockOf, Matrix, prepare_figure
from consilium.models.verdicts import Attack

FALSE_RATES = (0.01, 0.05, 0.1)
"""Shares of others that may be accused, the lowest that can be measured is taken."""
FEWEST_ACCUSED = 3
"""Patients that a false rate must mean at least: fewer measure nothing."""
SMALLEST_LOSS = 1e-12

Groups = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One score for each patient: of those trained on, and of the others."""

    members: Vector
    others: Vector

    @property
    def area(self) -> float:
        """The chance that a member scores higher than another patient; ties count half."""
        ordered = np.sort(self.others)
        below = np.searchsorted(ordered, self.members, side="left")
        not_above = np.searchsorted(ordered, self.members, side="right")
        return float((below + not_above).mean() / (2 * len(ordered)))


def sureness(raw: Tensor, cases: Cases, *, needs: Needs) -> Vector:
    """Say how sure a model is of each case: the log-odds of the truth.

    The loss of the target's kind is read as that of a chance, so a small loss
    becomes a large score; only the order of scores matters to a threshold.

    Parameters
    ----------
    raw : array
        As the recipe predicts, rows along the first axis.

    Returns
    -------
    array of shape (n,)

    Raises
    ------
    InputError
        `federation.audit_not_finite`.

    Discloses
    ---------
    Nothing: scores of patients stay in the process.

    Sources
    -------
    Yeom et al., CSF 2018, arXiv:1709.01604 (the loss threshold); Carlini et
    al., S&P 2022, arXiv:2112.03570, section V (the scale).
    """
    if not np.isfinite(raw).all():
        raise InputError("federation.audit_not_finite")
    kind = kind_of(needs.target)
    losses = np.maximum(kind.losses(cases, kind.read(raw)).each, SMALLEST_LOSS)
    return np.asarray(-losses - np.log(-np.expm1(-losses)), dtype=np.float64)


def by_patient(scores: Vector, group: Groups) -> Vector:
    """Return each patient's mean score, in the order of their numbers.

    Discloses
    ---------
    Nothing: scores of patients stay in the process.
    """
    _, places, counts = np.unique(group, return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(places.reshape(-1), weights=scores) / counts, dtype=np.float64)


def read_scores(name: str, scores: Scores, *, control: float, seed: int) -> Attack:
    """Take an attack's figures, with 95 % intervals over patients.

    Parameters
    ----------
    control : float
        The area that the same attack reached where it must succeed.
    seed : int
        Of the resamples.

    Discloses
    ---------
    To whoever reads them: two figures about all patients together.

    Sources
    -------
    Ye et al., CCS 2022, arXiv:2111.09679 (the threshold from a population).
    """
    y = np.repeat([1.0, 0.0], [len(scores.members), len(scores.others)])
    p = np.concatenate([scores.members, scores.others])
    fpr = _lowest_rate(len(scores.others))
    figures = {"area": prepare_figure(Auroc(), y, p)}
    if fpr is not None:
        figures["found"] = prepare_figure(_Found(rate=fpr), y, p)
    taken = measure_figures(figures, group=np.arange(len(y)), seed=seed)
    area, found = taken["area"], taken.get("found", Measurement(value=None, n=len(y)))
    return Attack(
        name=name,
        auc=_rounded(area.value, 0.5),
        auc_low=_rounded(area.low, 0.0),
        auc_high=_rounded(area.high, 1.0),
        fpr=fpr,
        tpr=None if fpr is None else _rounded(found.value, 0.0),
        tpr_low=None if fpr is None else _rounded(found.low, 0.0),
        tpr_high=None if fpr is None else _rounded(found.high, 1.0),
        control=_rounded(control, 0.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Share of members above the score that a share `rate` of the others exceeds."""

    rate: float

    def reason(self, y: Vector, p: Vector) -> str | None:
        """Both sides are there: the caller has counted them."""
        del y, p
        return None

    def prepare(self, y: Vector, p: Vector) -> BlockOf:
        """Sort once; each resample finds its own threshold."""
        inside, outside = np.flatnonzero(y == 1.0), np.flatnonzero(y == 0.0)
        members = inside[np.argsort(-p[inside], kind="stable")]
        others = outside[np.argsort(-p[outside], kind="stable")]
        # How many members, the surest first, score above each of the others.
        above = np.searchsorted(-p[members], -p[others], side="left")

        def block(weights: Matrix) -> Vector:
            accused = np.cumsum(weights[:, others], axis=1)
            free = accused <= self.rate * accused[:, -1:]
            places = np.minimum(free.sum(axis=1), len(others) - 1)
            found = np.cumsum(np.pad(weights[:, members], ((0, 0), (1, 0))), axis=1)
            with np.errstate(invalid="ignore"):  # a resample without members: 0 / 0
                share: Vector = found[np.arange(len(weights)), above[places]] / found[:, -1]
            return share

        return block


def _lowest_rate(others: int) -> float | None:
    return next((rate for rate in FALSE_RATES if rate * others >= FEWEST_ACCUSED), None)


def _rounded(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else round(float(value), 4)
