"""Invented patients: which disease, which hospital, which camera; and both of their images.

Everything about a patient follows from the seed and the patient's number, so
the fifth patient is the same among ten and among ten thousand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.errors import InputError
from consilium.readers.phantoms.canvas import Mask, blur, to_bytes
from consilium.readers.phantoms.fundus import Fundus, FundusFindings, draw_fundus
from consilium.readers.phantoms.tomography import Scan, ScanFindings, draw_scan

CONDITIONS = ("healthy", "retinopathy", "macular_oedema", "drusen", "glaucoma")
"""Retinopathy shows in the photograph alone, oedema nearly only in the scan, the others in both."""
LEAST_SIZE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSite:
    """An invented hospital: what it owns, its share of patients, how its cameras see.

    `tint` multiplies red, green and blue; `haze` is a blur in hundredths of
    the image's width; `grain` the spread of the camera's noise.
    """

    name: str
    title: str
    modalities: tuple[str, ...]
    share: float
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    haze: float = 0.0
    grain: float = 0.01


PHANTOM_SITES = (
    PhantomSite(name="north", title="North Eye Hospital", modalities=("fundus", "oct"), share=0.35),
    PhantomSite(
        name="renhe",
        title="仁和示范眼科",
        modalities=("fundus", "oct"),
        share=0.25,
        tint=(0.9, 1.05, 1.3),
        grain=0.02,
    ),
    PhantomSite(
        name="lakeside",
        title="Lakeside Eye Clinic",
        modalities=("fundus",),
        share=0.2,
        tint=(1.1, 0.85, 0.8),
        haze=0.6,
    ),
    PhantomSite(
        name="hillside",
        title="Hillside Eye Clinic",
        modalities=("oct",),
        share=0.2,
        haze=0.3,
        grain=0.03,
    ),
)
"""Two hospitals own both kinds of image, one the photograph alone, one the scan alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EyePhantom:
    """One eye of an invented patient, with what is true of it.

    Attributes
    ----------
    patient : str
        `PH-` and the patient's number.
    site : PhantomSite
        The hospital that holds it.
    eye : str
        `right` or `left`.
    condition : str
        One of `CONDITIONS`.
    severity : float
        Within [0, 1]; 0 when healthy.
    fundus : array of shape (size, size, 3), uint8
        The photograph, red green blue.
    oct : array of shape (size, size), uint8
        The scan across the fovea.
    vessels, lesions : array of shape (size, size), bool
        Where they are in the photograph.
    fluid : array of shape (size, size), bool
        Where it is in the scan.
    """

    patient: str
    site: PhantomSite
    eye: str
    condition: str
    severity: float
    fundus: npt.NDArray[np.uint8]
    oct: npt.NDArray[np.uint8]
    vessels: Mask
    lesions: Mask
    fluid: Mask


def make_phantoms(patients: int, *, seed: int, size: int = 128) -> Iterator[EyePhantom]:
    """Draw so many patients, one eye of each, in the order of their numbers.

    Raises
    ------
    InputError
        `readers.bad_phantom` when there are no patients or the size is too small.
    """
    if patients < 1:
        raise InputError("readers.bad_phantom", name="patients", value=patients, least=1)
    for number in range(patients):
        yield make_phantom(number, seed=seed, size=size)


def make_phantom(number: int, *, seed: int, size: int = 128) -> EyePhantom:
    """Draw the eye of one patient.

    Parameters
    ----------
    number : int
        The patient's number, from 0.
    seed : int
        Of the whole set.
    size : int, optional
        Pixels along each edge, at least 32.

    Returns
    -------
    EyePhantom
        The same arguments give the same phantom.

    Raises
    ------
    InputError
        `readers.bad_phantom`.
    """
    if size < LEAST_SIZE:
        raise InputError("readers.bad_phantom", name="size", value=size, least=LEAST_SIZE)
    patient = _draw(seed, number, "patient")
    site = PHANTOM_SITES[_choose(patient, [site.share for site in PHANTOM_SITES])]
    condition = CONDITIONS[_choose(patient, [0.3, 0.175, 0.175, 0.175, 0.175])]
    severity = 0.0 if condition == "healthy" else round(float(patient.uniform(0.2, 1.0)), 3)
    eye = ("right", "left")[int(patient.integers(2))]
    photograph, across = findings_of(condition, severity)
    fundus = draw_fundus(
        _draw(seed, number, "fundus"), photograph, size=size, side=1 if eye == "right" else -1
    )
    scan = draw_scan(_draw(seed, number, "oct"), across, size=size)
    camera = _draw(seed, number, "camera")
    return EyePhantom(
        patient=f"PH-{number + 1:05d}",
        site=site,
        eye=eye,
        condition=condition,
        severity=severity,
        fundus=_photograph(fundus, site, camera),
        oct=_scan(scan, site, camera),
        vessels=fundus.vessels,
        lesions=fundus.lesions,
        fluid=scan.fluid,
    )


def findings_of(condition: str, severity: float) -> tuple[FundusFindings, ScanFindings]:
    """Say what a disease of this severity shows, in the photograph and in the scan."""
    if condition == "retinopathy":
        photograph = FundusFindings(
            microaneurysms=3 + round(12 * severity),
            haemorrhages=1 + round(5 * severity),
            exudates=round(8 * severity),
        )
        return photograph, ScanFindings()
    if condition == "macular_oedema":
        return FundusFindings(exudates=round(3 * severity)), ScanFindings(
            cysts=1 + round(5 * severity)
        )
    if condition == "drusen":
        return (
            FundusFindings(drusen=6 + round(24 * severity)),
            ScanFindings(drusen=2 + round(7 * severity)),
        )
    if condition == "glaucoma":
        return (
            FundusFindings(cup=0.55 + 0.35 * severity),
            ScanFindings(fibres=0.75 - 0.6 * severity),
        )
    return FundusFindings(), ScanFindings()


def _photograph(
    fundus: Fundus, site: PhantomSite, camera: np.random.Generator
) -> npt.NDArray[np.uint8]:
    image = blur(fundus.image * np.array(site.tint), spread=site.haze * len(fundus.image) / 100)
    lit = fundus.image.max(axis=2, keepdims=True) > 0.05  # outside the field all stays black
    return to_bytes(image + lit * camera.normal(scale=site.grain, size=image.shape))


def _scan(scan: Scan, site: PhantomSite, camera: np.random.Generator) -> npt.NDArray[np.uint8]:
    image = blur(scan.image, spread=site.haze * len(scan.image) / 100)
    return to_bytes(image + camera.normal(scale=site.grain, size=image.shape))


def _draw(seed: int, number: int, purpose: str) -> np.random.Generator:
    name = canonical_bytes([seed, number, purpose])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest(), "big"))


def _choose(generator: np.random.Generator, shares: list[float]) -> int:
    return int(generator.choice(len(shares), p=np.array(shares) / sum(shares)))
