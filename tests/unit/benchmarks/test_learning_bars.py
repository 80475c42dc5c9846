"""The bars of learning: what was measured with other settings is not mixed in."""

from __future__ import annotations

from typing import Any

from benchmarks import learning_bars

ROWS = {(0.5, "recipe"): 0.93, (0.5, "pooled"): 0.94, (0.1, "fedavg"): 0.8,
        (0.1, "personalised"): 0.9}  # fmt: skip


def cells(settings: str, *, seeds: range, less: float = 0.0) -> list[dict[str, Any]]:
    return [
        {
            "data": "brain",
            "alpha": alpha,
            "method": method,
            "seed": seed,
            "settings": {"size": settings},
            "rounds": 5,
            "test": {"accuracy": value - less, "auc": 0.99},
            "own": {"mean": value - less},
        }
        for (alpha, method), value in ROWS.items()
        for seed in seeds
    ]


def test_images_of_an_earlier_attempt_do_not_count() -> None:
    found = [*cells("96", seeds=range(42, 47), less=0.3), *cells("64", seeds=range(42, 47))]
    said = learning_bars.judge_brain(found)
    assert said.figure == "federated 0.930, pooled 0.940, personal gain +0.100"
    assert said.met


def test_a_seed_that_lacks_a_row_is_named_and_the_bar_is_not_met() -> None:
    found = [*cells("96", seeds=range(42, 47)), *cells("64", seeds=range(42, 47))[:-1]]
    said = learning_bars.judge_brain(found)
    assert said.figure.endswith("(seeds 46 not measured)")
    assert not said.met
