"""The demo: a built-in space file, run as any other.

Without data it deals scikit-learn's breast-cancer patients to four invented
hospitals; with the folder of UCI Heart Disease it runs the four real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

from consilium.kernel.errors import InputError
from consilium.readers.open_data import OPEN_DATA
from consilium.readers.practice import breast_cancer_sites
from consilium.space.home import clear_home, default_home, prepare_home
from consilium.space.plans import SpacePlan
from consilium.space.processes import RunningSpace, down, running_space, up
from consilium.space.run import Finished, run_studies
from consilium.space.spacefile import read_space
from consilium.space.watch import Watch, silent

SEED = 42
INVENTED, REAL = "breast-cancer", "heart-disease"


def run_demo(
    *,
    data: Path | None = None,
    seed: int = SEED,
    home: Path | None = None,
    keep: bool = False,
    watch: Watch = silent,
    language: str = "en",
) -> Finished:
    """Run the demo and return its finished study.

    Parameters
    ----------
    data : Path, optional
        Folder of the four heart-disease files; without it nothing is needed.
    seed : int
        Seed of the study, and of the dealing of patients.
    home : Path, optional
        Folder of the space, by default below the working folder. An earlier
        demo there is stopped and replaced.
    keep : bool
        Leave the space up, with a console for each hospital.

    Raises
    ------
    InputError
        `space.unknown_data`.
    ConsiliumError
        Whatever stops a space.
    """
    plan, place = prepare_demo(data=data, seed=seed, home=home)
    with _space(plan, place, keep=keep, watch=watch) as space:
        return run_studies(space, watch=watch, language=language)[0]


def prepare_demo(
    *, data: Path | None, seed: int = SEED, home: Path | None = None
) -> tuple[SpacePlan, Path]:
    """Read the built-in space file, clear its home and put its data in place."""
    if data is not None:
        check_heart_disease(data)
    name = INVENTED if data is None else REAL
    with as_file(files("consilium.space").joinpath("demos", f"{name}.toml")) as path:
        plan = read_space(path)
        place = home or default_home(plan.name)
        folder = data or place / "data"
        plan = _with_seed(read_space(path, data=folder), seed)
    prepare_home(place, plan)  # refuses the home of another space before anything is stopped
    down(place)
    clear_home(place, plan)
    place = prepare_home(place, plan)
    if data is None:
        breast_cancer_sites(folder, seed)
    return plan, place


def check_heart_disease(folder: Path) -> None:
    """Refuse a folder that is not the one of the four heart-disease hospitals.

    Raises
    ------
    InputError
        `space.unknown_data`.
    """
    expected = list(OPEN_DATA[REAL].files)
    if not all((folder / name).is_file() for name in expected):
        raise InputError("space.unknown_data", folder=str(folder), expected=", ".join(expected))


def _with_seed(plan: SpacePlan, seed: int) -> SpacePlan:
    return replace(plan, studies=tuple(replace(study, seed=seed) for study in plan.studies))


@contextmanager
def _space(plan: SpacePlan, home: Path, *, keep: bool, watch: Watch) -> Iterator[RunningSpace]:
    if keep:
        yield up(plan, home, watch=watch, consoles=True)
        return
    with running_space(plan, home, watch=watch) as space:
        yield space
