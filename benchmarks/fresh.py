"""A fresh clone with empty caches: what a newcomer waits for.

    python -m benchmarks.fresh demo [--json] [--quick]
    python -m benchmarks.fresh tests [--json] [--quick]

`demo` clones the last commit, empties pip's cache, runs `make demo` twice and
weighs the base install. `tests` runs `make check`, `make plain`, `make slow`
and `make scenario` in a fresh clone, as CI does. `--quick` keeps pip's own
cache and leaves the last two out; installing still takes its minute.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.commands import ROOT, Done, end_cleanly, last_lines, pytest_counts, run
from benchmarks.measuring import MB

COLD_S, TESTS_S = 900.0, 1800.0
_OURS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""Variables of the present environment that a newcomer's shell does not have."""


def demo(*, quick: bool) -> dict[str, Any]:
    """Time `make demo` cold and warm in a fresh clone, and weigh its environment."""
    with clone(keep_cache=quick) as (folder, environment):
        cold = _make("demo", folder, environment, timeout_s=COLD_S)
        weight = disk_mb(folder / ".venv")
        warm = _make("demo", folder, environment, timeout_s=COLD_S)
    return {"cold_s": cold.seconds, "warm_s": warm.seconds, "base_mb": weight, **_state()}


def tests(*, quick: bool) -> dict[str, Any]:
    """Time the checks and tests as CI runs them."""
    targets = ("check", "plain") if quick else ("check", "plain", "slow", "scenario")
    with clone(keep_cache=quick) as (folder, environment):
        return _tests(folder, environment, targets=targets)


@contextmanager
def clone(*, keep_cache: bool) -> Iterator[tuple[Path, dict[str, str]]]:
    """Clone the last commit into a folder that goes with the block.

    Yields the folder and the variables that make pip's cache an empty one.
    """
    with tempfile.TemporaryDirectory(prefix="fresh-") as name:
        folder = Path(name) / "clone"
        run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)])
        yield folder, {} if keep_cache else {"PIP_CACHE_DIR": str(Path(name) / "pip")}


def disk_mb(folder: Path) -> float:
    """Sum what a folder takes on the disk, in MB; each hard link once."""
    seen: dict[tuple[int, int], int] = {}
    for place, _, files in os.walk(folder):
        for each in files:
            facts = os.lstat(Path(place) / each)
            seen[facts.st_dev, facts.st_ino] = facts.st_blocks * 512
    return sum(seen.values()) / MB


def _tests(
    folder: Path, environment: dict[str, str], *, targets: tuple[str, ...]
) -> dict[str, Any]:
    facts: dict[str, Any] = {"total_s": 0.0, **_state()}
    for target in targets:
        done = _make(target, folder, environment, timeout_s=TESTS_S, strict=False)
        facts[target] = {
            "seconds": done.seconds,
            "green": done.status == 0,
            "counts": pytest_counts(done.text),
            "end": last_lines(done.text),
        }
        facts["total_s"] += done.seconds
    return facts


def _make(
    target: str,
    folder: Path,
    environment: dict[str, str],
    *,
    timeout_s: float,
    strict: bool = True,
) -> Done:
    plain = [argument for name in _OURS for argument in ("-u", name)]
    settings = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", *plain, *settings, "make", target]
    return run(command, folder=folder, timeout_s=timeout_s, strict=strict)


def _state() -> dict[str, Any]:
    return {
        "commit": run(["git", "rev-parse", "--short", "HEAD"]).text.strip(),
        "uncommitted": bool(run(["git", "status", "--porcelain"]).text.strip()),
    }


def main() -> None:
    """Run one of the two and print what it found."""
    end_cleanly()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("demo", "tests"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON object as last line")
    given = parser.parse_args()
    facts = (demo if given.what == "demo" else tests)(quick=given.quick)
    for name, value in facts.items():
        print(f"{name:<12} {value:.1f}" if isinstance(value, float) else f"{name:<12} {value}")
    if given.json:
        print(json.dumps(facts))


if __name__ == "__main__":
    main()
