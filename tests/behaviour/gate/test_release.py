"""The output gate: what is judged, what leaves, and what never does."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy.exc import DatabaseError

from consilium.gate.replies import verify_reply, verify_round
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError
from consilium.models.weights import pack_arrays

World = Any
MakeWorld = Callable[..., World]
GOOD = {"bias": np.array([0.25]), "weight": np.array([1.0, -1.0])}
FACTS: dict[str, Any] = {"n": 60, "work_s": 0.25, "loss_before": 0.7, "loss_after": 1 / 3}
FIGURE = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 40, "reason": None, "skipped": 0}
UNDEFINED = {"value": None, "low": None, "high": None, "n": 40, "reason": "ledger.no_blob"}
EVALUATION: dict[str, Any] = {
    "n": 40,
    "work_s": 1.5,
    "n_train": 60,
    "n_test": 40,
    "rows": {
        name: {"auroc": FIGURE, "accuracy": FIGURE, "brier": FIGURE, "calibration_slope": UNDEFINED}
        for name in ("federated", "recalibrated", "local", "majority")
    },
    "bins": {"federated": [{"predicted": 0.1, "observed": 0.2, "n": 20} for _ in range(2)]},
    "choice": {
        "chosen": "recalibrated",
        "scores": {"federated": 0.61, "recalibrated": 0.6, "local": None},
        "folds": 5,
    },
    "local_start": "same",
}


@pytest.fixture
def admitted(world: World) -> World:
    world.gate.admit(world.order())
    return world


def take(world: World, *, kind: str = "train", round_: int = 1) -> Any:
    model = world.study.start if kind == "train" else digest_of(b"last")
    lease = world.gate.lease(world.order(), kind=kind, round=round_, model=model)
    lease.file.close()
    return lease.id


def refuse(world: World, lease: Any, code: str, **how: Any) -> None:
    given = {"update": pack_arrays(GOOD), "facts": FACTS} | how
    granted = len(world.evidence("release.granted"))
    with pytest.raises(DeniedError) as refusal:
        world.gate.release(lease, **given)
    assert refusal.value.code == code
    entry = world.evidence("release.refused")[-1]
    assert entry.facts["code"] == code
    assert len(world.evidence("release.granted")) == granted
    for told in (refusal.value.public, refusal.value.detail, str(entry.facts)):
        assert "CANARY" not in told
        assert "77310001" not in told


def test_an_honest_update_leaves_signed_and_with_evidence(admitted: World) -> None:
    lease = take(admitted)
    data = admitted.gate.release(lease, update=pack_arrays(GOOD), facts=FACTS)
    key, study = admitted.keys["south"].public, admitted.study
    reply = verify_reply(data, key=key, study=study.study, kind="train", round=1, model=study.start)
    assert (reply.n, reply.work_s) == (60, 0.25)
    assert reply.facts == {"loss_before": 0.7, "loss_after": 0.333333}
    assert reply.arrays["weight"].tolist() == [1.0, -1.0]
    verify_round(reply.countersignature, key, study=study.study, round=0, digest=study.start)
    [entry] = admitted.evidence("release.granted")
    assert entry.facts["reply"] == digest_of(data)
    assert entry.facts["update"] == reply.update
    assert entry.facts["lease"] == lease
    assert (entry.facts["kind"], entry.facts["round"]) == ("train", 1)


def test_an_evaluation_leaves_without_arrays(admitted: World) -> None:
    lease = take(admitted, kind="evaluate", round_=3)
    data = admitted.gate.release(lease, update=pack_arrays({}), facts=EVALUATION)
    reply = verify_reply(
        data,
        key=admitted.keys["south"].public,
        study=admitted.study.study,
        kind="evaluate",
        round=3,
        model=digest_of(b"last"),
    )
    assert reply.facts["rows"]["federated"]["auroc"]["value"] == 0.8
    assert reply.facts["choice"]["chosen"] == "recalibrated"
    assert reply.arrays == {}


def test_a_lease_serves_one_release(admitted: World) -> None:
    lease = take(admitted)
    admitted.gate.release(lease, update=pack_arrays(GOOD), facts=FACTS)
    refuse(admitted, lease, "gate.lease_used")
    refused = take(admitted)
    refuse(admitted, refused, "gate.update_unreadable", update=b"junk")
    refuse(admitted, refused, "gate.lease_used")
    refuse(admitted, "CANARY", "gate.no_lease")


def test_of_many_releases_at_once_one_leaves(admitted: World) -> None:
    lease = take(admitted)

    def release(_: int) -> bool:
        try:
            admitted.gate.release(lease, update=pack_arrays(GOOD), facts=FACTS)
        except DeniedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(release, range(8))) == 1


def test_a_lease_ends_with_the_rounds_deadline(admitted: World) -> None:
    lease = take(admitted)
    admitted.clock.advance(timedelta(seconds=31))
    refuse(admitted, lease, "gate.lease_over")


def test_nothing_leaves_after_revocation_or_for_a_replaced_order(admitted: World) -> None:
    lease = take(admitted)
    admitted.set_transfer(state="TERMINATED")
    refuse(admitted, lease, "gate.transfer_not_started")
    admitted.set_transfer(state="STARTED")
    lease = take(admitted)
    admitted.gate.admit(admitted.order(attempt=2))
    refuse(admitted, lease, "gate.stale_order")


def test_nothing_leaves_when_the_evidence_cannot_be_written(admitted: World) -> None:
    lease = take(admitted)
    admitted.break_evidence()
    with pytest.raises(DatabaseError):
        admitted.gate.release(lease, update=pack_arrays(GOOD), facts=FACTS)
    admitted.mend_evidence()
    assert admitted.evidence("release.granted") == []


@pytest.mark.parametrize(
    ("update", "code"),
    [
        (b"", "gate.update_unreadable"),
        (b"CANARY" * 100, "gate.update_unreadable"),
        (pack_arrays(GOOD)[:-1], "gate.update_unreadable"),
        (pack_arrays(GOOD, note="CANARY"), "gate.update_has_notes"),
        (pack_arrays({}), "gate.update_other_arrays"),
        (pack_arrays(GOOD | {"CANARY": np.zeros(1)}), "gate.update_other_arrays"),
        (pack_arrays({"bias": GOOD["bias"]}), "gate.update_other_arrays"),
        (pack_arrays(GOOD | {"weight": np.zeros(3)}), "gate.update_other_arrays"),
        (pack_arrays(GOOD | {"weight": np.zeros((2, 1))}), "gate.update_other_arrays"),
        (pack_arrays(GOOD | {"weight": np.array([np.nan, 0.0])}), "gate.update_not_finite"),
        (pack_arrays(GOOD | {"weight": np.array([np.inf, 0.0])}), "gate.update_not_finite"),
        (pack_arrays(GOOD | {"weight": np.array([True, False])}), "gate.update_not_numbers"),
        (pack_arrays(GOOD | {"more": np.zeros(100_000)}), "gate.update_too_large"),
    ],
)
def test_an_update_that_is_not_the_models_arrays_is_refused(
    admitted: World, update: bytes, code: str
) -> None:
    refuse(admitted, take(admitted), code, update=update)


def test_an_evaluation_with_arrays_is_refused(admitted: World) -> None:
    lease = take(admitted, kind="evaluate", round_=3)
    refuse(admitted, lease, "gate.update_other_arrays", facts=EVALUATION)


def test_without_a_layout_in_the_plan_the_first_update_fixes_it(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    world.study = replace(world.study, layout=())
    world.set_transfer(study_digest=world.study.digest)
    world.gate.admit(world.order())
    world.gate.release(take(world), update=pack_arrays(GOOD), facts=FACTS)
    other = pack_arrays(GOOD | {"weight": np.zeros(3)})
    refuse(world, take(world), "gate.update_other_arrays", update=other)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"CANARY": 1}, "gate.fact_unknown"),
        ({"rows": {"CANARY": {}}}, "gate.fact_unknown"),
        ({"reason": "CANARY"}, "gate.fact_is_text"),
        ({"chosen": "Zhang San"}, "gate.fact_is_text"),
        ({"scores": [0.1, 0.2, 77310001.0]}, "gate.fact_is_list"),
        ({"bins": [{"predicted": 0.1, "observed": 1.0}]}, "gate.fact_is_list"),
        ({"bins": [{"n": 9, "observed": 1.0}]}, "gate.small_count"),
        ({"bins": [{"n": 20}] * 41}, "gate.too_many_facts"),
        ({"loss_after": float("nan")}, "gate.fact_not_a_figure"),
        ({"loss_after": 1e300}, "gate.fact_not_a_figure"),
        ({"loss_after": b"CANARY"}, "gate.fact_not_a_figure"),
        ({"n_test": 9}, "gate.small_count"),
        ({"n_test": 0}, "gate.small_count"),
        ({"positives": 3}, "gate.small_count"),
        ({"n_train": 10_000}, "gate.count_impossible"),
        ({"n_train": 20.5}, "gate.fact_not_a_figure"),
        ({"n_train": True}, "gate.fact_not_a_figure"),
        ({"n_train": None}, "gate.fact_not_a_figure"),
        ({"n": 61}, "gate.count_impossible"),
        ({"work_s": -1.0}, "gate.count_impossible"),
        ({"work_s": None}, "gate.fact_missing"),
    ],
)
def test_facts_outside_the_vocabulary_are_refused(
    admitted: World, change: dict[str, Any], code: str
) -> None:
    refuse(admitted, take(admitted), code, facts=FACTS | change)


def test_facts_without_a_count_are_refused(admitted: World) -> None:
    refuse(admitted, take(admitted), "gate.fact_missing", facts={"work_s": 1.0})


def test_facts_nested_too_deep_are_refused(admitted: World) -> None:
    deep: dict[str, Any] = {"value": 1.0}
    for _ in range(20):
        deep = {"rows": deep}
    refuse(admitted, take(admitted), "gate.too_many_facts", facts=FACTS | deep)


def test_small_counts_of_public_data_leave_and_the_evidence_says_so(
    make_world: MakeWorld,
) -> None:
    world = make_world(public=True)
    world.gate.admit(world.order())
    facts = FACTS | {"bins": [{"n": 1, "observed": 1.0}], "positives": 0}
    world.gate.release(take(world), update=pack_arrays(GOOD), facts=facts)
    assert world.evidence("release.granted")[0].facts["public"] is True


def test_a_release_survives_a_restart_of_the_node(admitted: World) -> None:
    lease = take(admitted)
    admitted.reopen()
    assert admitted.gate.release(lease, update=pack_arrays(GOOD), facts=FACTS)
