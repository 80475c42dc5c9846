"""The partial likelihood of one site as one stratum, and gradient descent on it.

The likelihood of a stratified Cox model is the product of the strata's. With a
site for each stratum its gradient is a sum of what each site can compute alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of `recipe.toml`, typed."""

    learning_rate: float = 0.1
    local_steps: int = 10
    proximal_mu: float = 0.0
    l2: float = 0.0
    ties: str = "efron"
    scaling: str = "site"
    personal: str = "none"
    personal_lambda: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """One site's cases, the longest followed first, and its events.

    Attributes
    ----------
    x : array of shape (n, d), float64
        Inputs, by falling time.
    events : array of shape (m,), int
        Rows of the events, in the same order.
    last_at_risk, first_tied, last_tied : arrays of shape (m,), int
        For each event: the last row still at risk at its time, and the first
        and last event (in `events`) at the same time.
    share : array of shape (m,), float64
        Part of its tied events' risk that is taken off for the event: l / d for
        the l-th of d by Efron, 0 by Breslow.
    """

    x: Matrix
    events: npt.NDArray[np.intp]
    last_at_risk: npt.NDArray[np.intp]
    first_tied: npt.NDArray[np.intp]
    last_tied: npt.NDArray[np.intp]
    share: Vector

    @classmethod
    def of(cls, x: Matrix, *, times: Vector, events: Vector, ties: str) -> Stratum:
        """Sort a site's cases.

        Parameters
        ----------
        x : array of shape (n, d), float64
        times : array of shape (n,), float64
            0 or more, in any unit: only their order counts.
        events : array of shape (n,), float64
            1 for an event, 0 for a censored case. Censored at the time of an
            event counts as still at risk.
        ties : str
            `efron` or `breslow`.
        """
        order = np.argsort(-times, kind="stable")
        falling = times[order]
        rows = np.flatnonzero(events[order] == 1.0)
        when = -falling[rows]
        first = np.searchsorted(when, when, side="left")
        last = np.searchsorted(when, when, side="right") - 1
        place = np.arange(len(rows)) - first
        share = place / (last - first + 1) if ties == "efron" else np.zeros(len(rows))
        at_risk = np.searchsorted(-falling, when, side="right") - 1
        return cls(
            x=x[order],
            events=rows,
            last_at_risk=at_risk,
            first_tied=first,
            last_tied=last,
            share=share,
        )

    def loss(self, weights: Vector) -> float:
        """Return the negative log partial likelihood over n; 0 without events."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            z = self.x @ weights
            total, _ = self._sums(z)
            chosen = z[self.events] - z.max(initial=-np.inf)
            return float(np.sum(np.log(total) - chosen) / len(self.x))

    def slope(self, weights: Vector) -> Vector:
        """Return the gradient of `loss`, shape (d,)."""
        if not len(self.events):
            return np.zeros(len(weights))
        total, moment = self._sums(self.x @ weights)
        expected: Vector = moment / total[:, None] - self.x[self.events]
        slope: Vector = expected.sum(axis=0) / len(self.x)
        return slope

    def _sums(self, z: Vector) -> tuple[Vector, Matrix]:
        """Return Σ exp(z) and Σ x exp(z) over each event's risk set, less its share of ties.

        Both divided by exp(max z), so that nothing overflows.
        """
        odds = np.exp(z - z.max(initial=-np.inf))
        both = np.concatenate([odds[:, None], odds[:, None] * self.x], axis=1)
        at_risk = np.cumsum(both, axis=0)[self.last_at_risk]
        events = np.concatenate(
            [np.zeros((1, both.shape[1])), np.cumsum(both[self.events], axis=0)]
        )
        tied = events[self.last_tied + 1] - events[self.first_tied]
        sums = at_risk - self.share[:, None] * tied
        return sums[:, 0], sums[:, 1:]


def descend(stratum: Stratum, start: Vector, *, home: Vector, settings: Settings) -> Vector:
    """Take `settings.local_steps` steps from `start`, each over all cases.

    Each step lowers the loss plus μ/2 ‖w - home‖² and l2/2 ‖w‖². A site without
    events only feels the pulls.

    Parameters
    ----------
    stratum : Stratum
        The site's cases.
    start : array of shape (d,), float64
    home : array of shape (d,), float64
        The weights that the proximal term pulls to.

    Returns
    -------
    array of shape (d,), float64

    Discloses
    ---------
    Nothing by itself: the gate judges the weights before they leave.

    Sources
    -------
    Cox, J R Stat Soc B 34, 1972, and Biometrika 62, 1975 (partial likelihood);
    Efron, J Am Stat Assoc 72, 1977; Breslow, Biometrics 30, 1974 (ties);
    Kalbfleisch, Prentice, The Statistical Analysis of Failure Time Data, 2nd
    ed. 2002, section 4.4 (strata).
    """
    weights = start.copy()
    # A learning rate may diverge; the output gate refuses what is not finite.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(settings.local_steps):
            slope = stratum.slope(weights)
            slope += settings.proximal_mu * (weights - home) + settings.l2 * weights
            weights -= settings.learning_rate * slope
    return weights
