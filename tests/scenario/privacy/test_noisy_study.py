"""A study with noise in a running space: paid before it learns, refused when nothing is left."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from whole_space import WholeSpace, practice_plan, whole_space

pytestmark = pytest.mark.scenario

BUDGET = {"epsilon": 10.0, "delta": 1e-4}


@pytest.fixture(scope="module")
def space() -> Iterator[WholeSpace]:
    """Three hospitals whose agreements hold one standard study and not two."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = practice_plan(
            folder / "data",
            rounds=3,
            quorum=2,
            rule="fedavg",
            rule_settings={},
            settings={"learning_rate": 0.1},
            privacy={"preset": "standard"},
        )
        kept = plan.participants[:3]
        members = [
            replace(
                one,
                datasets=tuple(
                    replace(data, terms=replace(data.terms, **BUDGET)) for data in one.datasets
                ),
            )
            for one in kept
        ]
        study = plan.studies[0]
        names = {one.name for one in kept}
        sites = {member: data for member, data in study.datasets.items() if member in names}
        plan = replace(plan, participants=tuple(members), studies=(replace(study, datasets=sites),))
        with whole_space(plan, folder / "space") as running:
            yield running


def spent(space: WholeSpace) -> dict[str, float]:
    found = {}
    for name in space.names:
        with space.connect(name) as client:
            (dataset,) = client.agreements.budgets()["datasets"]
        found[name] = dataset["spent_epsilon"]
    return found


def test_a_study_with_noise_is_paid_once_and_a_second_one_is_refused(space: WholeSpace) -> None:
    exact = space.begin(privacy={})
    assert exact.await_event("failure")
    assert set(spent(space).values()) == {0.0}

    result = space.begin().await_result()
    assert set(spent(space).values()) == {8.0}
    for site in result.sites:
        assert site.figures["accuracy"]["federated"] is not None
        assert site.figures["accuracy"]["local"] is None
        assert site.intervals["accuracy"]["federated"] is None
        assert all(point.loss is None for point in site.curve)

    second = space.begin()
    second.await_event("failed")
    for refusal in second.of("refused"):
        assert "dataspace.epsilon_exceeded" in refusal["facts"]["reason"]
    assert set(spent(space).values()) == {8.0}
