"""Networks: weights as arrays, seeded rounds, what stays at the site, frozen parts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.extras import need

from consilium.kernel.errors import InputError, IntegrityError, NotFoundError
from consilium.models.weights import pack_arrays

torch = need("torch")

from consilium.federation.networks import (  # noqa: E402
    Optimising,
    RoundPlan,
    Schedule,
    Work,
    batch_norm_names,
    built,
    class_weights,
    freeze,
    learn_channels,
    load_start,
    read_weights,
    serving_arrays,
    take_over,
    train_round,
    write_weights,
)

OWN = {"norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"}
PLAN = RoundPlan(optimising=Optimising(kind="sgd", learning_rate=0.1), epochs=2, batch_size=8)


class Small(torch.nn.Module):
    """One layer, a batch norm, some chance and a head."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 4)
        self.norm = torch.nn.BatchNorm1d(4)
        self.drop = torch.nn.Dropout(0.2)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.drop(torch.relu(self.norm(self.layer(x)))))


def make():
    return built(Small, seed=1)


def frozen():
    network = make()
    freeze(network, head="head")
    return network


def work(n=21, seed=0):
    chance = np.random.default_rng(seed)
    x = torch.from_numpy(chance.normal(size=(n, 3)).astype(np.float32))
    y = (x[:, 0] > 0).long()

    def batch(rows, augment):
        noise = 0.1 * torch.randn(len(rows), 3) if augment else 0.0
        return x[rows] + noise, y[rows]

    return Work(n=n, batch=batch, loss=torch.nn.functional.cross_entropy)


def round_of(plan=PLAN, *, start=None, kept=None, number=1, network=make, n=21):
    return train_round(
        network,
        read_weights(make()) if start is None else start,
        work=work(n),
        plan=plan,
        draw=lambda: np.random.default_rng(number),
        number=number,
        kept=kept or {},
    )


def test_weights_survive_the_way_to_arrays_and_back():
    weights = read_weights(make())
    other = Small()
    write_weights(other, {name: array.astype(np.float64) for name, array in weights.items()})
    assert pack_arrays(read_weights(other)) == pack_arrays(weights)
    assert "norm.num_batches_tracked" not in weights
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "arrays", [{"other": np.zeros(2)}, {"head.bias": np.zeros(3)}], ids=["name", "shape"]
)
def test_arrays_of_another_network_are_refused(arrays):
    with pytest.raises(InputError) as error:
        write_weights(make(), arrays)
    assert error.value.code == "federation.other_network"


def test_the_same_seed_gives_the_same_bytes_whatever_torch_drew_before():
    first = round_of()
    torch.rand(7)
    second = round_of()
    assert pack_arrays(first.shared) == pack_arrays(second.shared)
    assert pack_arrays(round_of(number=2).shared) != pack_arrays(first.shared)
    assert first.loss_after < first.loss_before


