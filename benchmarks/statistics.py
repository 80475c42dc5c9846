"""Differencing: whether answers about almost the same patients give one patient away.

    python -m benchmarks.statistics [--quick]

An attacker asks pairs of questions whose cohorts differ by 1 to 9 patients,
between other questions of every kind, and knows of every question exactly
which rows it covered (more than any real one knows). Two attacks follow:

1. each pair's answers are subtracted;
2. for each function that was added up, all covered sets of a hospital together
   are solved for single patients: a patient is recovered if some combination of
   answers is the total over that patient alone.

Combinations across columns are told apart: there all counts of a hospital
stand in one system, whatever they count. A combination of these says only that
somebody is there, and only someone who has the rows can find it.

The same attacker then meets a gate that asks for k patients in each cohort and
remembers nothing. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from consilium.federation.statistics.site import installed_statistics
from consilium.gate.columns import Table, cohort_rows
from consilium.gate.computation import Sample
from consilium.gate.disclosure import Selection, select
from consilium.gate.orders import FieldNeed, Invitation
from consilium.gate.partition import Axis, Told
from consilium.gate.questions import (
    AT_LEAST,
    BELOW,
    COUNT,
    CROSSTAB,
    HISTOGRAM,
    IS_ANY_OF,
    MEAN,
    MISSING,
    MOMENTS,
    SURVIVAL,
    Condition,
    Grid,
    Question,
)
from consilium.kernel.canonical import Digest
from consilium.kernel.identifiers import AgreementId, DatasetId, ParticipantId, QuestionId

Rows = npt.NDArray[np.bool_]

K = 10
PAIRS_EACH = 20
"""Pairs asked of one hospital; what it has answered is remembered all the time."""
COLUMNS = {
    "age": FieldNeed(name="age", kind="number", unit="a"),
    "marker": FieldNeed(name="marker", kind="number"),
    "dose": FieldNeed(name="dose", kind="number"),
    "sex": FieldNeed(name="sex", kind="category", categories=("f", "m")),
    "stage": FieldNeed(name="stage", kind="category", categories=("I", "II", "III", "IV")),
    "ward": FieldNeed(name="ward", kind="category", categories=tuple("abcdef")),
    "ill": FieldNeed(name="ill", kind="category", categories=("negative", "positive")),
}
EDGES = {"age": tuple(range(25, 100, 5)), "marker": tuple(range(0, 40, 2)), "dose": (1.0, 2.0, 3.0)}
GRID = {"age": 1.0, "marker": 2.0, "dose": 1.0}
NUMBERS = tuple(EDGES)
EVERY = "every count"


@dataclass
class Found:
    """What the attacker got."""

    pairs: int = 0
    answered_pairs: int = 0
    questions: int = 0
    answered: int = 0
    small_differences: int = 0
    patients_by_pairs: int = 0
    patients_by_algebra: int = 0
    combinations_across_columns: int = 0
    systems: int = 0
    equations: int = 0

    def add(self, other: Found) -> None:
        """Add another hospital's."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class Hospital:
    """One dataset behind the gate's rules, or behind a threshold that remembers nothing."""

    table: Table
    defended: bool
    memory: dict[Axis, Told] = field(default_factory=dict)

    def ask(self, question: Question) -> Selection | None:
        """Return what was answered, or None."""
        if not self.defended:
            rows = cohort_rows(self.table, question.cohort, COLUMNS)
            return Selection(rows=rows) if rows.sum() >= K else None
        found = select(question, self.table, self.memory, k=K)
        if found is not None:
            self.memory |= found.told
        return found


def make_table(rng: np.random.Generator) -> Table:
    """Draw a hospital of 60 to 400 patients, some values missing, some rare."""
    n = int(rng.integers(60, 400))
    marker = np.round(rng.gamma(2.0, 5.0, n), 2)
    marker[rng.random(n) < rng.choice([0.0, 0.02, 0.2])] = np.nan
    values = {
        "age": np.floor(rng.normal(60, 13, n)).clip(20, 99),
        "marker": marker,
        "dose": rng.poisson(rng.choice([0.05, 1.0]), n).astype(float),
        "sex": rng.integers(0, 2, n).astype(float),
        "stage": rng.choice(4, n, p=[0.4, 0.3, 0.25, 0.05]).astype(float),
        "ward": rng.choice(6, n, p=[0.3, 0.3, 0.2, 0.1, 0.07, 0.03]).astype(float),
        "ill": (rng.random(n) < 0.35).astype(float),
    }
    kinds = {name: column.kind for name, column in COLUMNS.items()}
    return Table(values=values, kinds=kinds, patients=np.arange(n))


