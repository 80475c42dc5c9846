"""Two sides' figures beside each other, as ratios measured in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.measuring import Memory, median, ratio
from benchmarks.outcome import Outcome

WALL, FIRST = "wall, command to result", "command to first round"
OVERHEAD, LAST = "overhead per round", "last round to result"
WIRE = "bytes between sites and hub"
SAME = 1e-9
"""Greatest difference of two weights that counts as the same model."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side's runs, and its memory before the first."""

    name: str
    idle: Memory
    runs: list[Outcome]

    def figure(self, take: Callable[[Outcome], float | list[float]]) -> float:
        """Take the median of a figure over all runs, or over all their rounds."""
        found = [take(run) for run in self.runs]
        flat = [v for each in found for v in (each if isinstance(each, list) else [each])]
        return median(flat)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the comparison."""

    what: str
    unit: str
    plain: float
    ours: float

    @property
    def ratio(self) -> float:
        """Ours over plain."""
        return ratio(self.ours, self.plain)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All lines, and how far the two final models are apart, weight by weight."""

    title: str
    rows: tuple[Row, ...]
    apart: float

    @property
    def is_same_model(self) -> bool:
        """Say whether both sides ended with the same model."""
        return self.apart <= SAME

    def find(self, what: str) -> Row:
        """Return a line by its name."""
        return next(row for row in self.rows if row.what == what)

    def as_record(self) -> dict[str, Any]:
        """Write the record for programs."""
        return {
            "title": self.title,
            "rows": [asdict(row) | {"ratio": row.ratio} for row in self.rows],
            "weights_differ": self.apart,
            "same_model": self.is_same_model,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Comparison:
        """Read what `as_record` wrote."""
        names = ("what", "unit", "plain", "ours")
        rows = [Row(**{name: row[name] for name in names}) for row in record["rows"]]
        return cls(title=record["title"], rows=tuple(rows), apart=record["weights_differ"])

    def render(self) -> str:
        """Write the table for people."""
        lines = [self.title, f"{'':36} {'plain FLARE':>12} {'Consilium':>12} {'ratio':>8}"]
        for row in self.rows:
            digits = 3 if row.unit == "s" else 0
            lines.append(
                f"{row.what + ', ' + row.unit:<36} {row.plain:>12.{digits}f} "
                f"{row.ours:>12.{digits}f} {row.ratio:>8.2f}"
            )
        same = "the same model" if self.is_same_model else "NOT the same model"
        return "\n".join([*lines, f"{same}: weights differ by {self.apart:.1e} at most"])


def compare(plain: Side, ours: Side, *, title: str) -> Comparison:
    """Put the figures of both sides beside each other."""

    def row(what: str, unit: str, take: Callable[[Outcome], float | list[float]]) -> Row:
        return Row(what=what, unit=unit, plain=plain.figure(take), ours=ours.figure(take))

    def idle(what: str, take: Callable[[Memory], float]) -> Row:
        return Row(what=what, unit="MB", plain=take(plain.idle), ours=take(ours.idle))

    rows = (
        row(WALL, "s", lambda run: run.wall_s),
        row(FIRST, "s", lambda run: run.first_round_s),
        row(OVERHEAD, "s", lambda run: run.overheads_s),
        row(LAST, "s", lambda run: run.last_round_s),
        row("slowest site's work per round", "s", lambda run: run.work_s),
        row(WIRE, "kB", lambda run: run.wire_bytes / 1000),
        idle("memory (PSS) idle, hub", lambda memory: memory.hub),
        idle("memory (PSS) idle, one site", lambda memory: memory.site),
        row("memory (PSS) running, hub", "MB", lambda run: run.peak.hub),
        row("memory (PSS) running, one site", "MB", lambda run: run.peak.site),
        row("memory (PSS) running, all", "MB", lambda run: run.peak.total),
    )
    return Comparison(title=title, rows=rows, apart=_apart(plain, ours))


def _apart(plain: Side, ours: Side) -> float:
    return max(
        abs(one - other)
        for left in plain.runs
        for right in ours.runs
        for one, other in zip(left.weights, right.weights, strict=True)
    )
