"""A secure sum equals the plain one, whoever is lost, up to the agreed number."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from summing import joined, named, planned, pooled, summed, trained

from consilium.federation.aggregation import Contribution, mean_update
from consilium.federation.secure import SumAggregator
from consilium.federation.secure.encoding import flatten_arrays, restore_arrays
from consilium.federation.secure.members import Step
from consilium.federation.secure.rehearsal import Rehearsal
from consilium.kernel.errors import StateError
from consilium.kernel.identifiers import ParticipantId

STEPS = tuple(step for step in Step if step is not Step.DONE)
BEFORE_UPLOAD = (Step.ANNOUNCE, Step.SHARE, Step.MASK)


def losses(sites: int) -> Iterator[dict[ParticipantId, Step]]:
    """Every admissible set of lost sites, each at every step."""
    plan = planned(sites)
    for number in range(sites - plan.threshold + 1):
        for gone in combinations(plan.sites, number):
            for steps in product(STEPS, repeat=number):
                yield dict(zip(gone, steps, strict=True))


def check(sites: int, lost: dict[ParticipantId, Step]) -> None:
    plan = planned(sites)
    updates = trained(plan)
    found = summed(plan, updates, lost)
    left = [site for site in plan.sites if lost.get(site) not in BEFORE_UPLOAD]
    assert found.survivors == tuple(left)
    assert found.cases == sum(updates[site][1] for site in left)
    assert np.abs(found.mean - pooled(updates, left)).max() < 1e-5


@given(
    sites=st.integers(3, 9),
    size=st.integers(1, 3000),
    bits=st.sampled_from([32, 64]),
    cap=st.sampled_from([1, 100, 10_000]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=20)
def test_a_secure_mean_equals_the_plain_one(
    sites: int, size: int, bits: int, cap: int, seed: int
) -> None:
    plan = planned(sites, size=size, encoding={"bits": bits, "max_cases": cap})
    updates = trained(plan, seed=seed, scale=0.5)
    found = summed(plan, updates)
    assert np.abs(found.mean - pooled(updates, plan.sites)).max() < 1e-5


def test_a_secure_mean_of_named_arrays_equals_the_rules_own() -> None:
    model = {"bias": np.zeros(1), "weight": np.zeros((3, 4))}
    plan = planned(4, size=13)
    drawn = np.random.default_rng(42)
    sent = {
        site: Contribution(
            update={
                name: drawn.normal(0, 0.2, array.shape).astype(np.float32)
                for name, array in model.items()
            },
            n=100 + 50 * number,
        )
        for number, site in enumerate(plan.sites)
    }
    updates = {site: (flatten_arrays(one.update), one.n) for site, one in sent.items()}
    found = restore_arrays(summed(plan, updates).mean, like=model)
    for name, array in mean_update(sent).items():
        assert np.abs(found[name] - array).max() < 1e-5


@pytest.mark.parametrize("sites", [3, 4])
def test_every_admissible_set_of_lost_sites_is_survived_at_every_step(sites: int) -> None:
    for lost in losses(sites):
        check(sites, lost)


@pytest.mark.slow
@pytest.mark.parametrize("sites", [5, 6])
def test_every_admissible_set_of_two_lost_sites_is_survived(sites: int) -> None:
    for lost in losses(sites):
        check(sites, lost)


@given(sites=st.integers(6, 10), data=st.data())
@settings(max_examples=8)
def test_as_many_as_agreed_may_be_lost_at_any_steps(sites: int, data: st.DataObject) -> None:
    plan = planned(sites)
    gone = data.draw(st.permutations(plan.sites))[: sites - plan.threshold]
    check(sites, {site: data.draw(st.sampled_from(STEPS)) for site in gone})


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("sites", [3, 4, 6])
def test_one_lost_site_too_many_stops_the_sum_and_says_so(sites: int, step: Step) -> None:
    plan = planned(sites)
    gone = plan.sites[: sites - plan.threshold + 1]
    hub, members = SumAggregator(plan), joined(plan)
    run = Rehearsal(hub, members, trained(plan), lost=dict.fromkeys(gone, step))
    with pytest.raises(StateError, match="sites are left") as caught:
        run.run()
    assert caught.value.code == "secure.too_many_lost"
    assert caught.value.facts == {
        "step": step,
        "left": plan.threshold - 1,
        "threshold": plan.threshold,
    }
    revealed = [site for site, member in members.items() if member.step is Step.DONE]
    assert len(revealed) == (plan.threshold - 1 if step is Step.REVEAL else 0)


def test_sums_in_another_order_give_the_same_bytes() -> None:
    plan = planned(4, size=50)
    updates = trained(plan)
    first = summed(plan, updates)
    backwards = Rehearsal(
        SumAggregator(plan), dict(reversed(joined(plan).items())), dict(reversed(updates.items()))
    ).run()
    assert first.mean.tobytes() == backwards.mean.tobytes()


@pytest.mark.parametrize("sites", [4, 12])
@pytest.mark.parametrize("size", [10_000, 100_000])
def test_traffic_is_at_most_twice_that_of_plain_updates(sites: int, size: int) -> None:
    plan = planned(sites, size=size)
    run = Rehearsal(SumAggregator(plan), joined(plan), trained(plan), lost={named(0): Step.CONFIRM})
    run.run()
    plain = 4 * size
    assert max(run.up.values()) <= 2 * plain
    # The model itself comes down in either case.
    assert max(run.up[site] + run.down[site] for site in plan.sites) + plain <= 2 * (2 * plain)
