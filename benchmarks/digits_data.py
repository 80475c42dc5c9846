"""The handwritten digits that come with scikit-learn, dealt to simulated hospitals.

1,797 images of 8 x 8 pixels, ten classes; no patient has anything to do with
them. Each class is dealt by shares from a Dirichlet distribution: with alpha
1 hospitals differ, with .1 each sees a few classes only. A partition is drawn
again until the smallest hospital has half of an even share. Each hospital's
cases are split 40/30/30 into training, validation and test parts.

Sources
-------
Smallest share and split: the label-skewed benchmark of PersonalizedFL (Lu et
al., arXiv:2112.00734). Data: Alpaydin, Kaynak, UCI, doi 10.24432/C50P49
(CC BY 4.0), as in `sklearn.datasets.load_digits`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Cases, Chance, Needs
from consilium.federation.recipes.tabular_mlp.descent import stack_models
from consilium.federation.recipes.tabular_mlp.network import forward
from consilium.gate.orders import FieldNeed, Target
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays

CLASSES = 10
TRAINED, VALIDATED = 0.4, 0.3
NEEDS = Needs(
    features=tuple(FieldNeed(name=f"pixel{place}", kind="number") for place in range(64)),
    target=Target(kind="classes", classes=tuple("0123456789")),
)
Figures = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Deal:
    """Several partitions side by side: S seeds of K sites, one seed after the other."""

    seeds: tuple[int, ...]
    sites: int
    train: tuple[Cases, ...]
    validation: tuple[Cases, ...]
    test: tuple[Cases, ...]

    @property
    def chances(self) -> list[Chance]:
        """Each site's randomness, in the order of the parts."""
        return [
            Chance(seed=seed, participant=name)
            for seed in self.seeds
            for name in site_names(self.sites)
        ]

    def by_seed(self, values: Sequence[float]) -> Figures:
        """Return one figure for each site as an array (S, K)."""
        return np.asarray(values, dtype=np.float64).reshape(len(self.seeds), self.sites)

    def places(self, seed: int) -> range:
        """Return where the sites of the seed at a place of `seeds` stand."""
        return range(seed * self.sites, (seed + 1) * self.sites)


def site_names(count: int) -> list[ParticipantId]:
    """Name the sites so that their order is that of their places."""
    return [ParticipantId(f"site{place:02}") for place in range(count)]


def deal(*, alpha: float, seeds: Sequence[int], sites: int) -> Deal:
    """Deal the digits anew for each seed."""
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    x, y = found.data / 16.0, found.target.astype(np.float64)
    parts = [part for seed in seeds for part in _partition(x, y, alpha, seed, sites)]
    return Deal(
        seeds=tuple(seeds),
        sites=sites,
        train=tuple(part[0] for part in parts),
        validation=tuple(part[1] for part in parts),
        test=tuple(part[2] for part in parts),
    )


def _partition(x: Figures, y: Figures, alpha: float, seed: int, sites: int) -> list[list[Cases]]:
    generator = np.random.default_rng(seed)
    owner = _owners(y, alpha=alpha, sites=sites, generator=generator)
    parts = []
    for site in range(sites):
        rows = generator.permutation(np.flatnonzero(owner == site))
        ends = [int(TRAINED * len(rows)), int((TRAINED + VALIDATED) * len(rows))]
        parts.append([Cases(x=x[part], y=y[part], group=part) for part in np.split(rows, ends)])
    return parts


def _owners(
    y: Figures, *, alpha: float, sites: int, generator: np.random.Generator
) -> npt.NDArray[np.intp]:
    owner = np.zeros(len(y), dtype=np.intp)
    while True:
        for label in range(CLASSES):
            rows = generator.permutation(np.flatnonzero(y == label))
            ends = np.cumsum(generator.dirichlet([alpha] * sites))[:-1] * len(rows)
            for site, hand in enumerate(np.split(rows, ends.astype(int))):
                owner[hand] = site
        if np.bincount(owner, minlength=sites).min() >= 0.5 * len(y) / sites:
            return owner


def hits(models: Sequence[Arrays], parts: Sequence[Cases]) -> list[npt.NDArray[np.bool_]]:
    """Return which cases of its own site's part each model gets right; one that diverged, none."""
    x = np.zeros((len(parts), max(part.n for part in parts), parts[0].x.shape[1]))
    for place, part in enumerate(parts):
        x[place, : part.n] = part.x
    with np.errstate(over="ignore", invalid="ignore"):
        out = forward(stack_models(models), x).out
    said = np.where(np.isfinite(out).all(axis=2), out.argmax(axis=2), -1)
    return [said[place, : part.n] == part.y for place, part in enumerate(parts)]


def accuracies(models: Sequence[Arrays], parts: Sequence[Cases]) -> list[float]:
    """Return each model's accuracy on its own site's part."""
    return [float(right.mean()) for right in hits(models, parts)]
