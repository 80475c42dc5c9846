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
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from consilium.gate.orders import BINARY, FieldNeed, Target
from consilium.kernel.canonical import Json, canonical_bytes
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Tensor = npt.NDArray[Any]
Index = npt.NDArray[np.intp] | npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Patients' rows as arrays. They stay in the job process.

    Attributes
    ----------
    x : array of shape (n, n_columns), float64
        Before `prepare`: one column for each number and category of the study,
        a category as its index in the study's list, missing as NaN; so are the
        columns of a modality that the site does not have. After it: whatever
        the recipe made of them.
    y : array of shape (n,), float64
        By kind of target: 0 or 1; the class's index; the number; 1 for an
        event and 0 for a censored case; 0 for masks.
    group : array of shape (n,), int64
        Patient number; rows of one patient share it.
    tensors : mapping of str to array
        What is no column, rows along the first axis: images by field name
        (n, height, width, channels), uint8, uint16 or float32; signals (n,
        length, channels), float32; `time` (n,), float64, for survival; `mask`
        (n, height, width), uint8, for masks. A modality that the site does not
        have is absent.
    """

    x: Matrix
    y: Vector
    group: npt.NDArray[np.int64]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.y)

    def take(self, index: Index) -> Cases:
        """Return the rows that `index` names."""
        return Cases(
            x=self.x[index],
            y=self.y[index],
            group=self.group[index],
            tensors={name: tensor[index] for name, tensor in self.tensors.items()},
        )


def stack_cases(parts: Sequence[Cases]) -> Cases:
    """Put several sites' rows under one another; patients of different sites stay different.

    Tensors that not all of them have are left out.

    Discloses
    ---------
    Nothing: it is for data that lie in one place already.
    """
    groups, above = [], 0
    for part in parts:
        groups.append(part.group + above)
        above += int(part.group.max(initial=-1)) + 1
    shared = set.intersection(*(set(part.tensors) for part in parts))
    return Cases(
        x=np.concatenate([part.x for part in parts]),
        y=np.concatenate([part.y for part in parts]),
        group=np.concatenate(groups),
        tensors={
            name: np.concatenate([part.tensors[name] for part in parts]) for name in sorted(shared)
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a study asks of the data: its fields in order, and what is predicted."""

    features: tuple[FieldNeed, ...]
    target: Target = BINARY

    @property
    def columns(self) -> tuple[FieldNeed, ...]:
        """The fields that are columns of `x`, in their order."""
        return tuple(need for need in self.features if need.is_column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A site's cases, ready for the recipe.

    `validation` are patients of the training side that no round trains on, for
    choosing between models; `None` where the recipe chooses by folds.
    """

    train: Cases
    held_out: Cases
    validation: Cases | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The weights after local training, and what may be said about it.

    `kept` is what the hospital keeps for the next round, such as a personal
    model; it never leaves.
    """

    arrays: Arrays
    facts: Mapping[str, Json]
    kept: Arrays = field(default_factory=dict)


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
    many rounds it trains: as many as the federation. `kept` is what the site
    kept after the last round. No count below `min_cases` appears in
    calibration bins.
    """

    needs: Needs
    start: Arrays
    rounds: int
    chance: Chance
    min_cases: int = 10
    resamples: int = field(default=1000)
    kept: Arrays = field(default_factory=dict)


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

    def initial(self, needs: Needs, settings: Any, *, seed: int) -> dict[str, Tensor]:
        """Make the starting model, of the shared arrays only.

        The same arguments give the same arrays.

        Raises
        ------
        InputError
            `federation.recipe_does_not_fit` when the recipe cannot serve the needs.
        """
        ...

    def prepare(
        self, train: Cases, held_out: Cases, *, needs: Needs, settings: Any, chance: Chance
    ) -> Prepared:
        """Turn fields into inputs, learning from `train` alone."""
        ...

    def train(
        self,
        cases: Cases,
        start: Arrays,
        settings: Any,
        *,
        chance: Chance,
        number: int,
        kept: Arrays,
    ) -> Trained:
        """Train round `number` on the site's training cases, from the global weights `start`.

        `kept` is what the site kept after its round before; empty at first.
        """
        ...

    def predict(self, cases: Cases, arrays: Arrays, settings: Any, *, kept: Arrays) -> Tensor:
        """Return each case's prediction, on the scale of the target's kind.

        Log-odds (n,) for `binary`; logits (n, classes); the number (n,); a risk
        score (n,) for `survival`; logits (n, height, width) for `mask`. With
        `kept` the site's personal model, without it the shared one alone.
        """
        ...

    def evaluate(
        self, prepared: Prepared, arrays: Arrays, settings: Any, *, plan: EvaluationPlan
    ) -> dict[str, Json]:
        """Judge a model on the held-out part; aggregate figures only."""
        ...


@runtime_checkable
class TrainsMany(Protocol):
    """A recipe that also trains many sites of one process at once."""

    def train_many(
        self,
        cases: Sequence[Cases],
        starts: Sequence[Arrays],
        settings: Any,
        *,
        chances: Sequence[Chance],
        number: int,
        kept: Sequence[Arrays],
    ) -> list[Trained]:
        """Train one round at several sites; what comes out for each is what `train` gives.

        All sequences have one place for each site.
        """
        ...


def train_rounds(
    recipe: Recipe, cases: Cases, start: Arrays, settings: Any, *, chance: Chance, rounds: int
) -> Trained:
    """Train for several rounds on one site's cases alone, each from where the last ended.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    trained = Trained(arrays=start, facts={})
    for number in range(1, rounds + 1):
        trained = recipe.train(
            cases, trained.arrays, settings, chance=chance, number=number, kept=trained.kept
        )
    return trained