def make_question(statistic: str, *variables: str, cohort: tuple[Condition, ...]) -> Question:
    """Write a question; who asks whom does not matter here."""
    named = dict.fromkeys([*variables, *(one.column for one in cohort)])
    place = Invitation(
        participant=ParticipantId("did:web:example.org:south"),
        agreement=AgreementId("urn:uuid:1"),
        dataset=DatasetId("urn:uuid:2"),
        key="",
    )
    binned = statistic in (HISTOGRAM, CROSSTAB, SURVIVAL)
    return Question(
        question=QuestionId("urn:uuid:3"),
        space="example.org",
        purpose="research",
        lead=ParticipantId("did:web:example.org:north"),
        algorithm=Digest(""),
        statistic=statistic,
        columns=tuple(COLUMNS[name] for name in named),
        variables=variables,
        cohort=cohort,
        grids=tuple(
            Grid(column=name, edges=tuple(float(one) for one in EDGES[name]))
            for name in variables
            if binned and name in EDGES
        ),
        event="",
        epsilon=0.0,
        sites=(place,),
        created="",
        expires="",
    )


def make_cohort(rng: np.random.Generator, *, most: int = 3) -> tuple[Condition, ...]:
    """Draw up to `most` conditions."""
    names = rng.permutation(list(COLUMNS))[: rng.integers(0, most + 1)]
    return tuple(_condition(rng, str(name)) for name in names)


def _condition(rng: np.random.Generator, name: str) -> Condition:
    if name in NUMBERS:
        bound = float(rng.choice(np.arange(EDGES[name][0], EDGES[name][-1], GRID[name])))
        return Condition(column=name, test=str(rng.choice([AT_LEAST, BELOW])), number=bound)
    categories = COLUMNS[name].categories
    size = int(rng.integers(1, len(categories) + 1))
    values = tuple(sorted(str(one) for one in rng.permutation(categories)[:size]))
    return Condition(column=name, test=IS_ANY_OF, values=values)


def neighbours(
    rng: np.random.Generator, table: Table, *, tries: int = 200
) -> tuple[tuple[Condition, ...], tuple[Condition, ...]] | None:
    """Find two cohorts that differ by 1 to k - 1 patients, as an attacker would look for."""
    for _ in range(tries):
        one = make_cohort(rng, most=2)
        other = _move(rng, one)
        rows = cohort_rows(table, one, COLUMNS)
        apart = int((rows ^ cohort_rows(table, other, COLUMNS)).sum())
        if 1 <= apart < K and rows.sum() >= K:
            return one, other
    return None


