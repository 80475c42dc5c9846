"""Copies among pictures: the same bytes, or nearly the same sight.

A picture whose copy stands on the other side of the split makes a model look
better than it is. Every pair is compared, which for a million pictures takes
about as long as reading them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilium.readers.records import Progress
from consilium.readers.split import HELD_OUT, TRAIN

NEAR = 12
"""Bits of 256 in which near copies differ at most."""

_AT_ONCE = 1 << 20
"""Pairs compared at once: 8 MB."""

Digests = npt.NDArray[np.void]
Hashes = npt.NDArray[np.uint64]
Parts = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """How many pictures repeat an earlier one, and how many held-out ones one of training."""

    all: int
    held_out: int


def count_copies(digests: Digests, part: Parts) -> Copies:
    """Count pictures of the same bytes.

    Parameters
    ----------
    digests : array of shape (n,), 32 bytes each
    part : array of shape (n,), int8
    """
    _, first = np.unique(digests, return_index=True)
    shared = np.isin(digests[part == HELD_OUT], digests[part == TRAIN])
    return Copies(all=int(digests.size - first.size), held_out=int(shared.sum()))


def count_near(hashes: Hashes, part: Parts, *, progress: Progress) -> Copies:
    """Count pictures whose difference hash is near that of another; the same bytes count too.

    Parameters
    ----------
    hashes : array of shape (n, 4), uint64
        Of `difference_hash`.
    part : array of shape (n,), int8
    progress : callable
        Told of the comparison.
    """
    n = len(hashes)
    later = np.zeros(n, dtype=np.bool_)
    leaking = np.zeros(n, dtype=np.bool_)
    step = max(1, _AT_ONCE // max(n, 1))
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        near = _distances(hashes[rows], hashes[start:]) <= NEAR
        # A pair is looked at once: from the earlier picture to the later one.
        near &= np.arange(start, n)[None, :] > np.arange(rows.start, rows.stop)[:, None]
        later[start:] |= near.any(axis=0)
        across = near & (part[rows, None] != part[None, start:])
        leaking[start:] |= across.any(axis=0)
        leaking[rows] |= across.any(axis=1)
        progress("comparing", rows.stop / n)
    return Copies(all=int(later.sum()), held_out=int((leaking & (part == HELD_OUT)).sum()))


def _distances(some: Hashes, others: Hashes) -> npt.NDArray[np.uint16]:
    found = np.zeros((len(some), len(others)), dtype=np.uint16)
    for word in range(some.shape[1]):
        found += np.bitwise_count(some[:, word, None] ^ others[None, :, word])
    return found
