"""What a secure sum costs: CPU of a site and of the hub, bytes, and error of the mean.

python -m benchmarks.secure_sums [--quick]

Each cell is one sum of random updates in one process, once with every site and
once with as many lost as may be, after their masks were added. Bytes are those
of the messages, without what carries them; the model itself, which comes down
in plain aggregation too, is added to both sides of the ratio.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from benchmarks.measuring import median
from consilium.federation.secure import (
    FixedPoint,
    PassingMemory,
    SumAggregator,
    SummingSite,
    SumPlan,
)
from consilium.federation.secure.members import Step
from consilium.federation.secure.rehearsal import Rehearsal
from consilium.kernel.canonical import digest_of
from consilium.kernel.identifiers import ParticipantId, StudyId, participant_id
from consilium.ledger.keys import SigningKey

SITES, QUICK_SITES = (4, 8, 16, 32), (4, 8)
SIZES, QUICK_SIZES = (1_000, 10_000, 100_000, 1_000_000), (1_000, 10_000)
CASES, CLIP = 2_000, 1.0
ERROR_BAR, TRAFFIC_BAR, TRAFFIC_FROM = 1e-5, 2.0, 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One cell. CPU in milliseconds, of a site at the median; traffic of the worst site."""

    bits: int
    sites: int
    size: int
    lost: int
    site_cpu_ms: float
    hub_cpu_ms: float
    hub_cpu_lost_ms: float
    up_bytes: int
    down_bytes: int
    up_ratio: float
    traffic_ratio: float
    error: float

    @property
    def holds(self) -> bool:
        """Say whether the bars are kept; traffic is judged for 32 bits and real sizes."""
        judged = self.bits == 32 and self.size >= TRAFFIC_FROM
        cheap = max(self.up_ratio, self.traffic_ratio) <= TRAFFIC_BAR or not judged
        return cheap and self.error <= ERROR_BAR


class Watch:
    """Adds up the CPU seconds of each site."""

    def __init__(self) -> None:
        self.spent: dict[ParticipantId, float] = defaultdict(float)

    def __call__(self, site: ParticipantId, _step: Step, work: Callable[[], Any]) -> Any:
        """Do a site's work of one step and time it."""
        begun = time.process_time()
        answer = work()
        self.spent[site] += time.process_time() - begun
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One sum: CPU seconds, bytes, and the greatest difference from the plain mean."""

    site_s: float
    hub_s: float
    up: int
    down: int
    error: float


def rehearse(plan: SumPlan, keys: Mapping[ParticipantId, SigningKey], *, lost: int) -> Run:
    """Run one sum with random updates of seed 42."""
    drawn = np.random.default_rng(42)
    updates = {
        site: (
            drawn.normal(0, 0.1, plan.size).astype(np.float32),
            int(drawn.integers(20, CASES + 1)),
        )
        for site in plan.sites
    }
    watch, gone = Watch(), plan.sites[:lost]
    begun = time.process_time()
    hub = SumAggregator(plan)
    sites = {
        site: SummingSite(plan, site, key=keys[site], memory=PassingMemory()) for site in plan.sites
    }
    run = Rehearsal(hub, sites, updates, lost=dict.fromkeys(gone, Step.MASK), watch=watch)
    found = run.run()
    spent = time.process_time() - begun
    left = [site for site in plan.sites if site not in gone]
    total = sum(updates[site][1] for site in left)
    plain = np.zeros(plan.size)
    for site in left:
        plain += np.clip(updates[site][0].astype(np.float64), -CLIP, CLIP) * (
            updates[site][1] / total
        )
    return Run(
        site_s=median([watch.spent[site] for site in left]),
        hub_s=spent - sum(watch.spent.values()),
        up=max(run.up.values()),
        down=max(run.down.values()),
        error=float(np.abs(found.mean - plain).max()),
    )


def measure(sites: int, size: int, *, bits: Literal[32, 64] = 32) -> Cost:
    """Measure one cell."""
    keys = {participant_id("bench", f"h{n:02}"): SigningKey.generate() for n in range(sites)}
    plan = SumPlan(
        study=StudyId("urn:uuid:bench"),
        segment=1,
        attempt=1,
        round=1,
        model=digest_of(b"bench"),
        roster={site: key.public for site, key in keys.items()},
        size=size,
        encoding=FixedPoint(sites=sites, clip=CLIP, max_cases=CASES, bits=bits),
    )
    lost = sites - plan.threshold
    whole, short = rehearse(plan, keys, lost=0), rehearse(plan, keys, lost=lost)
    up, down = max(whole.up, short.up), max(whole.down, short.down)
    plain = 4 * size
    return Cost(
        bits=bits,
        sites=sites,
        size=size,
        lost=lost,
        site_cpu_ms=whole.site_s * 1_000,
        hub_cpu_ms=whole.hub_s * 1_000,
        hub_cpu_lost_ms=short.hub_s * 1_000,
        up_bytes=up,
        down_bytes=down,
        up_ratio=up / plain,
        traffic_ratio=(up + down + plain) / (2 * plain),
        error=max(whole.error, short.error),
    )


def main() -> int:
    """Print a line for each cell, then everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    measure(4, 1_000)  # imports and first calls
    costs = []
    print("bits sites     size lost  site ms   hub ms  hub ms, lost   up x  traffic x    error")
    for bits in (32, 64):
        for sites in QUICK_SITES if quick else SITES:
            for size in QUICK_SIZES if quick else SIZES:
                one = measure(sites, size, bits=bits)
                costs.append(one)
                print(
                    f"{one.bits:4} {one.sites:5} {one.size:8} {one.lost:4} {one.site_cpu_ms:8.1f} "
                    f"{one.hub_cpu_ms:8.1f} {one.hub_cpu_lost_ms:13.1f} {one.up_ratio:6.2f} "
                    f"{one.traffic_ratio:10.2f} {one.error:8.1e}"
                )
    holds = all(one.holds for one in costs)
    print(json.dumps({"holds": holds, "costs": [asdict(one) for one in costs]}))
    return 0 if holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
