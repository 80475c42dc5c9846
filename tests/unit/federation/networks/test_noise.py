"""Training a network with noise: who is clipped, what is added, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.support.extras import need

from consilium.federation.noise.source import NoiseSource
from consilium.kernel.errors import InputError

torch = need("torch")
need("opacus")

from consilium.federation.networks import built, read_weights  # noqa: E402
from consilium.federation.networks.inversion import (  # noqa: E402
    Attack,
    gradient_of,
    invert_network,
    peak_ratio,
)
from consilium.federation.networks.noise import (  # noqa: E402
    NoisyPlan,
    NoisyWork,
    train_with_noise,
    without_batch_norm,
)

N, CLIP = 12, 0.5
PLAN = NoisyPlan(learning_rate=1.0, clip=CLIP, noise=0.0, rate=1.0, steps=1)
DRAWN = np.random.default_rng(0)
X = torch.from_numpy(DRAWN.normal(size=(N, 1, 4, 4)).astype(np.float32))
Y = torch.from_numpy(DRAWN.integers(0, 2, N))


def network():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.Tanh(),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 2),
    )


def make():
    return built(lambda: without_batch_norm(network()), seed=1)


def work(x=X, group=None):
    return NoisyWork(
        group=np.arange(N) if group is None else group,
        batch=lambda rows: (x[rows], Y[rows]),
        losses=lambda out, targets: torch.nn.functional.cross_entropy(
            out, targets, reduction="none"
        ),
    )


def train(plan=PLAN, *, secret=b"s" * 32, **changes):
    return train_with_noise(
        make, read_weights(make()), work=work(**changes), plan=plan, source=NoiseSource(secret, "t")
    )


def moved(weights):
    start = read_weights(make())
    return np.concatenate([(weights[name] - start[name]).ravel() for name in sorted(start)])


def test_batch_norm_becomes_group_norm_and_is_refused_where_it_stays() -> None:
    kinds = {type(layer).__name__ for layer in make().modules()}
    assert "GroupNorm" in kinds
    assert "BatchNorm2d" not in kinds
    with pytest.raises(InputError) as refusal:
        train_with_noise(network, {}, work=work(), plan=PLAN, source=NoiseSource(b"s" * 32, "t"))
    assert refusal.value.code == "federation.mixes_cases"


def test_a_step_is_the_mean_of_clipped_gradients_of_single_cases() -> None:
    shared, expected = make(), np.zeros_like(moved(read_weights(make())))
    names = [name for name, _ in shared.named_parameters()]
    for row in range(N):
        loss = torch.nn.functional.cross_entropy(shared(X[row : row + 1]), Y[row : row + 1])
        parts = torch.autograd.grad(loss, list(shared.parameters()))
        by_name = dict(zip(names, parts, strict=True))
        flat = np.concatenate([by_name[name].numpy().ravel() for name in sorted(by_name)])
        expected -= flat * min(1.0, CLIP / np.linalg.norm(flat)) / N
    np.testing.assert_allclose(moved(train()), expected, atol=1e-6)
    np.testing.assert_allclose(moved(train(replace(PLAN, at_once=5))), expected, atol=1e-6)


def test_noise_has_the_length_that_the_plan_says() -> None:
    plan = replace(PLAN, noise=100.0)
    drawn = moved(train(plan))
    assert np.std(drawn) == pytest.approx(100.0 * CLIP / N, rel=0.2)
    np.testing.assert_array_equal(drawn, moved(train(plan)))
    assert not np.array_equal(drawn, moved(train(plan, secret=b"t" * 32)))


def test_a_case_that_is_not_finite_moves_nothing() -> None:
    broken = X.clone()
    broken[3] = torch.nan
    assert np.isfinite(moved(train(x=broken))).all()


def test_one_patient_moves_a_step_by_one_clip_however_many_rows_it_has() -> None:
    # All rows but the last belong to one patient, whose images are enormous.
    group = np.array([0] * (N - 1) + [1])
    large = X.clone()
    large[: N - 1] *= 1e3
    assert np.linalg.norm(moved(train(x=large, group=group))) <= 2 * CLIP / 2 + 1e-6


def test_one_image_is_reconstructed_from_its_gradient_and_not_from_an_update() -> None:
    images = torch.from_numpy(DRAWN.random((16, 1, 6, 6)).astype(np.float32))
    labels = torch.from_numpy(DRAWN.integers(0, 2, 16))
    victim = built(
        lambda: torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, padding=1),
            torch.nn.Tanh(),
            torch.nn.Flatten(),
            torch.nn.Linear(288, 2),
        ),
        seed=3,
    )
    loss = torch.nn.functional.cross_entropy
    attack = Attack(steps=250, restarts=1, smooth=0.0)

    def attacked(update):
        guess = invert_network(
            victim, update, shape=(1, 1, 6, 6), targets=labels[:1], loss=loss, attack=attack
        )
        return peak_ratio(guess[0], images.numpy())

    alone = attacked(gradient_of(victim, images[:1], labels[:1], loss=loss))
    together = attacked(gradient_of(victim, images, labels, loss=loss))
    assert alone > 25.0
    assert together < 15.0
