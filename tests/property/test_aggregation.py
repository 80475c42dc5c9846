"""What holds for every aggregation, whatever the updates."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from consilium.federation.aggregation import (
    RULES,
    Contribution,
    aggregate,
    least_sites,
    mean_update,
)
from consilium.kernel.identifiers import ParticipantId

WIDTH = 5
WEIGHT_RULES = sorted(RULES.keys() - {"bagging", "fltrust"})
"""Rules for weights of any sites; `bagging` is for trees, `fltrust` names a root: both have
tests of their own."""
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
UPDATES = st.lists(
    st.tuples(arrays(np.float64, WIDTH, elements=NUMBERS), st.integers(1, 10_000)),
    min_size=1,
    max_size=6,
)


def _sites(updates: list[tuple[np.ndarray, int]]) -> dict[ParticipantId, Contribution]:
    return {
        ParticipantId(f"did:web:x:{number}"): Contribution(
            update={"w": update}, n=n, loss=0.1 + number
        )
        for number, (update, n) in enumerate(updates)
    }


def allowed(sites: int) -> list[str]:
    """List the rules that so many sites are enough for."""
    return [rule for rule in WEIGHT_RULES if least_sites(rule, {}) <= sites]


@given(UPDATES, st.randoms())
def test_any_order_of_sites_gives_the_same_bytes(updates, random) -> None:  # type: ignore[no-untyped-def]
    sites = _sites(updates)
    shuffled = list(sites.items())
    random.shuffle(shuffled)
    model = {"w": np.zeros(WIDTH)}
    for rule in allowed(len(sites)):
        one = aggregate(rule, model, contributions=sites, state={}, settings={})
        two = aggregate(rule, model, contributions=dict(shuffled), state={}, settings={})
        assert one.model["w"].tobytes() == two.model["w"].tobytes()


@given(UPDATES)
def test_the_mean_update_lies_within_the_updates(updates) -> None:  # type: ignore[no-untyped-def]
    mean = mean_update(_sites(updates))["w"]
    stack = np.stack([update for update, _ in updates])
    slack = 1e-9 * (1 + np.abs(stack).max())
    assert (mean >= stack.min(axis=0) - slack).all()
    assert (mean <= stack.max(axis=0) + slack).all()


@given(arrays(np.float64, WIDTH, elements=NUMBERS), st.lists(st.integers(1, 999), min_size=1))
def test_sites_that_say_the_same_are_taken_at_their_word(update, counts) -> None:  # type: ignore[no-untyped-def]
    sites = _sites([(update, n) for n in counts])
    np.testing.assert_allclose(mean_update(sites)["w"], update, rtol=1e-9, atol=1e-9)


@given(UPDATES)
def test_aggregation_changes_neither_model_nor_updates(updates) -> None:  # type: ignore[no-untyped-def]
    sites = _sites(updates)
    before = [update.copy() for update, _ in updates]
    model = {"w": np.ones(WIDTH)}
    for rule in allowed(len(sites)):
        aggregate(rule, model, contributions=sites, state={}, settings={})
    assert (model["w"] == 1).all()
    assert all((old == new).all() for old, (new, _) in zip(before, updates, strict=True))


ROBUST = ("median", "trimmed_mean", "krum", "clipped")
COMBINING = ("fedavg", *ROBUST)
SMALL = st.lists(
    arrays(np.float64, WIDTH, elements=st.floats(-1e3, 1e3, allow_nan=False, width=16)),
    min_size=5,
    max_size=7,
)


def _combine(rule: str, updates) -> np.ndarray:  # type: ignore[no-untyped-def, type-arg]
    sites = _sites([(update, 10) for update in updates])
    model = {"w": np.zeros(WIDTH)}
    return aggregate(rule, model, contributions=sites, state={}, settings={}).model["w"]


@settings(max_examples=25)
@given(arrays(np.float64, WIDTH, elements=NUMBERS), st.integers(5, 9))
def test_equal_updates_give_that_update(update, count) -> None:  # type: ignore[no-untyped-def]
    for rule in ROBUST:
        found = _combine(rule, [update] * count)
        if rule == "clipped":
            np.testing.assert_allclose(found, update, rtol=1e-9, atol=1e-9)
        else:
            np.testing.assert_array_equal(found, update)


@settings(max_examples=25)
@given(SMALL, st.sampled_from([-4.0, 0.25, 2.0, 1024.0]))
def test_scaled_updates_give_the_scaled_result(updates, factor) -> None:  # type: ignore[no-untyped-def]
    # Powers of two scale without rounding, so no tie is decided otherwise.
    for rule in COMBINING:
        found = _combine(rule, [factor * update for update in updates])
        np.testing.assert_allclose(found, factor * _combine(rule, updates), rtol=1e-9, atol=1e-9)


@settings(max_examples=25)
@given(SMALL, arrays(np.float64, WIDTH, elements=st.floats(-1e300, 1e300)), st.integers(0, 4))
def test_one_arbitrary_site_stays_within_the_honest_range(updates, lie, place) -> None:  # type: ignore[no-untyped-def]
    honest = [update for number, update in enumerate(updates) if number != place]
    lied = [lie if number == place else update for number, update in enumerate(updates)]
    for rule in ("median", "trimmed_mean"):
        found = _combine(rule, lied)
        assert (found >= np.min(honest, axis=0)).all()
        assert (found <= np.max(honest, axis=0)).all()
