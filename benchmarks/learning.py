"""What learning costs: against a bare loop, by number of sites, by size of the model.

    python -m benchmarks.learning [--part work|sites|sizes] [--quick] [--json]

work   one study of rounds of two seconds and more, run by a whole space, by plain
       FLARE and by a bare loop over the same arrays
sites  the local engine and the simulation from 2 to 1,000 hospitals
sizes  the local engine with models of 0.1 to 400 MB
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import psutil

from benchmarks.bare_loop import run_bare
from benchmarks.commands import FailedError, end_cleanly
from benchmarks.common_study import CommonStudy, space_plan, write_arrays, write_tables
from benchmarks.engine import measure
from consilium.federation.contract import Needs
from consilium.federation.local_desk import local_desks
from consilium.federation.local_study import local_study
from consilium.federation.registry import GROUP, Recipes, installed_recipes, read_recipe
from consilium.federation.simulation import simulate
from consilium.federation.workshop import mock_needs, mock_sides

WORK = CommonStudy(sites=2, rounds=3, local_steps=100_000, batch_size=256, deadline_s=600)
QUICK_WORK = CommonStudy(sites=2, rounds=2, local_steps=100_000, batch_size=256, deadline_s=600)
MOST_OVER_BARE = 1.15
SITES, MOST_SITES = (2, 4, 8, 16, 32, 64), 1_000
SIZES_MB, SIZE_SITES = (0.1, 1.0, 10.0, 100.0, 400.0), 2
ROUNDS = 3
RECIPE = "tabular-logistic"
ENGINE, SIMULATION = "local engine", "simulation"

Tell = Callable[[str], None]
Rows = list[dict[str, Any]]


def measure_work(*, quick: bool, tell: Tell) -> Rows:
    """Run one study three ways; seconds, bytes and memory of each."""
    study = QUICK_WORK if quick else WORK
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_tables(study, folder / "tables")
        write_arrays(study, folder / "tables", folder / "arrays")
        space_plan(study, folder / "tables")
        tell("bare loop")
        bare = run_bare(study, folder / "arrays")
    plain, ours = measure(study, repeats=1, tell=tell)
    theirs, mine = plain.runs[0], ours.runs[0]
    total = mine.wall_s - mine.first_round_s
    return [
        {
            "what": study.describe(),
            "bare_rounds_s": bare.rounds_s,
            "bare_judging_s": bare.judging_s,
            "round_work_s": statistics.median(mine.work_s),
            "ours_start_s": mine.first_round_s,
            "ours_after_start_s": total,
            "over_bare": total / bare.total_s,
            "plain_wall_s": theirs.wall_s,
            "rounds_over_plain": (total - mine.last_round_s)
            / (theirs.wall_s - theirs.first_round_s - theirs.last_round_s),
            "bytes_over_plain": mine.wire_bytes / theirs.wire_bytes,
            "memory_over_plain": mine.peak.total / theirs.peak.total,
        }
    ]


def measure_sites(*, quick: bool, tell: Tell) -> Rows:
    """Run one small study with more and more hospitals in one process."""
    needs, rows = mock_needs(("table",), "binary"), []
    recipes = Recipes()
    counts = (*(SITES[:3] if quick else SITES), MOST_SITES)
    for sites in counts:
        sides = [mock_sides(needs, seed=number, n=60) for number in range(sites)]
        tell(f"{sites} hospitals")
        rows.append(_one(ENGINE, sites, lambda: _run_local(sides, needs, recipes, {}), sites))  # noqa: B023
        rows.append(_one(SIMULATION, sites, lambda: _run_simulation(sides, needs), sites))  # noqa: B023
    return rows


def measure_sizes(*, quick: bool, tell: Tell) -> Rows:
    """Run one study with larger and larger models."""
    needs, rows = mock_needs(("table",), "binary"), []
    folder = Path(__file__).parent / "ballast"
    entry = EntryPoint(name="ballast", value="benchmarks.ballast:RECIPE", group=GROUP)
    recipes = Recipes(installed_recipes() | {"ballast": read_recipe(folder, entry=entry)})
    sides = [mock_sides(needs, seed=number) for number in range(SIZE_SITES)]
    for size in SIZES_MB[:3] if quick else SIZES_MB:
        tell(f"{size:g} MB")
        settings = {"megabytes": size}
        rows.append(
            _one(
                "ballast",
                size,
                lambda: _run_local(sides, needs, recipes, settings, recipe="ballast"),  # noqa: B023
                SIZE_SITES,
            )
        )
    return rows


def _one(what: str, size: float, run: Callable[[], None], sites: int) -> dict[str, Any]:
    """Time one run and note how much memory the process took at most beyond before."""
    before = psutil.Process().memory_info().rss
    began = time.monotonic()
    run()
    seconds = time.monotonic() - began
    after = psutil.Process().memory_info().rss
    return {
        "what": what,
        "size": size,
        "round_s": seconds / ROUNDS,
        "site_round_ms": 1e3 * seconds / ROUNDS / sites,
        "grown_mb": max(0.0, (after - before) / 1e6),
    }


def _run_local(
    sides: Any, needs: Needs, recipes: Recipes, settings: Any, recipe: str = RECIPE
) -> None:
    study = local_study(
        local_desks("bench", sides, needs),
        needs=needs,
        recipe=recipe,
        rounds=ROUNDS,
        recipes=recipes,
        settings=settings,
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        study.run(Path(name), recipes=recipes)


def _run_simulation(sides: Any, needs: Needs) -> None:
    installed = Recipes().find(RECIPE)
    if installed is None:
        raise FailedError(f"{RECIPE} is not installed")
    recipe = installed.load()
    simulate(
        recipe,
        {f"site-{number:04d}": pair for number, pair in enumerate(sides)},
        needs=needs,
        settings=recipe.read_settings({}),
        rounds=ROUNDS,
        seed=42,
    )


PARTS = {"work": measure_work, "sites": measure_sites, "sizes": measure_sizes}


def main() -> None:
    """Measure what is asked for and print it."""
    end_cleanly()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=sorted(PARTS), action="append", default=[])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, sites and sizes")
    parser.add_argument("--json", action="store_true", help="one JSON object as last line")
    given = parser.parse_args()
    found = {}
    for part in given.part or list(PARTS):
        found[part] = PARTS[part](
            quick=given.quick, tell=lambda what: print(what, file=sys.stderr, flush=True)
        )
        print(part)
        for row in found[part]:
            cells = [
                f"{key} {value:.3f}" if isinstance(value, float) else f"{value}"
                for key, value in row.items()
            ]
            print("  " + "; ".join(cells))
    if given.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
