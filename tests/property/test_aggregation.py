"""What holds for every aggregation, whatever the updates."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from consilium.federation.aggregation import Contribution, aggregate, mean_update
from consilium.kernel.identifiers import ParticipantId

WIDTH = 5
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
UPDATES = st.lists(
    st.tuples(arrays(np.float64, WIDTH, elements=NUMBERS), st.integers(1, 10_000)),
    min_size=1,
    max_size=6,
)


def _sites(updates: list[tuple[np.ndarray, int]]) -> dict[ParticipantId, Contribution]:
    return {
        ParticipantId(f"did:web:x:{number}"): Contribution(update={"w": update}, n=n)
        for number, (update, n) in enumerate(updates)
    }


@given(UPDATES, st.randoms())
def test_any_order_of_sites_gives_the_same_bytes(updates, random) -> None:  # type: ignore[no-untyped-def]
    sites = _sites(updates)
    shuffled = list(sites.items())
    random.shuffle(shuffled)
    model = {"w": np.zeros(WIDTH)}
    for rule in ("fedavg", "fedadam"):
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
    for rule in ("fedavg", "fedadam"):
        aggregate(rule, model, contributions=sites, state={}, settings={})
    assert (model["w"] == 1).all()
    assert all((old == new).all() for old, (new, _) in zip(before, updates, strict=True))
