"""Measures that every benchmark shares: memory of process families, spread of figures."""

from __future__ import annotations

import math
import statistics
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

from benchmarks.commands import family

MB = 1_000_000


def median(values: Sequence[float]) -> float:
    """Return the median; not a number when there is none."""
    return statistics.median(values) if values else math.nan


def worst(values: Sequence[float]) -> float:
    """Return the greatest; not a number when there is none."""
    return max(values, default=math.nan)


def ratio(ours: float, theirs: float) -> float:
    """Return ours over theirs; not a number when there is nothing to compare with."""
    return ours / theirs if theirs else math.nan


def spread(values: Sequence[float], *, unit: str = "s", digits: int = 2) -> str:
    """Write median and worst of several figures."""
    return (
        f"median {median(values):.{digits}f} {unit}, worst {worst(values):.{digits}f} {unit} "
        f"(n = {len(values)})"
    )


def overheads(
    starts: Mapping[int, float], end: float, work: Mapping[int, Iterable[float]]
) -> list[float]:
    """Tell for each round what it took beyond the slowest site's work.

    Parameters
    ----------
    starts : mapping
        When each round began, in seconds; a round lasts until the next begins.
    end : float
        When the last round was over.
    work : mapping
        Seconds of each site's work, by round.

    Returns
    -------
    list of float
        In the order of the rounds, never below 0.
    """
    rounds = sorted(starts)
    ends = [*(starts[number] for number in rounds[1:]), end]
    return [
        max(0.0, over - starts[number] - max(work.get(number, ()), default=0.0))
        for number, over in zip(rounds, ends, strict=True)
    ]


def pss_mb(processes: Iterable[psutil.Process]) -> float:
    """Sum the proportional set sizes (Linux), in MB; what has ended counts nothing."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / MB


def family_mb(pids: Iterable[int]) -> float:
    """Sum the proportional set sizes of several families, each process once."""
    found = {process.pid: process for pid in pids for process in family(pid)}
    return pss_mb(found.values())


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory of one side, in MB: its hub, the greatest hospital, and everything."""

    hub: float
    site: float
    total: float

    @classmethod
    def now(cls, hub: int, sites: Sequence[int]) -> Memory:
        """Measure the families of a hub and of its sites."""
        ours, theirs = family_mb([hub]), [family_mb([pid]) for pid in sites]
        return cls(hub=ours, site=max(theirs), total=ours + sum(theirs))


class Peak:
    """Watches one side's memory while a block runs, and keeps the greatest total.

    Seldom, because reading the pages of twenty processes takes a tenth of a second.
    """

    INTERVAL_S = 2.0

    def __init__(self, hub: int, sites: Sequence[int]) -> None:
        self._hub, self._sites = hub, tuple(sites)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self.memory = Memory(hub=0.0, site=0.0, total=0.0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self.INTERVAL_S):
            now = Memory.now(self._hub, self._sites)
            if now.total > self.memory.total:
                self.memory = now
