"""Phantoms as files: a folder for each hospital, images as PNG, a manifest, the truth apart."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from consilium.ledger.files import write_atomic
from consilium.readers.phantoms.overview import Overview
from consilium.readers.phantoms.patients import CONDITIONS, PHANTOM_SITES, EyePhantom, make_phantoms
from consilium.readers.phantoms.png import encode_png

NOTE = "README.md"
MANIFEST = "manifest.csv"
OVERVIEW = "overview.png"
COLUMNS = ("patient_id", "site", "eye", "diagnosis", "diseased", "severity", "fundus", "oct")
_WORDS = """# Eye phantoms: nobody's eyes

Every image here was drawn by a program (`consilium phantom write`, {patients} patients, seed
{seed}, {size} pixels). No patient is behind any of them. They show how learning with two kinds
of image works when some hospitals own only one; they say nothing about eyes, and a model that was
trained on them must not be used on people.

Each folder is one invented hospital: `manifest.csv` with a line for each patient, `fundus/` and
`oct/` with the images that this hospital owns, `truth/` with what was drawn where (255 is yes).
`overview.png` shows some patients of every disease, a row each: {conditions}.
"""


def write_phantoms(
    folder: Path,
    *,
    patients: int,
    seed: int,
    size: int = 128,
    told: Callable[[int], None] = lambda _: None,
) -> dict[str, int]:
    """Draw patients and write them, one folder for each hospital.

    Parameters
    ----------
    folder : Path
        Made if needed; files of an earlier call are replaced.
    patients : int
        At least 1, over all hospitals.
    seed : int
        The same arguments give the same bytes on the same machine.
    size : int, optional
        Pixels along each edge, at least 32.
    told : callable, optional
        Called after each patient with how many are written.

    Returns
    -------
    dict of str to int
        Patients of each hospital.

    Raises
    ------
    InputError
        `readers.bad_phantom`.
    """
    lines: dict[str, list[tuple[str, ...]]] = {site.name: [] for site in PHANTOM_SITES}
    overview = Overview()
    for count, phantom in enumerate(make_phantoms(patients, seed=seed, size=size), start=1):
        overview.add(phantom)
        lines[phantom.site.name].append(_write_one(folder / phantom.site.name, phantom))
        told(count)
    for name, rows in lines.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        write_atomic(folder / name / MANIFEST, _table(rows).encode())
    write_atomic(folder / OVERVIEW, encode_png(overview.draw()))
    conditions = ", ".join(CONDITIONS)
    note = _WORDS.format(patients=patients, seed=seed, size=size, conditions=conditions)
    write_atomic(folder / NOTE, note.encode())
    return {name: len(rows) for name, rows in lines.items()}


def _write_one(folder: Path, phantom: EyePhantom) -> tuple[str, ...]:
    """Write the images that the hospital owns and their truth; return the manifest's line."""
    images = {"fundus": phantom.fundus, "oct": phantom.oct}
    truth = {
        "fundus": {"vessels": phantom.vessels, "lesions": phantom.lesions},
        "oct": {"fluid": phantom.fluid},
    }
    places = dict.fromkeys(images, "")
    for modality in phantom.site.modalities:
        places[modality] = f"{modality}/{phantom.patient}.png"
        _write(folder / places[modality], images[modality])
        for name, mask in truth[modality].items():
            _write(folder / "truth" / name / f"{phantom.patient}.png", mask.astype(np.uint8) * 255)
    return (
        phantom.patient,
        phantom.site.title,
        phantom.eye,
        phantom.condition,
        str(int(phantom.condition != "healthy")),
        f"{phantom.severity:.3f}",
        places["fundus"],
        places["oct"],
    )


def _write(path: Path, image: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, encode_png(image))


def _table(rows: list[tuple[str, ...]]) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows)
    return out.getvalue()
