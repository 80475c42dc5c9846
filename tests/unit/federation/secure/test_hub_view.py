"""What the hub gets of one update looks like noise; without a mask it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from summing import Stopped, joined, named, planned

from consilium.federation.secure import SumAggregator
from consilium.federation.secure.masks import add_mask, pair_seed, self_seed
from consilium.federation.secure.members import Step, read_announcements
from consilium.federation.secure.rehearsal import Rehearsal
from consilium.kernel.errors import StateError

NOISE = 1e-4
"""Uniform draws fall below this once in ten thousand runs; seeds are fixed."""


def least_chance(elements: Any) -> float:
    """The least p-value of tests against uniform elements: KS, and bytes by chi-square."""
    octets = elements.view(np.uint8).reshape(elements.size, -1)
    found = [stats.kstest(elements / 2.0 ** (8 * octets.shape[1]), "uniform").pvalue]
    found += [stats.chisquare(np.bincount(column, minlength=256)).pvalue for column in octets.T]
    return float(min(found))


def upload(size: int, *, seed: int, fill: float = 0.01, bits: int = 32, **changes: Any) -> Any:
    """One site's upload of a constant update, as the hub sees it."""
    plan = planned(3, size=size, encoding={"bits": bits}, **changes)
    hub, sites = SumAggregator(plan), joined(plan, draw=np.random.default_rng(seed).bytes)
    for site in sites.values():
        hub.take_announcement(site.announce())
    shown = hub.announcements()
    for site in sites.values():
        hub.take_shares(site.share(shown))
    sent = sites[named(1)].mask(hub.deliveries()[named(1)], np.full(size, fill), cases=100)
    return np.frombuffer(sent.body, plan.encoding.dtype)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("fill", [0.0, 0.01, -1.0])
def test_a_masked_update_is_indistinguishable_from_noise(bits: int, fill: float) -> None:
    assert least_chance(upload(50_000, seed=42, bits=bits, fill=fill)[:-1]) > NOISE


def test_one_coordinate_over_many_rounds_is_indistinguishable_from_noise() -> None:
    first = [int(upload(1, seed=seed, round=seed)[0]) for seed in range(1, 101)]
    assert stats.kstest(np.array(first) / 2.0**32, "uniform").pvalue > NOISE


def test_two_masked_updates_differ_by_noise() -> None:
    difference = upload(50_000, seed=42, fill=0.01) - upload(50_000, seed=43, fill=0.01)
    assert least_chance(difference[:-1]) > NOISE


@pytest.mark.parametrize("kind", ["constant", "gaussian", "full range"])
def test_the_same_tests_tell_an_update_without_a_mask(kind: str) -> None:
    # The control: what the tests must be able to see.
    drawn = np.random.default_rng(42)
    update = {
        "constant": np.full(50_000, 0.01),
        "gaussian": drawn.normal(0, 0.2, 50_000),
        "full range": drawn.uniform(-1, 1, 50_000),
    }[kind]
    plain = planned(3, size=50_000).encoding.encode(update, cases=100)
    assert least_chance(plain[:-1]) < 1e-12


def test_masks_used_twice_would_show_the_difference_of_two_updates() -> None:
    # The control for fresh masks: the same randomness in the same round is no protection.
    difference = upload(1000, seed=42, fill=0.02) - upload(1000, seed=42, fill=0.01)
    assert len(set(difference[:-1].tolist())) == 1


def test_the_same_randomness_in_another_round_gives_other_masks() -> None:
    difference = upload(50_000, seed=42, fill=0.02) - upload(50_000, seed=42, fill=0.01, round=2)
    assert least_chance(difference[:-1]) > NOISE


def test_after_too_many_losses_the_hub_still_holds_noise() -> None:
    plan = planned(4, size=50_000)
    hub, sites = SumAggregator(plan), joined(plan, draw=np.random.default_rng(42).bytes)
    bodies = []

    def watch(_: Any, step: Step, work: Any) -> Any:
        answer = work()
        if step is Step.MASK:
            bodies.append(np.frombuffer(answer.body, plan.encoding.dtype))
        return answer

    updates = {site: (np.full(plan.size, 0.01), 100) for site in plan.sites}
    gone = dict.fromkeys(plan.sites[:2], Step.MASK)
    with pytest.raises(StateError, match="sites are left"):
        Rehearsal(hub, sites, updates, lost=gone, watch=watch).run()
    for seen in (*bodies, bodies[0] + bodies[1]):
        assert least_chance(seen[:-1]) > NOISE


def test_a_lost_sites_late_update_stays_noise_when_its_key_is_known() -> None:
    # A hub that kept a late upload gets the pairwise masks off, never the self mask.
    stopped = Stopped(4, size=50_000)
    masking = stopped.sites[named(3)]._masking
    for name, one in stopped.uploads.items():
        if name != named(3):
            stopped.hub.take_masked(one)
    call = stopped.hub.survivor_call()
    assert call.lost == (named(3),)
    survivors = {name: site for name, site in stopped.sites.items() if name != named(3)}
    for site in survivors.values():
        stopped.hub.take_confirmation(site.confirm(call))
    final = stopped.hub.reveal_call()
    for site in survivors.values():
        stopped.hub.take_revealed(site.reveal(final))
    stopped.hub.total()
    announced = read_announcements(stopped.shown.statements, plan=stopped.plan)
    lost, plan = stopped.sites[named(3)], stopped.plan.digest
    late = np.frombuffer(stopped.uploads[named(3)].body, "<u4").copy()
    for peer in survivors:  # all come before the lost site, which subtracted
        pair = (named(3), peer)
        add_mask(late, pair_seed(masking, announced[peer].masking, plan=plan, pair=pair))
    assert least_chance(late[:-1]) > NOISE
    # The control: its self mask, which nobody revealed, is all that is left.
    add_mask(late, self_seed(lost._seed, plan=plan, site=named(3)), negative=True)
    update, cases = stopped.updates[named(3)]
    assert np.array_equal(late, stopped.plan.encoding.encode(update, cases=cases))
