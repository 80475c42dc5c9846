"""q-FedAvg against the published algorithm, written as it is printed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from consilium.federation.aggregation import Contribution, aggregate
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId

MODEL = {"a": np.array([0.5, 1.0]), "b": np.array([[2.0]])}
SAID = (  # update of a, update of b, cases, loss before
    ((0.1, -0.2), 0.3, 10, 0.9),
    ((0.4, 0.0), -0.1, 30, 0.2),
    ((-0.3, 0.1), 0.2, 60, 0.5),
)


def sites(*losses: float | None) -> dict[ParticipantId, Contribution]:
    return {
        ParticipantId(f"did:web:x:{place}"): Contribution(
            update={"a": np.array(a), "b": np.array([[b]])}, n=n, loss=loss
        )
        for place, ((a, b, n, _), loss) in enumerate(
            zip(SAID, losses or [said[3] for said in SAID], strict=True)
        )
    }


def fair(*losses: float | None, **settings: float) -> Any:
    given = sites(*losses)
    return aggregate("qfedavg", MODEL, contributions=given, state={}, settings=settings).model


@pytest.mark.parametrize(("q", "lipschitz"), [(1.0, 1.0), (0.5, 100.0), (3.0, 10.0)])
def test_qfedavg_follows_the_published_algorithm(q: float, lipschitz: float) -> None:
    # Li et al. 2020, algorithm 2, sites weighted by their cases: dw = L (w - w_k),
    # D = F^q dw, h = q F^(q-1) |dw|^2 + L F^q, w = w - sum D / sum h.
    w = [0.5, 1.0, 2.0]
    up, down = [0.0, 0.0, 0.0], 0.0
    for a, b, n, loss in SAID:
        gradient = [lipschitz * -part for part in (*a, b)]
        length = sum(part * part for part in gradient)
        for place in range(3):
            up[place] += n / 100 * loss**q * gradient[place]
        down += n / 100 * (q * loss ** (q - 1) * length + lipschitz * loss**q)
    expected = [w[place] - up[place] / down for place in range(3)]
    found = fair(q=q, lipschitz=lipschitz)
    np.testing.assert_allclose([*found["a"], found["b"][0, 0]], expected, rtol=1e-12)


def test_qfedavg_with_q_0_is_fedavg() -> None:
    plain = aggregate("fedavg", MODEL, contributions=sites(), state={}, settings={}).model
    for name, array in fair(q=0).items():
        np.testing.assert_allclose(array, plain[name], rtol=1e-12)


def test_without_shortening_the_weights_are_cases_times_a_power_of_the_loss() -> None:
    found = fair(q=2, lipschitz=0)["a"][0] - 0.5
    weights = [n * loss**2 for _, _, n, loss in SAID]
    assert found == pytest.approx(np.average([a[0] for a, _, _, _ in SAID], weights=weights))


def test_a_great_q_follows_the_site_that_fares_worst() -> None:
    plain, fairest = (fair(q=q, lipschitz=0)["a"][0] - 0.5 for q in (0, 10))
    assert plain == pytest.approx(-0.05)
    assert fairest == pytest.approx(0.1, abs=0.01)


def test_losses_of_any_size_give_finite_weights() -> None:
    for losses in ((1e300, 1.0, 1.0), (0.0, 0.0, 0.0), (0.0, 1.0, 2.0)):
        for q in (0.5, 10):
            assert all(np.isfinite(array).all() for array in fair(*losses, q=q).values())


@pytest.mark.parametrize("loss", [None, float("nan"), float("inf"), -0.1])
def test_a_site_that_says_no_possible_loss_is_refused(loss: float | None) -> None:
    with pytest.raises(InputError) as caught:
        fair(0.5, loss, 0.5)
    assert caught.value.facts == {"site": "did:web:x:1", "reason": "no loss before training"}
