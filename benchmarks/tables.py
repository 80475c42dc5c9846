"""Tables of real hospitals: every method beside local-only, majority, FedAvg and pooled.

    CONSILIUM_TEST_DATA=... python -m benchmarks.tables [--only heart] [--seeds 42 43] [--fresh]

Four tables: `heart` (four hospitals), `small` (Cleveland cut down to 10, 25,
50, 100 training cases), `glioma` (six hospitals, each left out in turn),
`parkinson` (42 homes, by time). Every figure comes from the product's own
recipes, rules, candidates and choice, through the simulated round loop. A run
that was broken off goes on where it stopped (`.proof/tables.jsonl`, one line for
each cell); the tables go into `docs/proof/tables.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import table_ways as ways
from benchmarks.commands import end_cleanly
from benchmarks.proof import FOLDER, PROGRESS, commit, machine
from benchmarks.table_summary import summarise

SEEDS = (42, 43, 44, 45, 46)
TABLES = ("heart", "small", "glioma", "parkinson")
RESULT = FOLDER / "tables.json"
Record = dict[str, Any]
Cell = tuple[str, Callable[[], Record]]
"""A name that is unique, and what measures it."""


def main() -> None:
    """Measure what is missing, then write and print the tables."""
    end_cleanly()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=TABLES, action="append", default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    given = parser.parse_args()
    progress = PROGRESS / "tables.jsonl"
    if given.fresh:
        progress.unlink(missing_ok=True)
    known = read(RESULT) if RESULT.is_file() else {}
    for table in given.only or TABLES:
        records = measure(table, seeds=given.seeds, progress=progress)
        known[table] = {
            "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "machine": machine(),
            "commit": commit(),
            "seeds": given.seeds,
            **summarise(table, records, seeds=given.seeds),
        }
        print("\n".join([f"{table}: {line}" for line in known[table]["lines"]]), flush=True)
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(
            json.dumps(known, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8"
        )


def read(file: Path) -> dict[str, Any]:
    """Read the tables that were written before."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def measure(table: str, *, seeds: Sequence[int], progress: Path) -> dict[str, Record]:
    """Measure a table's cells; those that the progress file has are taken over."""
    done = _read_progress(progress)
    found: dict[str, Record] = {}
    for name, run in _cells(table, seeds, found):
        if name not in done:
            print(f"... {name}", file=sys.stderr, flush=True)
            record = run()
            progress.parent.mkdir(parents=True, exist_ok=True)
            with progress.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"cell": name, "record": record}) + "\n")
            done[name] = record
        found[name] = done[name]
    return found


def _read_progress(file: Path) -> dict[str, Record]:
    if not file.is_file():
        return {}
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {line["cell"]: line["record"] for line in lines}


def _cells(table: str, seeds: Sequence[int], found: Mapping[str, Record]) -> Any:
    """Yield a table's cells in order; later ones may use what earlier ones found."""
    if table == "heart":
        for way in ways.HEART:
            for seed in seeds:
                yield f"heart/{way}/{seed}", lambda w=way, s=seed: ways.run_heart(w, s)
    elif table == "small":
        for size in ways.SIZES:
            for seed in seeds:
                yield f"small/{size}/{seed}", lambda n=size, s=seed: ways.run_small(n, s)
    elif table == "glioma":
        for left in ways.LEFT_OUT:
            yield f"glioma/{left}/trees", lambda h=left: ways.run_glioma_trees(h)
            for seed in seeds:
                yield f"glioma/{left}/{seed}", lambda h=left, s=seed: ways.run_glioma(h, s)
    else:
        yield from _parkinson(seeds, found)


def _parkinson(seeds: Sequence[int], found: Mapping[str, Record]) -> Any:
    for score in ("motor_UPDRS", "total_UPDRS"):
        pulls = f"parkinson/{score}/pulls"
        yield pulls, lambda s=score: ways.run_parkinson_pulls(s, 42)
        strengths = ways.choose_strengths(found[pulls])
        for seed in seeds:
            yield (
                f"parkinson/{score}/{seed}",
                lambda s=score, n=seed, c=strengths: ways.run_parkinson(s, n, strengths=c),
            )


if __name__ == "__main__":
    main()
