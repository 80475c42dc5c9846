"""The four hospitals of UCI Heart Disease: the figures of the science test and of the demo."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.commands import FailedError, pytest_counts, python, run, tool

SEEDS = (42, 43, 44, 45, 46)
TWO_CLASSES = ("cleveland", "budapest", "long-beach")
"""The Swiss held-out part has one negative case: its AUROC says nothing."""
SCIENCE_S, DEMO_S = 1800.0, 300.0
DATA = "CONSILIUM_TEST_DATA"
_ROW = re.compile(
    r"^  (\w+) +((?:\d\.\d+ ?){4}) +(\d\.\d+) \| ((?:\d\.\d+ ?){3}) +(\d\.\d+) \| (\d\.\d+)"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the science test's table: means over sites, then over seeds."""

    accuracy: float
    auroc: float
    brier: float


Table = Mapping[str, Mapping[str, Row]]
"""By protocol, such as `FedAvg, lr 1e-3`, then by row, such as `federated`."""


def run_science(*, quick: bool) -> tuple[Table, str]:
    """Run the science tests; return their table, parsed and as printed.

    Raises
    ------
    FailedError
        When the data are not there or a test fails.
    """
    data_folder()
    done = run(
        python("-m", "pytest", "-q", "-s", "tests/science"),
        environment={"CONSILIUM_FULL_SCIENCE": "" if quick else "1"},
        timeout_s=SCIENCE_S,
    )
    counts = pytest_counts(done.text)
    if not counts.get("passed") or counts.get("skipped"):
        raise FailedError(f"the science tests did not all run: {counts}")
    printed = table_text(done.text)
    return parse_table(printed), printed


def table_text(output: str) -> str:
    """Cut the table out of pytest's output."""
    lines = output.splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith("UCI Heart")), None)
    if first is None:
        raise FailedError("the science tests printed no table")
    last = next((n for n in range(first, len(lines)) if not lines[n].strip()), len(lines))
    return "\n".join(line.rstrip() for line in lines[first:last])


def parse_table(text: str) -> Table:
    """Read the table that `pytest -s tests/science` prints.

    Raises
    ------
    FailedError
        When it holds no row.
    """
    table: dict[str, dict[str, Row]] = {}
    protocol = ""
    for line in text.splitlines():
        if "; published" in line:
            protocol = line.partition(";")[0]
        elif found := _ROW.match(line):
            row = Row(accuracy=float(found[3]), auroc=float(found[5]), brier=float(found[6]))
            table.setdefault(protocol, {})[found[1]] = row
    if not table:
        raise FailedError("the table of the science tests has no rows")
    return table


def run_demos(*, seeds: Sequence[int]) -> dict[str, float]:
    """Run the demo on the four hospitals with the real engine; mean figures over the seeds.

    Raises
    ------
    FailedError
        When the data are not there, a demo fails, or its evidence does not verify.
    """
    data = data_folder() / "heart_disease"
    records = []
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="heart-") as home:
            command = [tool("consilium"), "demo", "--data", str(data), "--seed", str(seed)]
            where = ["--home", str(Path(home) / "space"), "--json"]
            records.append(run([*command, *where], folder=Path(home), timeout_s=DEMO_S).last_json())
    return summarise_demos(records)


def summarise_demos(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Take the means over seeds of the mean accuracy and of the AUROC of three sites.

    Raises
    ------
    FailedError
        When some evidence did not verify.
    """
    if not all(record["evidence"]["verified"] for record in records):
        raise FailedError("the evidence of a demo did not verify")
    figures = {}
    for row in ("federated", "recalibrated"):
        figures[f"{row} accuracy"] = fmean(record["mean"]["accuracy"][row] for record in records)
        figures[f"{row} auroc"] = fmean(
            _aurocs(record)[name][row] for record in records for name in TWO_CLASSES
        )
    return figures


def _aurocs(record: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    found = {site["id"].rpartition(":")[2]: site["auroc"] for site in record["sites"]}
    if not found.keys() >= set(TWO_CLASSES):
        raise FailedError(f"the demo's hospitals are others: {', '.join(found)}")
    return found


def data_folder() -> Path:
    """Return the folder of the open test data.

    Raises
    ------
    FailedError
        When the environment does not name it.
    """
    folder = os.environ.get(DATA, "")
    if not Path(folder).is_dir() or not folder:
        raise FailedError(f"{DATA} does not name the folder of the open test data")
    return Path(folder)
