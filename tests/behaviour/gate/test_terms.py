"""The further terms at the gates: participants, privacy loss, kinds of result, places."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from consilium.dataspace.store import get_agreement
from consilium.gate.outputs import check_output
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError
from consilium.models.weights import pack_arrays

World = Any
Change = dict[str, Any]
NORTH = "did:web:example.org:north"


def refused(act: Callable[[], object]) -> str:
    """Return the code of the refusal."""
    with pytest.raises(DeniedError) as refusal:
        act()
    return refusal.value.code


def admit(world: World, **plan: Any) -> None:
    study = replace(world.study, **plan)
    world.set_transfer(study_digest=study.digest)
    world.gate.admit(world.order(study=study))


ADMISSION: list[tuple[Change, Change, str]] = [
    # the agreement's terms, the plan, the code of the refusal ("" for none)
    ({"min_participants": 2}, {"quorum": 2}, ""),
    ({"min_participants": 3}, {"quorum": 3}, ""),
    ({"min_participants": 3}, {"quorum": 2}, "dataspace.too_few_participants"),
    ({"outputs": ("model", "metrics")}, {}, ""),
    ({"outputs": ("model",)}, {}, ""),
    ({"outputs": ("metrics",)}, {}, "dataspace.wrong_output"),
    ({"outputs": ("aggregate",)}, {}, "dataspace.wrong_output"),
    ({"secure_aggregation": False}, {}, ""),
    ({"secure_aggregation": True}, {}, "dataspace.not_aggregated_securely"),
    ({"epsilon": 1e6, "delta": 0.5}, {}, "dataspace.epsilon_exceeded"),
    ({"epsilon": 1.0}, {}, "dataspace.epsilon_exceeded"),
]


@pytest.mark.parametrize(("terms", "plan", "code"), ADMISSION)
def test_admission_judges_each_further_term(
    world: World, terms: Change, plan: Change, code: str
) -> None:
    world.set_terms(**terms)
    if not code:
        admit(world, **plan)
        return
    assert refused(lambda: admit(world, **plan)) == code
    entry = world.evidence("admission.refused")[-1]
    assert (entry.facts["code"], world.blobs.looks) == (code, 0)


@pytest.mark.parametrize(
    ("place", "is_admitted"),
    [("CN", True), ("CN-BJ", True), ("DE-BY", True), ("DE", False), ("CNX", False), ("", False)],
)
def test_a_lead_is_admitted_only_from_a_place_of_the_terms(
    world: World, place: str, is_admitted: bool
) -> None:
    world.set_terms(spatial=("CN", "DE-BY"))
    world.places[NORTH] = place
    if is_admitted:
        admit(world)
        return
    wanted = "dataspace.outside_place" if place == "DE" else "dataspace.fact_missing"
    assert refused(lambda: admit(world)) == wanted


def test_a_lead_that_moved_gets_no_further_round(world: World) -> None:
    world.set_terms(spatial=("CN",))
    world.places[NORTH] = "CN-BJ"
    admit(world)
    world.train()
    world.places[NORTH] = "CH"
    assert refused(lambda: world.train(round_=2, model=b"round 1")) == "dataspace.outside_place"


def test_an_agreement_for_models_alone_lets_no_evaluation_out(world: World) -> None:
    world.set_terms(outputs=("model",))
    world.gate.admit(world.order())
    world.train()
    last = digest_of(b"last")

    def evaluate() -> None:
        world.gate.lease(world.order(), kind="evaluate", round=3, model=last)

    assert refused(evaluate) == "dataspace.wrong_output"
    assert world.evidence("lease.refused")[-1].facts["code"] == "dataspace.wrong_output"


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"outputs": ("metrics",)}, "dataspace.wrong_output"),
        ({"secure_aggregation": True}, "dataspace.not_aggregated_securely"),
        ({"epsilon": 5.0}, "dataspace.epsilon_exceeded"),
    ],
)
def test_the_output_gate_asks_again_of_what_is_about_to_leave(
    world: World, terms: Change, code: str
) -> None:
    world.gate.admit(world.order())
    lease = world.gate.lease(world.order(), kind="train", round=1, model=world.study.start)
    lease.file.close()
    world.set_terms(**terms)  # as if the lease had been granted wrongly
    update = pack_arrays({"bias": np.zeros(1), "weight": np.zeros(2)})

    def release() -> None:
        world.gate.release(lease.id, update=update, facts={"n": 60, "work_s": 0.25})

    assert refused(release) == code
    assert world.evidence("release.refused")[-1].facts["code"] == code
    assert world.evidence("release.granted") == []


@pytest.mark.parametrize(
    ("terms", "has_noise", "code"),
    [
        ({}, False, ""),
        ({"outputs": ("aggregate",)}, False, ""),
        ({"outputs": ("model", "metrics")}, False, "dataspace.wrong_output"),
        ({"secure_aggregation": True}, False, ""),
        ({"epsilon": 1.0}, False, "dataspace.epsilon_exceeded"),
        ({"epsilon": 1.0}, True, ""),
    ],
)
def test_a_table_over_patients_leaves_if_the_agreement_says_so(
    world: World, terms: Change, has_noise: bool, code: str
) -> None:
    world.set_terms(**terms)
    with world.database.read() as connection:
        agreement = get_agreement(connection, "urn:uuid:agreement-south")
    if not code:
        check_output(agreement, "aggregate", has_noise=has_noise)
        return
    assert refused(lambda: check_output(agreement, "aggregate", has_noise=has_noise)) == code
