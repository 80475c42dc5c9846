"""Differences between methods of the digits table, with two kinds of interval.

*Over cases*: the digits are drawn again with replacement, 2,000 times, the same
draw for all methods and partitions, and with them every test part. It answers:
other patients at these hospitals. *Over partitions*: Student's t over the five
paired differences. It answers: other hospitals; five of them say little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt

from benchmarks.digits_data import Deal, Figures

RESAMPLES = 2000
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""97.5 % point of Student's t by the number of partitions."""

Hits = npt.NDArray[np.bool_]
"""Which test cases were right: those of all sites of all partitions, one after the other."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One method less another: mean accuracy in percent points, with 95 % intervals."""

    points: float
    low: float
    high: float
    partitions: float  # half the interval over partitions

    @property
    def is_clear(self) -> bool:
        """Say whether the interval over cases leaves out 0."""
        return self.low > 0 or self.high < 0


class Comparison:
    """All methods on one deal; each difference on demand."""

    def __init__(self, dealt: Deal, right: Mapping[str, Hits]) -> None:
        self._names = list(right)
        self._dealt = dealt
        table = np.stack([right[name] for name in self._names]).astype(np.float64)
        self._found = self._means(table, None)
        drawn = np.random.default_rng(0)
        most = 1 + max(int(part.group.max()) for part in dealt.test)
        counts = drawn.multinomial(most, np.full(most, 1.0 / most), size=RESAMPLES)
        self._resampled = self._means(table, counts.astype(np.float64)).mean(axis=2)

    def _means(self, table: Figures, counts: Figures | None) -> Figures:
        """Return the mean over sites of the accuracy: (methods, draws, partitions)."""
        draws = 1 if counts is None else len(counts)
        means = np.zeros((len(table), draws, len(self._dealt.seeds)))
        first = 0
        for place, part in enumerate(self._dealt.test):
            right = table[:, first : first + part.n]
            weights = np.ones((1, part.n)) if counts is None else counts[:, part.group]
            share = right @ weights.T / np.maximum(weights.sum(axis=1), 1)
            means[:, :, place // self._dealt.sites] += share / self._dealt.sites
            first += part.n
        return means

    def difference(self, one: str, other: str) -> Difference:
        """Return `one` less `other`."""
        a, b = self._names.index(one), self._names.index(other)
        gaps: Sequence[float] = (100 * (self._found[a, 0] - self._found[b, 0])).tolist()
        low, high = np.percentile(100 * (self._resampled[a] - self._resampled[b]), [2.5, 97.5])
        half = STUDENT[len(gaps)] * stdev(gaps) / math.sqrt(len(gaps))
        return Difference(points=fmean(gaps), low=float(low), high=float(high), partitions=half)


def pack_hits(right: Hits) -> str:
    """Write hits as hexadecimal digits."""
    return np.packbits(right).tobytes().hex()


def unpack_hits(text: str, count: int) -> Hits:
    """Read what `pack_hits` wrote."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8), count=count)
    return bits.astype(np.bool_)
