"""Which modalities a study has, what each is made of, and which of a case are present."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Cases, Matrix, Needs, Tensor
from consilium.federation.recipes.fusion_classifier.settings import Settings
from consilium.federation.recipes.tabular_logistic.inputs import (
    Scaling,
    count_inputs,
    expand,
    learn_scaling,
)
from consilium.gate.orders import FieldNeed

Floats = npt.NDArray[np.float32]
HEAD, PRESENT = "head", "present"
"""Names that no modality may have: the head's arrays, and the tensor of flags."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """One modality of a study: columns of the table, or one image, or one signal.

    Attributes
    ----------
    name : str
        First part of its encoder's array names.
    kind : str
        `table`, `image` or `signal`.
    shape : tuple of int
        What the encoder takes of one case: (inputs,), (height, width,
        channels) or (length, channels).
    fields : tuple of FieldNeed
        In the study's order.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    fields: tuple[FieldNeed, ...]

    @property
    def size(self) -> int:
        """Numbers of one case."""
        return math.prod(self.shape)


def list_modalities(needs: Needs) -> tuple[Modality, ...] | None:
    """List a study's modalities in the order of its fields; `None` where one cannot be served.

    Discloses
    ---------
    Nothing: it sees names and shapes, no data.
    """
    names = dict.fromkeys(need.modality for need in needs.features)
    found = [
        _read(name, tuple(need for need in needs.features if need.modality == name))
        for name in names
    ]
    known = tuple(modality for modality in found if modality is not None)
    return known if known and len(known) == len(found) else None


def _read(name: str, fields: tuple[FieldNeed, ...]) -> Modality | None:
    """Make a modality; a mixture of columns and images, or two images, is none."""
    if name in (HEAD, PRESENT) or not _NAME.fullmatch(name):
        return None
    if all(need.is_column for need in fields):
        shape: tuple[int, ...] = (count_inputs(fields),)
        return Modality(name=name, kind="table", shape=shape, fields=fields) if shape[0] else None
    if len(fields) > 1:
        return None
    return Modality(name=name, kind=fields[0].kind, shape=fields[0].shape, fields=fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Turns cases into what the network takes; what it has learnt stays at the site."""

    needs: Needs
    modalities: tuple[Modality, ...]
    scalings: dict[str, Scaling]

    def read(self, cases: Cases) -> dict[str, Floats]:
        """Return one tensor for each modality, and which modality each case has.

        Parameters
        ----------
        cases : Cases
            Before `prepare`.

        Returns
        -------
        dict of str to array, float32
            By modality's name (n, *its shape), 0 where absent; under `PRESENT`
            (n, modalities), 1 or 0, in the order of the names.
        """
        tensors, flags = {}, []
        for modality in sorted(self.modalities, key=lambda one: one.name):
            block, present = self._take(cases, modality)
            block = np.where(present[:, None], block, 0.0).astype(np.float32)
            tensors[modality.name] = block.reshape(cases.n, *modality.shape)
            flags.append(present)
        return tensors | {PRESENT: np.stack(flags, axis=1).astype(np.float32)}

    def _take(self, cases: Cases, modality: Modality) -> tuple[Tensor, Tensor]:
        if modality.kind == "table":
            columns = columns_of(cases, modality, self.needs)
            present = np.logical_not(np.isnan(columns).all(axis=1, keepdims=True))[:, 0]
            scaling = self.scalings[modality.name]
            return scaling.apply(expand(columns, modality.fields)), present
        given = cases.tensors.get(modality.fields[0].name)
        if given is None:
            return np.zeros((cases.n, modality.size)), np.zeros(cases.n, dtype=bool)
        numbers = np.nan_to_num(given.reshape(cases.n, -1).astype(np.float32))
        # Black throughout, or not a number anywhere: nothing was taken of this patient.
        return scale_rows(numbers), (numbers != 0).any(axis=1)


def learn_inputs(
    train: Cases, needs: Needs, modalities: tuple[Modality, ...], *, settings: Settings
) -> Inputs:
    """Learn each table's z-scores from a site's training part alone.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    scalings = {}
    for modality in modalities:
        if modality.kind == "table":
            inputs = expand(columns_of(train, modality, needs), modality.fields)
            plain = Scaling(mean=np.zeros(modality.size), spread=np.ones(modality.size))
            learnt = settings.scaling == "site"
            scalings[modality.name] = learn_scaling(inputs) if learnt else plain
    return Inputs(needs=needs, modalities=modalities, scalings=scalings)


def columns_of(cases: Cases, modality: Modality, needs: Needs) -> Matrix:
    """Return the columns of one table, as the study orders them.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    names = {need.name for need in modality.fields}
    return cases.x[:, [need.name in names for need in needs.columns]]


def scale_rows(numbers: Floats) -> Floats:
    """Scale each case's image or signal by its own mean and spread.

    Parameters
    ----------
    numbers : array of shape (n, size), float32

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    spread = np.maximum(numbers.std(axis=1, keepdims=True), 1e-6)
    return np.asarray((numbers - numbers.mean(axis=1, keepdims=True)) / spread, dtype=np.float32)
