"""Measure every figure that Consilium claims, and print it beside its bar.

    python -m benchmarks.proof --only engine [--quick] [--fresh]

Each figure comes from a command that anyone can run. Results go, line by line,
into `docs/proof/<area>.jsonl` and as a table into `docs/proof.md`. A run that
was broken off goes on where it stopped; `--fresh` begins anew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import engine_bars

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "proof"
AREAS: dict[str, Callable[[], Sequence[engine_bars.Bar]]] = {"engine": engine_bars.bars}
"""Areas by name; each later area brings its own bars."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One measured figure beside its bar."""

    area: str
    bar: str
    wanted: str
    figure: str
    met: bool
    command: str
    quick: bool
    when: str
    machine: str


def main() -> None:
    """Measure what is asked for and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(AREAS), default="engine")
    parser.add_argument("--quick", action="store_true", help="one seed, fewer repeats")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{given.only}.jsonl"
    done = {} if given.fresh else _read(file)
    done = {name: found for name, found in done.items() if found.quick <= given.quick}
    for bar in AREAS[given.only]():
        if bar.name not in done:
            print(f"... {bar.name}", file=sys.stderr, flush=True)
            done[bar.name] = _measure(bar, area=given.only, quick=given.quick)
            _write(file, done)
        found = done[bar.name]
        mark = "met   " if found.met else "MISSED"
        print(f"{mark} {found.bar}: {found.figure} (bar: {found.wanted})", flush=True)
    _page()
    sys.exit(0 if all(found.met for found in done.values()) else 1)


def _measure(bar: engine_bars.Bar, *, area: str, quick: bool) -> Finding:
    figure, met = bar.measure(quick)
    return Finding(
        area=area,
        bar=bar.name,
        wanted=bar.wanted,
        figure=figure,
        met=met,
        command=bar.command,
        quick=quick,
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
    )


def _read(file: Path) -> dict[str, Finding]:
    if not file.is_file():
        return {}
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {line["bar"]: Finding(**line) for line in lines}


def _write(file: Path, done: dict[str, Finding]) -> None:
    lines = [json.dumps(asdict(found), ensure_ascii=False) for found in done.values()]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _page() -> None:
    """Write docs/proof.md from every area's results."""
    parts = [
        "# Proof",
        "",
        "Every figure that Consilium claims, as last measured by `make proof`. A missed bar stays here",
        "until it is met.",
    ]
    for file in sorted(FOLDER.glob("*.jsonl")):
        found = list(_read(file).values())
        parts += ["", f"## {file.stem}", "", f"{found[0].machine}", ""]
        parts += ["| | What | Figure | Bar | Command | When |", "|---|---|---|---|---|---|"]
        parts += [
            f"| {'✓' if each.met else '✗'} | {each.bar} | {each.figure} | {each.wanted} | "
            f"`{each.command}` | {each.when}{' (quick)' if each.quick else ''} |"
            for each in found
        ]
    (ROOT / "docs" / "proof.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
