"""Measure every figure that Consilium claims, and print it beside its bar.

    python -m benchmarks.proof --only engine [--quick] [--fresh] [--bar NAME]...

Each figure comes from a command that anyone can run. Results go, line by line,
into `docs/proof/<area>.jsonl` and as a table into `docs/proof.md`. A run that
was broken off goes on where it stopped; `--fresh` begins anew. `--bar` measures
only the bars of a row, or whose name holds a word; the others' last results stay.
`--quick` takes one seed and fewer repeats and leaves the longest bars out; its
results are marked, and never take the place of full ones.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks import engine_bars, learning_bars, trust_bars
from benchmarks.bars import Bar, Measured
from benchmarks.commands import ROOT, FailedError, end_cleanly, run

FOLDER = ROOT / "docs" / "proof"
PAGE = ROOT / "docs" / "proof.md"
PROGRESS = ROOT / ".proof"
"""Where a run keeps what it has measured so far."""
AREAS: dict[str, Callable[[], Sequence[Bar]]] = {
    "engine": engine_bars.bars,
    "trust": trust_bars.bars,
    "learning": learning_bars.bars,
}
"""Areas by name; each later area brings its own bars."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One measured figure beside its bar, and the circumstances.

    `load` is the machine's load just before: on a machine that was busy with
    something else the figure is an upper bound. `failed` says that there was
    nothing to measure; it is tried again when the run goes on.
    """

    area: str
    row: str
    bar: str
    wanted: str
    figure: str
    met: bool
    failed: bool
    details: str
    command: str
    quick: bool
    when: str
    machine: str
    load: float
    commit: str


def main() -> None:
    """Measure what is asked for and write it down."""
    end_cleanly()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=sorted(AREAS), default="engine")
    parser.add_argument("--quick", action="store_true", help="one seed, fewer repeats")
    parser.add_argument("--fresh", action="store_true", help="forget a run that was broken off")
    parser.add_argument("--bar", action="append", default=[], help="a row, or a word")
    given = parser.parse_args()
    bars = chosen(AREAS[given.only](), words=given.bar, quick=given.quick)
    if not bars:
        parser.error(f"no bar of {given.only} has the word {', '.join(given.bar)}")
    kind = f"{'-quick' if given.quick else ''}{'-some' if given.bar else ''}"
    progress = PROGRESS / f"{given.only}{kind}.jsonl"
    if given.fresh:
        progress.unlink(missing_ok=True)
    try:
        found = measure_all(bars, area=given.only, quick=given.quick, progress=progress)
    except KeyboardInterrupt:
        print("broken off; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    keep(FOLDER / f"{given.only}.jsonl", found, order=AREAS[given.only]())
    PAGE.write_text(page(FOLDER), encoding="utf-8")
    sys.exit(0 if all(each.met for each in found) else 1)


def chosen(bars: Sequence[Bar], *, words: Sequence[str], quick: bool) -> list[Bar]:
    """Return the bars that a run measures."""
    if not words:
        return [bar for bar in bars if not (quick and bar.long)]
    rows = {bar.row for bar in bars} & set(words)
    parts = set(words) - rows
    return [bar for bar in bars if bar.row in rows or any(part in bar.name for part in parts)]


def measure_all(bars: Sequence[Bar], *, area: str, quick: bool, progress: Path) -> list[Finding]:
    """Measure bars one after another, taking over what a broken-off run has measured.

    `progress` is the file that remembers it; it is gone when all is measured.
    """
    done = {each.bar: each for each in read(progress) if not each.failed}
    found: list[Finding] = []
    for bar in bars:
        if bar.name not in done:
            print(f"... {bar.name}", file=sys.stderr, flush=True)
            done[bar.name] = measure(bar, area=area, quick=quick)
            write(progress, done.values())
        found.append(done[bar.name])
        print(line(done[bar.name]), flush=True)
    progress.unlink(missing_ok=True)
    return found


def measure(bar: Bar, *, area: str, quick: bool) -> Finding:
    """Measure one bar; what cannot be measured is a missed bar that says why."""
    load, failed = os.getloadavg()[0], False
    try:
        measured = bar.measure(quick)
    except FailedError as error:
        failed = True
        first, _, rest = str(error).partition("\n")
        measured = Measured(figure=f"failed: {first}", met=False, details=rest)
    return Finding(
        area=area,
        row=bar.row,
        bar=bar.name,
        wanted=bar.wanted,
        figure=measured.figure,
        met=measured.met,
        failed=failed,
        details=measured.details,
        command=bar.command,
        quick=quick,
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=machine(),
        load=round(load, 1),
        commit=commit(),
    )


def line(found: Finding) -> str:
    """Write one finding for the terminal."""
    mark = "met   " if found.met else "MISSED"
    text = f"{mark} {found.row:>2} {found.bar}: {found.figure} (bar: {found.wanted})"
    return "\n".join([text, *(f"          {each}" for each in found.details.splitlines())])


def keep(file: Path, found: Sequence[Finding], *, order: Sequence[Bar]) -> None:
    """Put findings in the place of earlier ones; a quick one never replaces a full one."""
    known = {each.bar: each for each in read(file)}
    for each in found:
        if each.bar not in known or known[each.bar].quick or not each.quick:
            known[each.bar] = each
    write(file, [known[bar.name] for bar in order if bar.name in known])


def page(folder: Path) -> str:
    """Write the page of all areas."""
    parts = [
        "# Proof",
        "",
        "Every figure that Consilium claims, as last measured by `make proof`. A missed bar stays",
        "here until it is met. The load is that of the machine just before: where other work ran,",
        "times are upper bounds.",
    ]
    for file in sorted(folder.glob("*.jsonl")):
        parts += ["", f"## {file.stem}", *section(read(file))]
    return "\n".join(parts) + "\n"


def section(found: Sequence[Finding]) -> list[str]:
    """Write the table of one area, and below it what stands behind the figures."""
    parts = []
    for place in sorted({each.machine for each in found}):
        parts += ["", f"Machine: {place}."]
    parts += ["", "| | # | What | Figure | Bar | Command | When, commit, load |"]
    parts += ["|---|---|---|---|---|---|---|"]
    for each in found:
        cells = (
            "✓" if each.met else "✗",
            each.row,
            each.bar,
            each.figure,
            each.wanted,
            f"`{each.command}`",
            f"{each.when}, {each.commit}, {each.load}{' (quick)' if each.quick else ''}",
        )
        parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    for each in found:
        if each.details:
            parts += ["", f"### {each.bar}", "", "```", each.details, "```"]
    return parts


def read(file: Path) -> list[Finding]:
    """Read findings; none when there is no file."""
    if not file.is_file():
        return []
    return [Finding(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def write(file: Path, found: Iterable[Finding]) -> None:
    """Write findings, one JSON line each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(each), ensure_ascii=False) for each in found]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def machine() -> str:
    """Describe the machine in one line."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def commit() -> str:
    """Name the present commit; with a plus when something is not committed."""
    name = run(["git", "rev-parse", "--short", "HEAD"]).text.strip()
    changed = run(["git", "status", "--porcelain", "--", "src", "tests", "benchmarks"]).text
    return name + ("+" if changed.strip() else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [each.partition(":")[2].strip() for each in lines if each.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
