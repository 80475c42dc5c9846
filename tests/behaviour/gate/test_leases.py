"""A lease is asked for each round; whatever changed since admission counts."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy.exc import DatabaseError

from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError, IntegrityError, NotFoundError
from consilium.kernel.identifiers import StudyId

World = Any
MakeWorld = Callable[..., World]
FIRST, SECOND, THIRD = (digest_of(name) for name in (b"round 1", b"round 2", b"round 3"))


def lease(world: World, *, round_: int = 1, kind: str = "train", **how: Any) -> Any:
    model = how.get("model", world.study.start)
    granted = world.gate.lease(
        how.get("order", world.order()), kind=kind, round=round_, model=model
    )
    granted.file.close()
    return granted


def refuse(world: World, code: str, **how: Any) -> None:
    looks, granted = world.blobs.looks, len(world.evidence("lease.granted"))
    with pytest.raises(DeniedError) as refusal:
        lease(world, **how)
    assert refusal.value.code == code
    assert world.evidence("lease.refused")[-1].facts["code"] == code
    assert (world.blobs.looks, len(world.evidence("lease.granted"))) == (looks, granted)


@pytest.fixture
def admitted(world: World) -> World:
    world.gate.admit(world.order())
    return world


def test_a_lease_opens_the_arrays_and_says_what_is_in_them(admitted: World) -> None:
    model = admitted.study.start
    granted = admitted.gate.lease(admitted.order(), kind="train", round=1, model=model)
    with granted.file, np.load(granted.file, allow_pickle=False) as arrays:
        assert arrays["x"].shape == (100, 3)
    assert not granted.file.writable()
    facts = granted.facts
    assert facts["participant"] == "did:web:example.org:south"
    assert [column["name"] for column in facts["columns"]] == ["age", "sex", "weight"]
    assert facts["columns"][1]["categories"] == ["f", "m"]
    assert (facts["n_train"], facts["n_test"]) == (60, 40)
    assert (facts["public"], facts["min_cases"]) == (False, 10)
    [entry] = admitted.evidence("lease.granted")
    assert entry.facts["lease"] == granted.id
    assert entry.facts["model"] == model


def test_public_data_are_leased_as_such(make_world: MakeWorld) -> None:
    world = make_world(public=True)
    world.gate.admit(world.order())
    granted = lease(world)
    assert (granted.facts["public"], granted.facts["min_cases"]) == (True, 1)
    assert world.evidence("lease.granted")[0].facts["public"] is True


def test_without_admission_there_is_no_lease(world: World) -> None:
    refuse(world, "gate.not_admitted")


def test_another_order_than_the_admitted_one_gets_no_lease(admitted: World) -> None:
    refuse(admitted, "gate.not_admitted", order=admitted.order(attempt=2))
    refuse(admitted, "gate.order_unreadable", order=b"{}")
    admitted.gate.admit(admitted.order(attempt=2))
    refuse(admitted, "gate.stale_order")


def test_revocation_stops_the_next_round(admitted: World) -> None:
    lease(admitted)
    admitted.set_transfer(state="TERMINATED")
    refuse(admitted, "gate.transfer_not_started", round_=2, model=FIRST)
    admitted.set_transfer(state="STARTED")
    admitted.set_agreement("TERMINATED")
    refuse(admitted, "gate.agreement_not_in_force", round_=2, model=FIRST)


def test_expiry_stops_the_next_round(admitted: World) -> None:
    lease(admitted)
    admitted.clock.advance(timedelta(days=25))
    refuse(admitted, "dataspace.outside_time", round_=2, model=FIRST)


def test_a_recipe_that_was_replaced_gets_no_data(admitted: World) -> None:
    admitted.installed = {"tabular-logistic": digest_of(b"new release")}
    admitted.reopen()
    refuse(admitted, "gate.recipe_differs")


@pytest.mark.parametrize("round_", [0, 4, -1, 10**9])
def test_rounds_outside_the_plan_are_refused(admitted: World, round_: int) -> None:
    with pytest.raises(DeniedError, match=r"lease|round"):
        lease(admitted, round_=round_)
    assert admitted.blobs.looks == 0


@pytest.mark.parametrize("how", [{"kind": "predict"}, {"model": "CANARY"}, {"kind": "CANARY"}])
def test_a_task_of_no_known_kind_is_refused_without_repeating_it(
    admitted: World, how: dict[str, Any]
) -> None:
    refuse(admitted, "gate.task_unreadable", **how)
    assert "CANARY" not in str(admitted.evidence("lease.refused"))


def test_an_evaluation_belongs_to_the_last_round(admitted: World) -> None:
    refuse(admitted, "gate.no_such_round", kind="evaluate", round_=2, model=FIRST)
    lease(admitted, kind="evaluate", round_=3, model=THIRD)


def test_the_first_round_is_opened_for_the_signed_start_only(admitted: World) -> None:
    refuse(admitted, "gate.other_model", model=FIRST)
    lease(admitted)


def test_a_repeated_round_costs_nothing_for_the_same_model(admitted: World) -> None:
    admitted.set_terms(max_rounds=3)
    for _ in range(5):
        lease(admitted)
    lease(admitted, round_=2, model=FIRST)
    lease(admitted, round_=3, model=SECOND)
    lease(admitted, kind="evaluate", round_=3, model=THIRD)


def test_a_second_model_in_one_round_is_refused(admitted: World) -> None:
    lease(admitted, round_=2, model=FIRST)
    refuse(admitted, "gate.other_model", round_=2, model=SECOND)


def test_a_round_done_again_in_a_later_attempt_costs_a_further_round(admitted: World) -> None:
    admitted.set_terms(max_rounds=4)
    lease(admitted)
    lease(admitted, round_=2, model=FIRST)
    again = admitted.order(attempt=2)
    admitted.gate.admit(again)
    lease(admitted, order=again)
    lease(admitted, order=again, round_=2, model=SECOND)  # the third
    lease(admitted, order=again, round_=3, model=THIRD)  # the fourth
    third = admitted.order(attempt=3)
    admitted.gate.admit(third)
    refuse(
        admitted, "dataspace.too_many_rounds", order=third, round_=3, model=digest_of(b"a fifth")
    )


def test_further_evaluations_of_other_models_cost_rounds(admitted: World) -> None:
    admitted.set_terms(max_rounds=3)
    lease(admitted, kind="evaluate", round_=3, model=FIRST)
    for attempt in range(2, 5):
        order = admitted.order(attempt=attempt)
        admitted.gate.admit(order)
        model = digest_of(f"attempt {attempt}".encode())
        lease(admitted, order=order, kind="evaluate", round_=3, model=model)
    last = admitted.order(attempt=5)
    admitted.gate.admit(last)
    refuse(
        admitted, "dataspace.too_many_rounds", order=last, kind="evaluate", round_=3, model=SECOND
    )


def test_a_segment_opens_no_round_before_its_first(admitted: World) -> None:
    signed = admitted.countersign(1, FIRST, "north", "west")
    order = admitted.order(attempt=2, first_round=2, start=FIRST, countersigned=signed)
    admitted.gate.admit(order)
    refuse(admitted, "gate.no_such_round", order=order)
    refuse(admitted, "gate.other_model", order=order, round_=2, model=SECOND)
    lease(admitted, order=order, round_=2, model=FIRST)


def test_a_changed_array_file_is_not_handed_out(admitted: World) -> None:
    lease(admitted)
    path = admitted.blobs.path(admitted.dataset.arrays)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(IntegrityError) as refusal:
        lease(admitted)
    assert refusal.value.code == "gate.arrays_changed"
    assert admitted.evidence("lease.refused")[-1].facts["code"] == "gate.arrays_changed"
    path.unlink()
    with pytest.raises(NotFoundError):
        lease(admitted)


def test_no_data_are_opened_when_the_evidence_cannot_be_written(admitted: World) -> None:
    admitted.break_evidence()
    with pytest.raises(DatabaseError):
        lease(admitted)
    assert admitted.blobs.looks == 0


def test_of_fifty_studies_at_once_exactly_ten_get_a_place(world: World) -> None:
    world.set_terms(count=10, max_rounds=1000)
    studies = [replace(world.study, study=StudyId(f"urn:uuid:many-{i}")) for i in range(50)]
    for study in studies:
        world.start_transfer(study)

    def admit(order: bytes) -> str:
        try:
            world.gate.admit(order)
        except DeniedError as refusal:
            return refusal.code
        return "admitted"

    orders = [world.order(study=study) for study in studies]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(admit, orders))
    assert Counter(answers) == {"admitted": 10, "dataspace.count_used_up": 40}
    assert len(world.evidence("admission.granted")) == 10
    assert len(world.evidence("admission.refused")) == 40
    # A study that has its place keeps it: further attempts do not count.
    again = world.order(study=studies[answers.index("admitted")], attempt=2)
    world.gate.admit(again)


def test_of_many_leases_at_once_no_more_rounds_are_opened_than_agreed(world: World) -> None:
    world.set_terms(count=10, max_rounds=7)
    studies = [replace(world.study, study=StudyId(f"urn:uuid:many-{i}")) for i in range(4)]
    orders = []
    for study in studies:
        world.start_transfer(study)
        orders.append(world.order(study=study))
        world.gate.admit(orders[-1])

    def take(order: bytes, round_: int) -> str:
        model = world.study.start if round_ == 1 else digest_of(bytes([round_]))
        try:
            lease(world, order=order, round_=round_, model=model)
        except DeniedError as refusal:
            return refusal.code
        return "granted"

    def take_all(order: bytes) -> list[str]:
        return [take(order, round_) for round_ in (1, 2, 3)]

    with ThreadPoolExecutor(4) as pool:
        answers = Counter(answer for some in pool.map(take_all, orders) for answer in some)
    assert answers == {"granted": 7, "dataspace.too_many_rounds": 5}
