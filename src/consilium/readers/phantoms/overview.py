"""Some patients of every disease on one sheet, for eyes to look at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from consilium.readers.phantoms.patients import CONDITIONS, EyePhantom

PATIENTS = 3


class Overview:
    """Collects the first patients of every disease.

    A patient is photograph, scan, and where vessels (red), lesions (green) and
    fluid (blue) were drawn.
    """

    def __init__(self) -> None:
        self._rows: dict[str, list[npt.NDArray[np.uint8]]] = {name: [] for name in CONDITIONS}

    def add(self, phantom: EyePhantom) -> None:
        """Keep a patient while its row has room."""
        row = self._rows[phantom.condition]
        if len(row) < PATIENTS:
            scan = np.repeat(phantom.oct[..., None], 3, axis=2)
            marks = np.stack([phantom.vessels, phantom.lesions, phantom.fluid], axis=2)
            row.append(np.concatenate([phantom.fundus, scan, marks * np.uint8(255)], axis=1))

    def draw(self) -> npt.NDArray[np.uint8]:
        """Draw the sheet: a row for each disease in the order of `CONDITIONS`; gaps are black.

        Returns
        -------
        array of shape (5 size, 9 size, 3), uint8
        """
        shape = next(row[0].shape for row in self._rows.values() if row)
        gap = np.zeros(shape, dtype=np.uint8)
        rows = [
            np.concatenate([*row, *[gap] * (PATIENTS - len(row))], axis=1)
            for row in self._rows.values()
        ]
        return np.concatenate(rows, axis=0)
