"""Slopes against differences, and whole descents against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from extras import need

from consilium.federation.contract import Cases
from consilium.federation.recipes.tabular_mlp.descent import (
    Pull,
    descend,
    mean_loss,
    stack_models,
    unstack_models,
)
from consilium.federation.recipes.tabular_mlp.losses import LOSSES, SLOPES
from consilium.federation.recipes.tabular_mlp.network import (
    Stack,
    backward,
    draw_model,
    forward,
    fresh_norms,
    norm_inputs,
)
from consilium.federation.recipes.tabular_mlp.settings import Settings

TARGETS = ("binary", "classes", "number")
WIDTHS = [(), (5,), (5, 4)]


def draw(
    target: str, widths: tuple[int, ...], *, norm: bool, seed: int = 0
) -> dict[str, np.ndarray]:
    outputs = 3 if target == "classes" else 1
    model = draw_model(inputs=3, widths=widths, outputs=outputs, target=target, seed=seed)
    drawn = np.random.default_rng(seed)
    norms = fresh_norms(widths) if norm else {}
    return model | {
        name: array + drawn.uniform(0, 0.3, array.shape) for name, array in norms.items()
    }


def draw_cases(target: str, n: int, seed: int = 0) -> Cases:
    drawn = np.random.default_rng(seed)
    y = {"binary": drawn.integers(0, 2, n), "classes": drawn.integers(0, 3, n)}
    labels = y.get(target, drawn.normal(size=n))
    return Cases(x=drawn.normal(size=(n, 3)), y=labels.astype(float), group=np.arange(n))


def padded(sites: list[Cases]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    longest = max(site.n for site in sites)
    x, y = np.zeros((len(sites), longest, 3)), np.zeros((len(sites), longest))
    rows = np.zeros((len(sites), longest))
    for place, site in enumerate(sites):
        x[place, : site.n], y[place, : site.n] = site.x, site.y
        rows[place, : site.n] = 1 / site.n
    return x, y, rows


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("target", TARGETS)
def test_slopes_are_those_of_the_loss(target: str, widths: tuple[int, ...], norm: bool) -> None:
    model = stack_models([draw(target, widths, norm=norm, seed=seed) for seed in (1, 2)])
    x, y, rows = padded([draw_cases(target, 7), draw_cases(target, 4)])
    drawn = np.random.default_rng(3)
    masks = [drawn.integers(0, 2, (2, 7, width)) * 2.0 for width in widths]

    def loss(given: Stack) -> np.ndarray:
        passed = forward(given, x, rows=rows, masks=masks)
        return (LOSSES[target](passed.out, y) * rows).sum(axis=1)

    passed = forward(model, x, rows=rows, masks=masks)
    slope = SLOPES[target](passed.out, y) * rows[:, :, None]
    found = backward(model, passed, slope, rows=rows)
    trained = {name for name in model if not name.endswith((".mean", ".variance"))}
    assert set(found) == trained
    for name in trained:
        for place in np.ndindex(model[name].shape):
            up = {**model, name: model[name].copy()}
            down = {**model, name: model[name].copy()}
            up[name][place] += 1e-6
            down[name][place] -= 1e-6
            numeric = (loss(up) - loss(down))[place[0]] / 2e-6
            assert found[name][place] == pytest.approx(numeric, abs=2e-7), name


def torch_network(
    torch: Any, model: dict[str, np.ndarray], widths: tuple[int, ...], norm: bool
) -> Any:
    """The same network as torch layers, and the arrays' places in it."""
    sizes, layers, places = [3, *widths], [], {}
    names = [f"hidden{place}" for place in range(1, len(widths) + 1)]
    head = next(name for name in model if name.startswith("head")).rpartition(".")[0]
    for name, before, after in zip(names, sizes[:-1], sizes[1:], strict=True):
        linear = torch.nn.Linear(before, after).double()
        places[f"{name}.weight"], places[f"{name}.bias"] = linear.weight, linear.bias
        layers.append(linear)
        if norm:
            batch = torch.nn.BatchNorm1d(after).double()
            found = (batch.weight, batch.bias, batch.running_mean, batch.running_var)
            for part, tensor in zip(("scale", "shift", "mean", "variance"), found, strict=True):
                places[f"{name}.norm.{part}"] = tensor
            layers.append(batch)
        layers.append(torch.nn.ReLU())
    last = torch.nn.Linear(sizes[-1], model[f"{head}.bias"].shape[0]).double()
    places |= {f"{head}.weight": last.weight, f"{head}.bias": last.bias}
    with torch.no_grad():
        for name, tensor in places.items():
            tensor.copy_(torch.tensor(model[name].T if name.endswith(".weight") else model[name]))
    return torch.nn.Sequential(*layers, last), places


def torch_loss(torch: Any, target: str, out: Any, cases: Cases) -> Any:
    y = torch.tensor(cases.y)
    if target == "classes":
        return torch.nn.functional.cross_entropy(out, y.long())
    if target == "binary":
        return torch.nn.functional.binary_cross_entropy_with_logits(out[:, 0], y)
    return 0.5 * torch.nn.functional.mse_loss(out[:, 0], y)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("target", TARGETS)
