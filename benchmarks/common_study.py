"""The study that both engines run in `benchmarks.engine`: generated patients, one model.

Both sides get the same rows, the same split, the same starting weights and the
same shuffles, so the two final models can be compared number by number. That
they agree is the proof that the same work was done.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Cases, Chance, Needs
from consilium.federation.recipes.tabular_logistic import RECIPE
from consilium.gate.orders import FieldNeed
from consilium.kernel.identifiers import participant_id
from consilium.readers.intake import take_in
from consilium.readers.records import IntakeRequest
from consilium.readers.schema import Schema
from consilium.space.plans import SpacePlan
from consilium.space.spacefile import read_space

SPACE = "bench"
STUDY = "side-by-side"
DATASET = "patients"

_GOVERNANCE = """
[participant.dataset.governance]
ethics_approval = "generated numbers"
ethics_expires = 2099-12-31T00:00:00Z
consent_basis = "nobody's data"
deidentification = "generated"
retention = "the length of a benchmark"
human_genetic_resources = false
owner = "benchmarks"
contact = "benchmarks"
"""


@dataclass(frozen=True, kw_only=True)
class CommonStudy:
    """What is the same on both sides."""

    sites: int = 4
    features: int = 30
    patients: int = 400
    rounds: int = 15
    local_steps: int = 200
    batch_size: int = 8
    learning_rate: float = 0.01
    seed: int = 42
    deadline_s: float = 60.0

    @property
    def names(self) -> list[str]:
        """Short names of the sites, sorted."""
        return [f"site-{number}" for number in range(1, self.sites + 1)]

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the recipe; zeros are the same in every number format."""
        return {
            "learning_rate": self.learning_rate,
            "batch_size": self.batch_size,
            "local_steps": self.local_steps,
            "init": "zeros",
        }

    def describe(self) -> str:
        """Say in one line what is run."""
        return (
            f"logistic regression, {self.features} inputs, {self.sites} sites of "
            f"{self.patients} patients, {self.rounds} rounds of {self.local_steps} steps"
        )


def write_tables(study: CommonStudy, folder: Path) -> None:
    """Write a CSV for each site, and the schema."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(study.seed)
    truth = generator.normal(size=study.features)
    columns = _columns(study)
    for name in study.names:
        x = generator.normal(
            loc=generator.normal(size=study.features), size=(study.patients, study.features)
        )
        chance = 1.0 / (1.0 + np.exp(-(x - x.mean(axis=0)) @ truth / np.sqrt(study.features)))
        sick = generator.uniform(size=study.patients) < chance
        with (folder / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["patient", *columns, "sick"])
            for number, (row, label) in enumerate(zip(x, sick, strict=True)):
                cells = [repr(round(float(value), 6)) for value in row]
                table.writerow([f"{name}-{number}", *cells, int(label)])
    (folder / "schema.toml").write_text(_schema(study), encoding="utf-8")


def space_plan(study: CommonStudy, folder: Path) -> SpacePlan:
    """Write and read the space file of the study; the tables must be there."""
    parts = [f'[space]\nname = "{SPACE}"\ntitle = "Side by side"\n']
    parts += [_participant(study, name) for name in study.names]
    settings = ", ".join(f"{key} = {json.dumps(value)}" for key, value in study.settings.items())
    members = "\n".join(f'{name} = "{DATASET}"' for name in study.names)
    parts.append(
        f'[[study]]\nname = "{STUDY}"\ntitle = "Side by side"\nquestion = "How fast?"\n'
        f'purpose = "medical-research"\nlead = "{study.names[0]}"\nrecipe = "{RECIPE.name}"\n'
        f'settings = {{ {settings} }}\nrule = "fedavg"\nrounds = {study.rounds}\n'
        f"quorum = {study.sites}\ndeadline_s = {study.deadline_s}\nseed = {study.seed}\n\n"
        f"[study.datasets]\n{members}\n"
    )
    path = folder / "space.toml"
    path.write_text("\n".join(parts), encoding="utf-8")
    return read_space(path)


def write_arrays(study: CommonStudy, tables: Path, folder: Path) -> None:
    """Write each site's scaled training rows and shuffles for the plain side.

    Reader, split, scaling and randomness are the product's own, done ahead.
    """
    schema = (tables / "schema.toml").read_text(encoding="utf-8")
    features = tuple(
        FieldNeed(name=each.name, kind=each.kind, unit=each.unit, categories=each.categories)
        for each in Schema.from_toml(schema).features
    )
    for name in study.names:
        out = folder / name
        out.mkdir(parents=True)
        request = IntakeRequest(source=tables / f"{name}.csv", schema=schema, out=out)
        taken = take_in(request, progress=lambda *_: None)
        with np.load(taken.arrays, allow_pickle=False) as found:
            cases = Cases(**{key: found[key] for key in ("x", "y", "group")})
            part: npt.NDArray[np.int8] = found["part"]
        chance = Chance(seed=study.seed, participant=participant_id(SPACE, name))
        prepared = RECIPE.prepare(
            cases.take(part == 0),
            cases.take(part == 1),
            needs=Needs(features=features),
            settings=RECIPE.read_settings(study.settings),
            chance=chance,
        )
        np.savez(out / "train.npz", x=prepared.train.x, y=prepared.train.y)
        states = [
            chance.draw("train", number).bit_generator.state
            for number in range(1, study.rounds + 1)
        ]
        (out / "shuffles.json").write_text(json.dumps(states), encoding="utf-8")
    facts = {
        "features": study.features,
        "sites": study.sites,
        "rounds": study.rounds,
        **study.settings,
    }
    (folder / "study.json").write_text(json.dumps(facts), encoding="utf-8")


def _participant(study: CommonStudy, name: str) -> str:
    return (
        f'[[participant]]\nname = "{name}"\ntitle = "{name}"\n\n[[participant.dataset]]\n'
        f'name = "{DATASET}"\npath = "{name}.csv"\nschema = "schema.toml"\npublic = false\n'
        f"{_GOVERNANCE}\n[participant.dataset.terms]\n"
        f'purposes = ["medical-research"]\nrecipients = ["{study.names[0]}"]\n'
        f"days = 2\ncount = 100\nmax_rounds = {100 * study.rounds}\nmin_cohort = 10\n"
    )


def _columns(study: CommonStudy) -> list[str]:
    return [f"measure_{number:04d}" for number in range(study.features)]


def _schema(study: CommonStudy) -> str:
    fields = "\n".join(
        f'[[fields]]\nname = "{name}"\nkind = "number"\n' for name in _columns(study)
    )
    return (
        'title = "Generated patients"\nmissing = "drop"\npatient = "patient"\n\n'
        '[source]\nheader = true\nencoding = "utf-8"\n\n'
        '[label]\nfield = "sick"\nrule = "== 1"\npositive = "sick"\n\n'
        "[split]\ntrain_size = 0.66\nseed = 43\nstratify = true\n\n"
        f'{fields}\n[[fields]]\nname = "sick"\nkind = "number"\nrange = [0, 1]\n'
    )


def main() -> None:
    """Write the tables and the space file into the folder that is named."""
    folder = Path(sys.argv[1])
    write_tables(CommonStudy(), folder)
    space_plan(CommonStudy(), folder)


if __name__ == "__main__":
    main()
