"""The recipe's contract: what a hospital's installed training code must offer.

A recipe is a folder with `recipe.toml` (name, version, settings schema) and a
module that offers one `Recipe`. It has four site verbs (prepare, train,
evaluate, predict) and can make the starting model. It sees arrays only: no
path, no socket, no patient id. What it returns passes the hospital's output
gate before anything leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from consilium.gate.orders import FieldNeed
from consilium.kernel.canonical import Json, canonical_bytes
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp] | npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Patients' rows as arrays. They stay in the job process.

    Attributes
    ----------
    x : array of shape (n, n_columns), float64
        Before `prepare`: one column for each feature of the study, a category
        as its index in the study's list, missing as NaN. After it: whatever
        the recipe made of them.
    y : array of shape (n,), float64
        Label, 0 or 1.
    group : array of shape (n,), int64
        Patient number; rows of one patient share it.
    """

    x: Matrix
    y: Vector
    group: npt.NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.y)

    def take(self, index: Index) -> Cases:
        """Return the rows that `index` names."""
        return Cases(x=self.x[index], y=self.y[index], group=self.group[index])


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A site's cases, ready for the recipe: its training part and its held-out part."""

    train: Cases
    held_out: Cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The weights after local training and what may be said about it."""

    arrays: Arrays
    facts: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """The site's source of randomness: fixed by study, site and purpose.

    So a repeated round gives the same bytes, whatever happened in between.
    """

    seed: int
    participant: ParticipantId

    def draw(self, purpose: str, number: int = 0) -> np.random.Generator:
        """Return a fresh generator for one purpose, such as round 7 of `train`."""
        name = canonical_bytes([self.seed, self.participant, purpose, number])
        return np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest(), "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """What a site needs to know to judge a model on its held-out patients.

    `start` is the model that local-only training starts from, `rounds` how
    many rounds it trains: as many as the federation. No count below
    `min_cases` appears in calibration bins.
    """

    start: Arrays
    rounds: int
    chance: Chance
    min_cases: int = 10
    resamples: int = field(default=1000)


class Recipe(Protocol):
    """Installed training code. Its own settings type is opaque to everyone else."""

    @property
    def name(self) -> str:
        """The name in `recipe.toml`."""
        ...

    @property
    def version(self) -> str:
        """The version in `recipe.toml`."""
        ...

    def read_settings(self, given: Mapping[str, Any]) -> Any:
        """Return the recipe's typed settings; refuses what its schema does not allow."""
        ...

    def initial(
        self, features: Sequence[FieldNeed], settings: Any, *, seed: int
    ) -> dict[str, Matrix]:
        """Make the starting model; the same arguments give the same arrays."""
        ...

    def prepare(
        self, train: Cases, held_out: Cases, *, features: Sequence[FieldNeed], settings: Any
    ) -> Prepared:
        """Turn columns into inputs, learning from `train` alone."""
        ...

    def train(
        self, cases: Cases, start: Arrays, settings: Any, *, chance: Chance, number: int
    ) -> Trained:
        """Train round `number` on the site's training cases, from the global weights `start`."""
        ...

    def predict(self, cases: Cases, arrays: Arrays, settings: Any) -> Vector:
        """Return each case's log-odds of the label being 1."""
        ...

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Any, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Judge a model on the held-out part; aggregate figures only."""
        ...
