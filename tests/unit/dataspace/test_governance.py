"""Governance: what must be known of a dataset, what may be, and what ends by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from dataspace_rehearsal import GOVERNANCE, Hospital, participant

from consilium.dataspace.catalog import facts_of, is_offered
from consilium.dataspace.governance import ENDS, LEVELS, check_governance, expired
from consilium.dataspace.vocabulary import TIME
from consilium.kernel.clock import read_time
from consilium.kernel.errors import InputError

FULL = GOVERNANCE | {
    "human_genetic_resources": True,
    "deidentification_level": "re-identification-bounded",
    "genetic_resources_filing": "2026BAT0117",
    "genetic_resources_expires": "2027-06-01",
    "retention_ends": "2036-12-31T16:00:00+08:00",
}


def refused_field(record: dict[str, Any]) -> Any:
    with pytest.raises(InputError) as refused:
        check_governance(record)
    assert refused.value.code == "dataspace.bad_governance"
    return refused.value.facts["field"]


@pytest.mark.parametrize("field", sorted(GOVERNANCE))
def test_each_governance_field_is_needed_and_checked(field: str) -> None:
    for odd in (None, "", 7, "soon" if field == "ethics_expires" else []):
        assert refused_field(GOVERNANCE | {field: odd}) == field
    assert refused_field({key: one for key, one in GOVERNANCE.items() if key != field}) == field


def test_an_unknown_governance_field_is_refused() -> None:
    assert refused_field(GOVERNANCE | {"ethics": "yes"}) == "ethics"


def test_a_record_of_the_eight_fields_alone_stays_valid() -> None:
    assert check_governance(GOVERNANCE).keys() == GOVERNANCE.keys()


def test_what_may_be_said_besides_is_kept_with_moments_in_one_form() -> None:
    found = check_governance(FULL)
    assert found.keys() == FULL.keys()
    assert found["genetic_resources_expires"] == "2027-06-01T00:00:00.000000Z"
    assert found["retention_ends"] == "2036-12-31T08:00:00.000000Z"


@pytest.mark.parametrize("field", sorted(FULL.keys() - GOVERNANCE.keys()))
def test_what_may_be_said_besides_is_checked(field: str) -> None:
    for odd in (None, "", 7, [], {"level": 1}):
        assert refused_field(FULL | {field: odd}) == field


def test_the_levels_of_de_identification_are_a_closed_list() -> None:
    for level in LEVELS:
        check_governance(GOVERNANCE | {"deidentification_level": level})
    assert refused_field(GOVERNANCE | {"deidentification_level": "Anonymous"})


def test_a_filing_comes_with_its_end_and_only_where_the_rules_apply() -> None:
    filing, end = "genetic_resources_filing", "genetic_resources_expires"
    assert refused_field({key: one for key, one in FULL.items() if key != end}) == end
    assert refused_field({key: one for key, one in FULL.items() if key != filing}) == filing
    assert refused_field(FULL | {"human_genetic_resources": False}) == filing


@pytest.mark.parametrize("name", ENDS)
def test_each_end_ends_the_dataset_one_moment_later(name: str) -> None:
    late = dict.fromkeys(ENDS, "2090-01-01T00:00:00Z")
    found = check_governance(FULL | late | {name: "2027-06-01T00:00:00Z"})
    end = read_time("2027-06-01T00:00:00Z")
    assert expired(found, end) == ""
    assert expired(found, end + timedelta(microseconds=1)) == name


def test_an_old_record_ends_by_its_approval_alone() -> None:
    found = check_governance(GOVERNANCE)
    end: datetime = read_time(GOVERNANCE["ethics_expires"])
    assert expired(found, end) == ""
    assert expired(found, end + timedelta(days=1)) == "ethics_expires"


def test_a_dataset_past_its_retention_is_not_offered(south: Hospital) -> None:
    dataset = south.register(governance=FULL | {"retention_ends": "2026-12-01"})
    facts = facts_of(south.connector, participant("north"))
    assert is_offered(dataset, facts | {TIME: read_time("2026-12-01T00:00:00Z")})
    assert not is_offered(dataset, facts | {TIME: read_time("2026-12-01T00:00:01Z")})
