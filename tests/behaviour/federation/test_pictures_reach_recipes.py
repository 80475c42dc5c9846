"""What the readers write is what a recipe gets: fields, targets, and nothing that is lacking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from federation_rehearsal import RehearsalLease

from consilium.federation.contract import Cases
from consilium.federation.site import read_cases
from consilium.kernel.identifiers import LeaseId
from consilium.readers.intake import take_in
from consilium.readers.records import IntakeRequest
from consilium.readers.schema import Schema
from consilium.space.schemas import needs_of

pytestmark = pytest.mark.slow

N = 40
FIELDS = """
[[fields]]
name = "fundus"
kind = "image"
shape = [8, 8, 3]
[[fields]]
name = "age"
kind = "number"
unit = "a"
[[fields]]
name = "ecg"
kind = "signal"
shape = [20, 1]
modality = "heart"
[[fields]]
name = "grade"
kind = "category"
categories = ["0", "1", "2"]
[[fields]]
name = "vessels"
kind = "image"
shape = [8, 8, 1]
"""
LABELS = {
    "classes": 'kind = "classes"\nfield = "grade"',
    "number": 'kind = "number"\nfield = "age"',
    "survival": 'kind = "survival"\nfield = "grade"\nrule = \'== "2"\'\ntime = "age"',
    "mask": 'kind = "mask"\nfield = "vessels"',
}


@pytest.fixture
def members() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(7)
    return {
        "fundus": generator.integers(0, 256, (N, 8, 8, 3)).astype(np.uint8),
        "age": np.linspace(20, 90, N),
        "ecg": generator.normal(size=(N, 20)).astype(np.float32),
        "grade": np.arange(N) % 3,
        "vessels": generator.integers(0, 2, (N, 8, 8)).astype(np.uint8),
    }


def cases_of(
    folder: Path, members: dict[str, np.ndarray], kind: str, lacks: tuple[str, ...] = ()
) -> tuple[Cases, np.ndarray]:
    """Take a source in and read it as a job process does; put training before held out."""
    source = folder / "source.npz"
    np.savez(source, **members)  # type: ignore[arg-type]
    schema = Schema.from_toml(f"[label]\n{LABELS[kind]}\n{FIELDS}")
    text = f"[label]\n{LABELS[kind]}\n{FIELDS}"
    request = IntakeRequest(source=source, schema=text, out=folder / "out")
    taken = take_in(request, progress=lambda *_: None)
    columns = [{"name": one.name, "categories": list(one.categories)} for one in schema.columns]
    with taken.arrays.open("rb") as file:
        lease = RehearsalLease(id=LeaseId("x"), file=file, facts={"columns": columns})
        train, held_out = read_cases(lease, needs_of(schema), lacks=lacks)
    with np.load(taken.arrays) as found:
        order = np.argsort(found["part"], kind="stable")
    tensors = {
        name: np.concatenate([one, held_out.tensors[name]]) for name, one in train.tensors.items()
    }
    both = Cases(
        x=np.concatenate([train.x, held_out.x]),
        y=np.concatenate([train.y, held_out.y]),
        group=np.concatenate([train.group, held_out.group]),
        tensors=tensors,
    )
    return both, order


def test_images_signals_and_columns_arrive_as_they_were(
    tmp_path: Path, members: dict[str, np.ndarray]
) -> None:
    cases, order = cases_of(tmp_path, members, "classes")
    assert np.array_equal(cases.tensors["fundus"], members["fundus"][order])
    assert np.array_equal(cases.tensors["ecg"][:, :, 0], members["ecg"][order])
    assert np.array_equal(cases.tensors["vessels"][:, :, :, 0], members["vessels"][order])
    assert np.array_equal(cases.x[:, 0], members["age"][order])
    assert np.array_equal(cases.y, members["grade"][order])


def test_a_lacking_modality_is_absent(tmp_path: Path, members: dict[str, np.ndarray]) -> None:
    cases, _ = cases_of(tmp_path, members, "classes", lacks=("heart",))
    assert set(cases.tensors) == {"fundus", "vessels"}


def test_each_target_brings_what_it_needs(tmp_path: Path, members: dict[str, np.ndarray]) -> None:
    cases, order = cases_of(tmp_path, members, "number")
    assert np.array_equal(cases.y, members["age"][order])
    cases, order = cases_of(tmp_path, members, "survival")
    assert np.array_equal(cases.tensors["time"], members["age"][order])
    assert np.array_equal(cases.y, members["grade"][order] == 2)
    assert cases.x.shape == (N, 0)
    cases, order = cases_of(tmp_path, members, "mask")
    assert np.array_equal(cases.tensors["mask"], members["vessels"][order])
    assert "vessels" not in cases.tensors
