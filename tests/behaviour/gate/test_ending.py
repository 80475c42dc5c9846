"""What has ended lets nothing in and nothing out: revoked agreements, approvals that ran out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from consilium.dataspace.tables import DATASETS
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import DeniedError
from consilium.models.weights import pack_arrays

World = Any
UPDATE = pack_arrays({"bias": np.array([0.25]), "weight": np.array([1.0, -1.0])})
FACTS: dict[str, Any] = {"n": 60, "work_s": 0.25, "loss_before": 0.7, "loss_after": 0.3}
GRANTED = frozenset({"admission.granted", "lease.granted", "release.granted"})


def take(world: World) -> Any:
    lease = world.gate.lease(world.order(), kind="train", round=1, model=world.study.start)
    lease.file.close()
    return lease.id


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(DeniedError) as refusal:
        call()
    return refusal.value.code


def test_after_a_revocation_nothing_is_admitted_leased_or_released(any_world: World) -> None:
    world = any_world
    world.gate.admit(world.order())
    lease = take(world)
    looks = world.blobs.looks
    world.revoke()
    assert refused(lambda: world.gate.admit(world.order())) == "gate.agreement_revoked"
    assert refused(lambda: take(world)) == "gate.agreement_revoked"
    code = refused(lambda: world.gate.release(lease, update=UPDATE, facts=FACTS))
    assert code == "gate.agreement_revoked"
    assert world.blobs.looks == looks, "nobody looked for the data"
    kinds = [entry.kind for entry in world.database.evidence.entries(limit=1000)]
    after = kinds[kinds.index("agreement.revoked") :]
    assert not GRANTED & set(after)
    assert {"admission.refused", "lease.refused", "release.refused"} <= set(after)


def test_the_gate_says_why_a_running_job_may_not_go_on(world: World) -> None:
    order = world.order()
    world.gate.admit(order)
    assert world.gate.find_refusal(order) is None
    entries = world.database.evidence.size
    world.revoke()
    refusal = world.gate.find_refusal(order)
    assert refusal is not None
    assert refusal.code == "gate.agreement_revoked"
    assert world.database.evidence.size == entries + 2, "only the revocation and its transfer"
    assert world.gate.find_refusal(b"{}").code == "gate.order_unreadable"


@pytest.mark.parametrize("field", ["ethics_expires", "genetic_resources_expires", "retention_ends"])
def test_an_approval_that_runs_out_in_between_lets_nothing_out(world: World, field: str) -> None:
    end = "2026-01-10T01:00:00.000000Z"
    world.write(DATASETS, governance=f'{{"{field}":"{end}"}}')
    world.gate.admit(world.order())
    lease = take(world)
    world.clock.advance(timedelta(seconds=10))
    world.gate.release(lease, update=UPDATE, facts=FACTS)
    world.clock.advance(timedelta(hours=1))
    for call in (
        lambda: world.gate.admit(world.order()),
        lambda: take(world),
        lambda: world.gate.admit(world.order(attempt=2)),
    ):
        assert refused(call) == "dataspace.governance_ended"
    assert world.gate.find_refusal(world.order()).code == "dataspace.governance_ended"


def test_a_result_that_comes_after_the_agreements_end_stays_here(world: World) -> None:
    world.set_terms(not_after="2026-01-10T00:00:05Z")
    world.gate.admit(world.order())
    lease = take(world)
    world.clock.advance(timedelta(seconds=6))
    code = refused(lambda: world.gate.release(lease, update=UPDATE, facts=FACTS))
    assert code == "dataspace.outside_time"


def test_nothing_is_let_through_after_a_revocation_however_the_calls_race(
    any_world: World,
) -> None:
    world = any_world
    world.set_terms(max_rounds=10_000)
    world.gate.admit(world.order())
    begun = threading.Barrier(5)

    def work(_: int) -> tuple[int, str]:
        begun.wait()
        done = 0
        while True:
            try:
                lease = take(world)
                world.gate.release(lease, update=UPDATE, facts=FACTS)
                done += 1
            except DeniedError as refusal:
                return done, refusal.code

    def revoke() -> None:
        begun.wait()
        threading.Event().wait(0.15)
        world.revoke()

    with ThreadPoolExecutor(5) as pool:
        ended = pool.submit(revoke)
        found = list(pool.map(work, range(4)))
        ended.result()
    assert {code for _, code in found} == {"gate.agreement_revoked"}
    kinds = [entry.kind for entry in world.database.evidence.entries(limit=1000)]
    place = kinds.index("agreement.revoked")
    assert kinds.count("release.granted") == sum(done for done, _ in found)
    assert not GRANTED & set(kinds[place:])
    assert kinds[place:].count("lease.refused") + kinds[place:].count("release.refused") == 4


def test_a_model_is_never_shown_after_a_revocation(world: World) -> None:
    world.gate.admit(world.order())
    world.revoke()
    for kind, round_ in (("train", 1), ("train", 2), ("evaluate", 3)):

        def ask(kind: str = kind, round_: int = round_) -> object:
            return world.gate.lease(
                world.order(), kind=kind, round=round_, model=digest_of(b"model")
            )

        assert refused(ask) == "gate.agreement_revoked"
