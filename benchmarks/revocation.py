"""How long a job lives after its agreement was revoked: a real space, real processes, n times.

    python -m benchmarks.revocation [--quick] [--times N]

Each time a study of three hospitals is in the middle of a training step that
would last for minutes. One hospital revokes its agreement by the node's API;
the clock runs from the moment the answer is there until the job's process is
gone. Afterwards every evidence log is read: nothing may have left the hospital
after its revocation. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

SUPPORT = Path(__file__).parents[1] / "tests" / "scenario" / "support"
LEAVING = "renhe"
LEAVES = frozenset({"release.granted", "lease.granted", "admission.granted"})
BAR_S = 5.0


def measure(times: int) -> dict[str, Any]:
    """Revoke so many times; return the figures."""
    sys.path.insert(0, str(SUPPORT))
    import slow_recipe
    from whole_space import practice_plan, whole_space

    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        slow_recipe.install(folder / "recipe", patch)
        plan = practice_plan(
            folder / "data",
            recipe=slow_recipe.NAME,
            settings={"slow_site": LEAVING, "slow_round": 1, "slow_s": 300.0, "local_steps": 20},
            rounds=2,
            quorum=2,
            deadline_s=280.0,
        )
        with whole_space(with_datasets(plan, times), folder / "h") as space:
            tries = [revoke_once(space, number) for number in range(times)]
            late = count_late(space)
    gone = sorted(tries)
    return {
        "times": times,
        "job_gone_s": {
            "median": round(statistics.median(gone), 3),
            "p99": round(gone[min(len(gone) - 1, int(0.99 * len(gone)))], 3),
            "most": round(gone[-1], 3),
        },
        "left_after_revocation": late,
        "bar_s": BAR_S,
        "holds": gone[-1] <= BAR_S and late == 0,
    }


def with_datasets(plan: Any, number: int) -> Any:
    """Give the leaving hospital so many datasets: after a revocation a person has to look."""
    members = []
    for member in plan.participants:
        if member.name == LEAVING:
            [one] = member.datasets
            many = tuple(replace(one, name=f"{one.name}-{each}") for each in range(number))
            member = replace(member, datasets=many)
        members.append(member)
    [study] = plan.studies
    named = {**study.datasets, LEAVING: f"{study.datasets[LEAVING]}-0"}
    return replace(plan, participants=tuple(members), studies=(replace(study, datasets=named),))


def revoke_once(space: Any, number: int) -> float:
    """Begin a study, revoke in its first round, and return how long the job lived on."""
    from whole_space import LOOK_S, is_gone, wait_until

    [study] = space.plan.studies
    name = study.datasets[LEAVING].removesuffix("-0")
    watch = space.begin(datasets={**study.datasets, LEAVING: f"{name}-{number}"})
    watch.await_round(1)
    wait_until(lambda: bool(space.jobs(LEAVING)), within_s=60, what="the job")
    [job] = space.jobs(LEAVING)
    with space.connect(LEAVING) as node:
        wait_until(lambda: _computes(node, watch.id), within_s=60, what="the long step")
        [standing] = [one for one in node.agreements.list() if one["state"] == "FINALIZED"]
        node.agreements.revoke(standing["id"], reason="measured")
        returned = time.monotonic()
        wait_until(lambda: is_gone(job), within_s=60, what="the job's end")
    lived = max(0.0, time.monotonic() - returned)
    watch.client.studies.stop(watch.id)
    space.await_rest()
    sys.stdout.write(f"gone after {lived:.3f} s (looked every {LOOK_S} s)\n")
    sys.stdout.flush()
    return lived


def _computes(node: Any, study: str) -> bool:
    entries = node.evidence.list(limit=1000, after=max(0, node.status()["evidence"] - 200))
    return any(one["kind"] == "lease.granted" and one["subject"] == study for one in entries)


def count_late(space: Any) -> int:
    """Count what was let in or out under an agreement after its revocation."""
    revoked: set[str] = set()
    late, after = 0, 0
    with space.connect(LEAVING) as node:
        while page := node.evidence.list(after=after, limit=1000):
            after = max(int(one["seq"]) for one in page)
            for one in page:
                if one["kind"] == "agreement.revoked":
                    revoked.add(one["subject"])
                elif one["kind"] in LEAVES and one["facts"].get("agreement") in revoked:
                    late += 1
    return late


def main() -> int:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three times instead of twenty")
    parser.add_argument("--times", type=int, default=0)
    options = parser.parse_args()
    found = measure(options.times or (3 if options.quick else 20))
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if found["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
