"""Chance and devices: the same draw gives the same bytes on the same machine.

torch keeps one source of chance and one determinism switch for the whole
process. Where several sites train in threads of one process (local engine),
only one of them may hold these at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import nn

_TURN = threading.RLock()
_LARGEST_SEED = 2**63

Network = TypeVar("Network", bound=nn.Module)


@contextmanager
def seeded(generator: np.random.Generator, *, threads: int = 0) -> Iterator[None]:
    """Run a block with torch's chance seeded from `generator` and exact algorithms.

    Everything is as before afterwards: chance, switch and number of threads.

    Parameters
    ----------
    generator : numpy.random.Generator
        One draw is taken from it.
    threads : int, optional
        Threads of torch inside the block; 0 leaves them. The same number gives
        the same bytes; another may differ in the last digit.

    Discloses
    ---------
    Nothing.
    """
    seed = int(generator.integers(_LARGEST_SEED))
    with _TURN, torch.random.fork_rng(devices=_cuda_devices()):
        exact, warns, fills = _exactness()
        before = torch.get_num_threads()
        torch.manual_seed(seed)
        # Some layers have no exact algorithm on a GPU: there torch only warns.
        torch.use_deterministic_algorithms(mode=True, warn_only=torch.cuda.is_available())
        # New memory need not be wiped: no layer reads what it has not written. It costs a fifth.
        torch.utils.deterministic.fill_uninitialized_memory = False
        if threads:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(mode=exact, warn_only=warns)
            torch.utils.deterministic.fill_uninitialized_memory = fills
            torch.set_num_threads(before)


def built(make: Callable[[], Network], *, seed: int) -> Network:
    """Make a network whose first weights depend on `seed` alone.

    Discloses
    ---------
    Nothing: it sees no data.
    """
    with seeded(np.random.default_rng(seed)):
        return make()


def choose_device() -> torch.device:
    """Return the first GPU where there is one, else the processor.

    Discloses
    ---------
    Nothing.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _exactness() -> tuple[bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )


def _cuda_devices() -> list[int]:
    return list(range(torch.cuda.device_count()))