def test_a_round_leaves_torch_as_it_was():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    round_of(replace(PLAN, threads=threads + 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_local_batch_norms_are_kept_and_not_shared():
    assert batch_norm_names(make()) == OWN
    plan = replace(PLAN, keeps_batch_norm=True)
    first = round_of(plan)
    assert not OWN & set(first.shared)
    assert set(first.kept) == {f"local.{name}" for name in OWN}
    served = serving_arrays(first.shared, first.kept)
    assert set(served) == set(read_weights(make()))
    again = round_of(plan, start=first.shared, kept=first.kept, number=2)
    anew = round_of(plan, start=first.shared, number=2)
    assert pack_arrays(again.shared) != pack_arrays(anew.shared)


def test_ditto_without_pull_is_local_training():
    plan = replace(PLAN, ditto_lambda=0.0)
    start = read_weights(make())
    shared, kept, alone = start, {}, start
    for number in (1, 2, 3):
        # The federation moves the shared model as it likes.
        shared = {name: array + np.float32(0.01) for name, array in shared.items()}
        result = round_of(plan, start=start if number == 1 else shared, kept=kept, number=number)
        kept = result.kept
        alone = round_of(start=alone, number=number).shared
    assert pack_arrays(serving_arrays(shared, kept)) == pack_arrays(alone)


def test_a_strong_pull_holds_the_personal_model_at_the_shared_one():
    start = read_weights(make())
    apart = {}
    for strength in (0.0, 5.0):
        plan = replace(PLAN, ditto_lambda=strength)
        own = serving_arrays(start, round_of(plan, start=start).kept)
        apart[strength] = np.abs(own["head.weight"] - start["head.weight"]).max()
    assert apart[5.0] < 0.8 * apart[0.0]


def test_the_personal_model_does_not_change_what_is_shared():
    plain, ditto = round_of(), round_of(replace(PLAN, ditto_lambda=0.3))
    assert pack_arrays(plain.shared) == pack_arrays(ditto.shared)


def test_the_proximal_term_pulls_to_the_start():
    start = read_weights(make())
    free = round_of(start=start).shared["head.weight"] - start["head.weight"]
    held = round_of(replace(PLAN, proximal_mu=5.0), start=start).shared["head.weight"]
    assert np.linalg.norm(held - start["head.weight"]) < np.linalg.norm(free)


def test_frozen_arrays_do_not_move():
    start = read_weights(make())
    after = round_of(network=frozen, start=start).shared
    moved = {name for name in start if not np.array_equal(start[name], after[name])}
    assert moved == {"head.weight", "head.bias"}


@pytest.mark.parametrize("n", [1, 2, 9])
def test_no_batch_holds_a_single_case(n):
    result = round_of(n=n)
    assert all(np.isfinite(array).all() for array in result.shared.values())


def test_the_learning_rate_falls_over_the_rounds_and_stays():
    schedule = Schedule(rounds=5, last=0.1)
    factors = [schedule.factor(number) for number in range(1, 8)]
    assert factors[0] == 1.0
    assert factors[4:] == pytest.approx([0.1, 0.1, 0.1])
    assert factors == sorted(factors, reverse=True)
    assert Schedule().factor(9) == 1.0


def test_class_weights_let_classes_count_alike_up_to_a_bound():
    weights = class_weights(np.repeat([0.0, 1.0], [30, 10]), 3)
    assert weights == pytest.approx([40 / 60, 2.0, 0.0])
    assert class_weights(np.repeat([0.0, 1.0], [99, 1]), 2)[1] == 5.0


def test_channels_are_scaled_by_the_sites_own_statistics():
    chance = np.random.default_rng(0)
    images = chance.integers(0, 255, size=(4, 5, 5, 2)).astype(np.uint8)
    images[..., 1] = 7
    scaled = learn_channels(images).apply(images)
    assert scaled[..., 0].mean() == pytest.approx(0.0, abs=1e-5)
    assert scaled[..., 0].std() == pytest.approx(1.0, abs=1e-5)
    assert not scaled[..., 1].any()


def put(folder: Path, arrays) -> str:
    data = pack_arrays(arrays)
    digest = hashlib.sha256(data).hexdigest()
    (folder / f"{digest}.safetensors").write_bytes(data)
    return digest


def test_a_starting_model_is_read_by_its_digest(tmp_path):
    weights = read_weights(make())
    digest = put(tmp_path, weights)
    assert pack_arrays(load_start(tmp_path, digest)) == pack_arrays(weights)
    with pytest.raises(NotFoundError):
        load_start(tmp_path, "0" * 64)
    (tmp_path / f"{digest}.safetensors").write_bytes(b"forged")
    with pytest.raises(IntegrityError):
        load_start(tmp_path, digest)


def test_a_starting_model_may_differ_in_the_head_alone():
    fresh, given = read_weights(make()), read_weights(built(Small, seed=2))
    given["head.bias"] = np.zeros(9, dtype=np.float32)
    taken = take_over(fresh, given, head="head")
    assert np.array_equal(taken["layer.weight"], given["layer.weight"])
    assert np.array_equal(taken["head.bias"], fresh["head.bias"])
    del given["layer.bias"]
    with pytest.raises(InputError) as error:
        take_over(fresh, given, head="head")
    assert error.value.facts["array"] == "layer.bias"
