"""Long tables of experiments: one line of JSON for each cell, so that a broken-off run goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.proof import commit, machine

Cell = Mapping[str, Any]


def fill(progress: Path, wanted: Mapping[str, Callable[[], Cell]]) -> dict[str, Cell]:
    """Make the cells that are not there yet, in order; each is written before the next begins.

    Parameters
    ----------
    progress : Path
        One line for each cell, with its name under `cell` and its CPU seconds.
    wanted : mapping of str to callable
        What makes each cell, by its name.

    Returns
    -------
    dict of str to mapping
        Every wanted cell.
    """
    done = read(progress)
    for name, make in wanted.items():
        if name in done:
            continue
        begun = time.process_time()
        cell = {"cell": name, **make()}
        cell["cpu_s"] = round(time.process_time() - begun, 1)
        progress.parent.mkdir(parents=True, exist_ok=True)
        with progress.open("a", encoding="utf-8") as file:
            file.write(json.dumps(cell, ensure_ascii=False) + "\n")
        print(f"{name}: {cell['cpu_s']} s", flush=True)
        done[name] = cell
    return {name: done[name] for name in wanted}


def read(progress: Path) -> dict[str, Cell]:
    """Read the cells of an earlier run; a last line that was cut off does not count."""
    found = {}
    lines = progress.read_text(encoding="utf-8").splitlines() if progress.is_file() else []
    for line in lines:
        try:
            cell = json.loads(line)
        except ValueError:
            continue
        found[cell["cell"]] = cell
    return found


def write_result(file: Path, result: Mapping[str, Any]) -> None:
    """Write a result with the date, the machine and the commit it was made with."""
    made = {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "commit": commit(),
    }
    text = json.dumps({**made, **result}, ensure_ascii=False, indent=1)
    file.write_text(text + "\n", encoding="utf-8")
