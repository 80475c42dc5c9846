"""A rehearsal runs on mock rows only, and says before anyone is asked what would not work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import consilium.space
from consilium.kernel.errors import InputError, NotFoundError
from consilium.space.plans import SpacePlan
from consilium.space.rehearsal import rehearse
from consilium.space.spacefile import read_space

DEMO = Path(consilium.space.__file__).parent / "demos" / "heart-disease.toml"


@pytest.fixture
def space(tmp_path: Path) -> SpacePlan:
    """The demo's space with no data file anywhere."""
    return read_space(DEMO, data=tmp_path)


def test_a_study_is_rehearsed_without_a_data_file(space: SpacePlan) -> None:
    found = rehearse(space, space.get_study(), rounds=3, rows=60)
    assert [site.site for site in found.sites] == list(space.get_study().datasets)
    assert found.rounds == 3
    assert found.update_bytes > 0
    assert all(site.loss_last < site.loss_first for site in found.sites)  # type: ignore[operator]
    again = rehearse(space, space.get_study(), rounds=3, rows=60)
    assert again.sites == found.sites


def test_an_impossible_setting_shows_before_anyone_is_asked(space: SpacePlan) -> None:
    study = replace(space.get_study(), settings={"learning_rate": -1})
    with pytest.raises(InputError) as refusal:
        rehearse(space, study)
    assert refusal.value.code == "federation.bad_setting"


def test_an_unknown_recipe_or_study_is_named(space: SpacePlan) -> None:
    with pytest.raises(NotFoundError) as recipe:
        rehearse(space, replace(space.get_study(), recipe="deep-magic"))
    assert recipe.value.code == "space.no_recipe"
    with pytest.raises(NotFoundError) as study:
        space.get_study("none")
    assert study.value.code == "space.no_study"