def test_a_descent_is_that_of_torch(target: str, norm: bool) -> None:
    torch = need("torch")
    torch.set_num_threads(1)
    model, cases = draw(target, (5, 4), norm=norm), draw_cases(target, 9)
    settings = Settings(
        learning_rate=0.2, momentum=0.6, l2=0.03, proximal_mu=0.4, local_steps=12, batch_size=50
    )
    network, places = torch_network(torch, model, (5, 4), norm)
    start = {name: tensor.detach().clone() for name, tensor in places.items()}
    optimiser = torch.optim.SGD(network.parameters(), lr=0.2, momentum=0.6)
    for _ in range(12):
        optimiser.zero_grad()
        loss = torch_loss(torch, target, network(torch.tensor(cases.x)), cases)
        for name, tensor in places.items():
            if tensor.requires_grad:
                loss = loss + 0.2 * ((tensor - start[name]) ** 2).sum()
                if name.endswith(".weight"):
                    loss = loss + 0.015 * (tensor**2).sum()
        loss.backward()
        optimiser.step()

    begin = stack_models([model])
    found = unstack_models(
        descend(
            begin,
            [cases],
            settings=settings,
            generators=[np.random.default_rng(0)],
            pull=Pull(anchor=begin, strength=0.4),
        )
    )[0]
    for name, tensor in places.items():
        expected = tensor.detach().numpy()
        np.testing.assert_allclose(
            found[name], expected.T if name.endswith(".weight") else expected, rtol=1e-9, atol=1e-12
        )
    network.eval()
    left = torch_loss(torch, target, network(torch.tensor(cases.x)), cases)
    assert mean_loss(found, cases) == pytest.approx(left.item(), rel=1e-9)


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_model_goes_its_own_way_whatever_is_beside_it(norm: bool, dropout: float) -> None:
    models = [draw("classes", (5, 4), norm=norm, seed=seed) for seed in range(4)]
    sites = [draw_cases("classes", n, seed=n) for n in (3, 40, 8, 17)]
    settings = Settings(
        learning_rate=0.3, momentum=0.5, batch_size=8, local_steps=30, dropout=dropout
    )

    def train(chosen: list[int]) -> list[dict[str, np.ndarray]]:
        return unstack_models(
            descend(
                stack_models([models[place] for place in chosen]),
                [sites[place] for place in chosen],
                settings=settings,
                generators=[np.random.default_rng(place) for place in chosen],
            )
        )

    for place, together in enumerate(train([0, 1, 2, 3])):
        (alone,) = train([place])
        for name in alone:
            np.testing.assert_allclose(together[name], alone[name], rtol=0, atol=1e-10)


def test_every_case_is_taken_once_in_each_pass() -> None:
    cases = Cases(x=np.eye(7, 7), y=np.ones(7), group=np.arange(7))
    model = {"head.binary.weight": np.zeros((7, 1)), "head.binary.bias": np.zeros(1)}
    settings = Settings(learning_rate=0.01, batch_size=2, local_steps=7)
    found = descend(
        stack_models([model]), [cases], settings=settings, generators=[np.random.default_rng(0)]
    )
    # Two passes of seven cases: every case's own weight was moved, by nearly as much.
    weights = found["head.binary.weight"][0, :, 0]
    assert (weights > 0).all()
    assert weights.max() < 1.1 * weights.min()


def test_running_statistics_of_one_row_stay_as_they_were() -> None:
    model, cases = draw("number", (5,), norm=True), draw_cases("number", 1)
    found = descend(
        stack_models([model]),
        [cases],
        settings=Settings(local_steps=3),
        generators=[np.random.default_rng(0)],
    )
    np.testing.assert_array_equal(found["hidden1.norm.mean"][0], model["hidden1.norm.mean"])
    assert all(np.isfinite(array).all() for array in found.values())


def test_a_negative_variance_from_outside_gives_numbers_all_the_same() -> None:
    model = draw("binary", (5,), norm=True)
    model["hidden1.norm.variance"] = np.full(5, -3.0)
    assert np.isfinite(forward(stack_models([model]), draw_cases("binary", 4).x[None]).out).all()


def test_layer_inputs_are_summed_up_by_mean_and_variance() -> None:
    model, x = draw("binary", (5, 4), norm=True), draw_cases("binary", 20).x
    first, second = norm_inputs(stack_models([model]), x)
    raw = x @ model["hidden1.weight"] + model["hidden1.bias"]
    np.testing.assert_allclose(first[0], raw.mean(axis=0))
    np.testing.assert_allclose(first[1], raw.var(axis=0))
    spread = np.sqrt(model["hidden1.norm.variance"] + 1e-5)
    z = (raw - model["hidden1.norm.mean"]) / spread
    seen = np.maximum(z * model["hidden1.norm.scale"] + model["hidden1.norm.shift"], 0)
    raw_2 = seen @ model["hidden2.weight"] + model["hidden2.bias"]
    np.testing.assert_allclose(second[0], raw_2.mean(axis=0))