def _move(rng: np.random.Generator, cohort: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Shift one bound by a step, drop a category, or add a condition."""
    if not cohort or rng.random() < 0.4:
        return (*cohort, _condition(rng, str(rng.choice(list(COLUMNS)))))
    place = int(rng.integers(len(cohort)))
    chosen = cohort[place]
    if chosen.values:
        changed = replace(chosen, values=chosen.values[:-1] or chosen.values)
    else:
        step = float(rng.choice([-1, 1])) * GRID[chosen.column]
        changed = replace(chosen, number=chosen.number + step)
    return (*cohort[:place], changed, *cohort[place + 1 :])


def other_question(rng: np.random.Generator) -> Question:
    """Draw a question of any kind, so that pairs do not stand alone."""
    cohort = make_cohort(rng, most=1)
    names = [str(one) for one in rng.permutation(list(COLUMNS))]
    numbers = [name for name in names if name in NUMBERS]
    kind = str(rng.choice([HISTOGRAM, CROSSTAB, MOMENTS, MISSING, SURVIVAL, MEAN]))
    variables = {
        HISTOGRAM: names[:1],
        CROSSTAB: names[:2],
        MOMENTS: names[: int(rng.integers(2, 5))],
        MISSING: names[:3],
        SURVIVAL: [numbers[0], "ill"],
        MEAN: numbers[:2],
    }[kind]
    return make_question(kind, *variables, cohort=cohort)


def totals(question: Question, table: Table, selection: Selection) -> Iterator[tuple[str, Rows]]:
    """Name every total that an answer holds or lets be added up: its function and its rows."""
    rows = selection.rows
    yield "count", rows
    labels = {one.column: one.label(table.values[one.column]) for one in selection.groups}
    if question.statistic in (MEAN, MOMENTS):
        levels = {name: table.levels(name) for name in question.variables}
        labels |= {name: found for name, found in levels.items() if found is not None}
    for name, groups in labels.items():
        yield from _by_group(f"count:{name}", rows & table.observed(name), groups)
    if question.statistic != MEAN:
        for (one, first), (other, second) in combinations(sorted(labels.items()), 2):
            joint = first * 1_000 + second
            yield from _by_group(f"count:{one},{other}", rows & table.observed(one, other), joint)
    if question.statistic in (MEAN, MOMENTS):
        for name in set(question.variables) & set(NUMBERS):
            yield f"sum:{name}", rows & table.observed(name)
            others = labels if question.statistic == MOMENTS else {}
            for other, groups in others.items():
                known = rows & table.observed(name, other)
                yield from _by_group(f"sum:{name}", known, groups)


def _by_group(name: str, rows: Rows, groups: npt.NDArray[np.int64]) -> Iterator[tuple[str, Rows]]:
    for group in np.unique(groups[rows]):
        yield name, rows & (groups == group)


def recovered(sets: list[Rows]) -> int:
    """Count the patients whose own indicator is a combination of the sets' indicators.

    The share of a patient's unit vector within the span of the sets is 1 then.
    """
    matrix = np.unique(np.array(sets, dtype=np.float64), axis=0)
    _, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    kept = right[sizes > 1e-9 * max(float(sizes[0]), 1.0)]
    return int((np.square(kept).sum(axis=0) > 1 - 1e-7).sum())


def attack(seed: int, *, pairs: int, defended: bool) -> Found:
    """Ask one hospital, then solve for its patients."""
    rng = np.random.default_rng(seed)
    hospital = Hospital(make_table(rng), defended)
    found, systems = Found(), defaultdict(list)

    def ask(question: Question) -> Selection | None:
        found.questions += 1
        selection = hospital.ask(question)
        if selection is not None:
            found.answered += 1
            for name, rows in totals(question, hospital.table, selection):
                systems[name].append(rows)
                if name.startswith("count"):
                    systems[EVERY].append(rows)
        return selection

    for _ in range(pairs):
        two = neighbours(rng, hospital.table)
        if two is None:
            continue
        found.pairs += 1
        statistic, variables = (COUNT, ()) if rng.random() < 0.3 else (MEAN, ("age",))
        both = [ask(make_question(statistic, *variables, cohort=cohort)) for cohort in two]
        if both[0] is not None and both[1] is not None:
            found.answered_pairs += 1
            apart = int((both[0].rows ^ both[1].rows).sum())
            found.small_differences += apart < K
            found.patients_by_pairs += apart == 1
        if defended and rng.random() < 0.5:
            ask(other_question(rng))
    across = systems.pop(EVERY, [])
    found.combinations_across_columns += recovered(across) if across else 0
    for sets in systems.values():
        found.systems += 1
        found.equations += len(sets)
        found.patients_by_algebra += recovered(sets)
    return found


def run(pairs: int, *, defended: bool, seed: int = 1) -> Found:
    """Attack as many hospitals as the pairs need."""
    found = Found()
    while found.pairs < pairs:
        left = min(PAIRS_EACH, pairs - found.pairs)
        found.add(attack(seed, pairs=left, defended=defended))
        seed += 1
    return found


def time_answers(rows: int) -> dict[str, float]:
    """Measure how long the gate's part of a question takes on many rows, in seconds."""
    rng = np.random.default_rng(7)
    values = {
        name: rng.normal(60, 12, rows).clip(20, 99).round()
        if name in NUMBERS
        else rng.integers(0, len(column.categories), rows).astype(float)
        for name, column in COLUMNS.items()
    }
    kinds = {name: column.kind for name, column in COLUMNS.items()}
    table = Table(values=values, kinds=kinds, patients=np.arange(rows))
    hospital, computation = Hospital(table, True), installed_statistics()
    taken = {}
    for statistic, variables in {
        COUNT: (),
        MEAN: ("age", "marker"),
        HISTOGRAM: ("age",),
        CROSSTAB: ("sex", "stage"),
        MOMENTS: ("age", "marker", "sex", "stage"),
    }.items():
        question = make_question(statistic, *variables, cohort=())
        begun = time.perf_counter()
        selection = hospital.ask(question)
        if selection is not None:
            kept = {name: values[name][selection.rows] for name in variables}
            sample = Sample(
                values=kept,
                patients=table.patients[selection.rows],
                groups=selection.groups,
                beta=(),
            )
            computation.compute(question, sample)
        taken[statistic] = time.perf_counter() - begun
    return taken


def main() -> None:
    """Attack, print, and say the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="500 pairs, 20,000 rows")
    given = parser.parse_args()
    pairs, rows = (500, 20_000) if given.quick else (10_000, 100_000)
    facts: dict[str, object] = {}
    for name, defended in (("gate", True), ("threshold alone", False)):
        found = run(pairs if defended else pairs // 10, defended=defended)
        facts[name] = asdict(found)
        print(f"{name}:")
        for what, value in asdict(found).items():
            print(f"  {what.replace('_', ' '):<22} {value:>9,}", flush=True)
    taken = time_answers(rows)
    facts["seconds"] = taken
    print(f"seconds for {rows:,} rows: " + ", ".join(f"{k} {v:.2f}" for k, v in taken.items()))
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
