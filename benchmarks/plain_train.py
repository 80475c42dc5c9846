"""The site's training script of the plain side: FLARE's Client API, numpy, nothing else.

It runs inside FLARE's own job process. The steps are those of our recipe
`tabular-logistic`: minibatch descent on the log loss.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import nvflare.client as flare

KEY = "numpy_key"


def main() -> None:
    """Train as often as the server asks, and note when each round's work began and ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    study = json.loads((given.folder / "study.json").read_text())
    flare.init()
    site = flare.get_site_name()
    with np.load(given.folder / site / "train.npz") as data:
        x, y = data["x"], data["y"]
    shuffles = json.loads((given.folder / site / "shuffles.json").read_text())
    while flare.is_running():
        received = flare.receive()
        began = time.time()
        generator = np.random.default_rng()
        generator.bit_generator.state = shuffles[received.current_round]
        weights = descend(x, y, received.params[KEY], study=study, generator=generator)
        line = {"round": received.current_round, "began": began, "ended": time.time()}
        with (given.folder / site / "work.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        flare.send(flare.FLModel(params={KEY: weights}, meta={"NUM_STEPS_CURRENT_ROUND": len(y)}))


def descend(
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    start: npt.NDArray[Any],
    *,
    study: dict[str, Any],
    generator: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Take the round's steps."""
    inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    weights = np.asarray(start, dtype=np.float64).copy()
    for batch in islice(batches(len(y), study["batch_size"], generator), study["local_steps"]):
        rows = inputs[batch]
        error = 0.5 * (1.0 + np.tanh(0.5 * (rows @ weights))) - y[batch]
        weights -= study["learning_rate"] * (rows.T @ error / len(batch))
    return weights


def batches(n: int, size: int, generator: np.random.Generator) -> Iterator[npt.NDArray[np.intp]]:
    """Deal shuffled batches without end; each pass takes every case once."""
    while True:
        order = generator.permutation(n)
        for begin in range(0, n, size):
            yield order[begin : begin + size]


if __name__ == "__main__":
    main()
