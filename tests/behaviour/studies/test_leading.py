"""The lead's way: from a person's draft to one passport, whatever happens in between."""

from __future__ import annotations

from dataspace_rehearsal import Hospital
from studies_rehearsal import (
    StudySpace,
    await_study,
    make_draft,
    transfers_of,
    wait_until,
)
from consilium.dataspace.records import Role
from consilium.gate.orders import peek_study


def test_a_draft_becomes_one_completed_study_with_its_passport(
    world: StudySpace, north: Hospital, south: Hospital, west: Hospital
) -> None:
    office = world.office(north)
    study = world.leading(office).begin(make_draft(south, west))
    row = await_study(north, study)
    assert row["state"] == "COMPLETED", row["reason"]
    plan = peek_study(row["signed"])
    wait_until(lambda: all(
        one.state == "COMPLETED" for site in (south, west)
        for one in transfers_of(site, plan, role=Role.PROVIDER).values()))
