"""Gradient inversion: what a patient looks like, told from a hospital's update.

A linear layer with an intercept gives its inputs away when one case makes the
step: the slope of a weight is the error times the input, the slope of the
intercept the error alone, so their quotient is the patient. An update of many
steps over many patients gives a mixture; the audit asks how near the attack
comes to the nearest patient.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from consilium.federation.noise.steps import logistic_gradients
from consilium.kernel.canonical import Json

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

RECOGNISED = 0.1
"""A guess this near to a patient, in spreads of the inputs, shows that patient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InversionReport:
    """How near a reconstruction comes to the nearest patient.

    `error` is the root mean square difference in spreads of the inputs; `blind`
    the same for a guess without any update, the mean of all patients.
    """

    error: float
    blind: float

    @property
    def is_recognised(self) -> bool:
        """Say whether a patient was shown."""
        return self.error < RECOGNISED

    def as_record(self) -> dict[str, Json]:
        """Give plain JSON."""
        return asdict(self) | {"is_recognised": self.is_recognised}


def invert_linear(weight: Matrix, bias: Vector) -> Vector:
    """Reconstruct the inputs behind a step of a linear layer.

    Parameters
    ----------
    weight : array of shape (units, inputs)
        Change, or slope, of the layer's weights; of a network its first layer.
    bias : array of shape (units,)
        Of its intercepts.

    Returns
    -------
    array of shape (inputs,)
        From the unit whose intercept moved most; zeros where none moved.

    Discloses
    ---------
    To whoever calls it: what the update tells. It is for audits at home.

    Sources
    -------
    Phong et al., IEEE TIFS 13(5), 2018, section 3 (the quotient); Geiping et
    al., NeurIPS 2020, arXiv:2003.14053, proposition 3.1.
    """
    unit = int(np.argmax(np.abs(bias)))
    if bias[unit] == 0.0:
        return np.zeros(weight.shape[1])
    return np.asarray(weight[unit] / bias[unit], dtype=np.float64)


def audit_update(weight: Matrix, bias: Vector, inputs: Matrix) -> InversionReport:
    """Attack an update, and compare what comes out with the patients behind it.

    Parameters
    ----------
    inputs : array of shape (n, inputs)
        The hospital's training cases as the model saw them.

    Discloses
    ---------
    To whoever reads the report: two distances.
    """
    spread = inputs.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    guess = invert_linear(weight, bias)
    return InversionReport(
        error=_nearest(guess, inputs, scale), blind=_nearest(inputs.mean(axis=0), inputs, scale)
    )


def one_case_step(
    inputs: Matrix, y: Vector, weights: Vector, *, case: int
) -> tuple[Matrix, Vector]:
    """Return the slope of one case alone: the positive control for logistic regression.

    Parameters
    ----------
    weights : array of shape (inputs + 1,)
        The intercept last.

    Discloses
    ---------
    To whoever calls it: the case. It is for audits at home.
    """
    row = np.append(inputs[case], 1.0)[None, :]
    slope = logistic_gradients(row, y[case : case + 1], weights)[0]
    return slope[None, :-1], slope[-1:]


def _nearest(guess: Vector, inputs: Matrix, scale: Vector) -> float:
    apart = (inputs - guess) / scale
    return float(np.sqrt((apart**2).mean(axis=1)).min())
