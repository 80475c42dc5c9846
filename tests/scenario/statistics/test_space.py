"""Statistics in a running space: real processes, the hub's relay, agreements, evidence."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from whole_space import LEAD, WholeSpace, practice_plan, whole_space

pytestmark = pytest.mark.scenario

PURPOSE = "medical-research"


@pytest.fixture(scope="module")
def space() -> Iterator[WholeSpace]:
    """Two hospitals, neither of whose data are declared public."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = practice_plan(folder / "data")
        members = [
            replace(one, datasets=tuple(replace(data, public=False) for data in one.datasets))
            for one in plan.participants[:2]
        ]
        plan = replace(plan, participants=tuple(members), studies=())
        with whole_space(plan, folder / "space") as running:
            yield running


def radii(space: WholeSpace, name: str) -> np.ndarray:
    """Read a hospital's column from its own table."""
    (member,) = (one for one in space.plan.participants if one.name == name)
    text = member.datasets[0].path.read_text(encoding="gb18030", errors="replace")
    return np.array([float(row["mean_radius"]) for row in csv.DictReader(text.splitlines())])


def test_hospitals_answer_in_seconds_over_the_relay_and_prove_it(space: WholeSpace) -> None:
    lead = space.connect(LEAD)
    for name in space.names:
        lead.agreements.request(space.plan.id_of(name), dataset="breast")
    began = time.monotonic()
    found = lead.statistics.ask("mean", "mean_radius", purpose=PURPOSE)
    assert time.monotonic() - began < 10
    assert [site["error"] for site in found["sites"]] == [None] * 2
    truth = np.concatenate([radii(space, name) for name in space.names])
    told = found["pooled"]["variables"]["mean_radius"]
    assert told["n"] == truth.size
    assert told["mean"] == pytest.approx(truth.mean(), rel=1e-9)
    assert told["variance"] == pytest.approx(np.var(truth, ddof=1), rel=1e-9)
    fitted = lead.statistics.ask("logistic", "diagnosis", "mean_radius", purpose=PURPOSE)
    assert len(fitted["pooled"]["coefficients"]) == 2
    assert space.unproved() == []
