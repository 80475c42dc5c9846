"""What a statistic discloses: which totals, over which cohorts, it lets be worked out.

For each statistic this page says, as cuts of the partition, all that its
figures add up. It belongs to the gate, not to the code that computes, because
an answer is only as safe as this list is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from consilium.gate.columns import Labels, Rows, Table, cohort_rows
from consilium.gate.grouping import Groups, finest_groups, merge_groups
from consilium.gate.partition import (
    ALL,
    BIN,
    GAP,
    SUM,
    Axis,
    Cut,
    Memory,
    Told,
    count_patients,
    cut_at,
    related_cuts,
    try_cuts,
)
from consilium.gate.questions import (
    COMPLETE_CASES,
    COUNT,
    CROSSTAB,
    HISTOGRAM,
    LOGISTIC,
    MEAN,
    MISSING,
    MOMENTS,
    SURVIVAL,
    Question,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """What a question may be computed on, and nothing besides.

    `rows` are those of the cohort (for statistics over complete cases, of the
    patients who have every value); `groups` the bins and categories that may
    be told apart; `hidden` the variables whose missing cases are too few to be
    counted; `told` what all answers will have told with this one, nothing if
    the data are public.
    """

    rows: Rows
    groups: tuple[Groups, ...] = ()
    hidden: tuple[str, ...] = ()
    told: Mapping[Axis, Told] = field(default_factory=dict)

    def patients(self, table: Table) -> int:
        """Count the patients."""
        return _patients(table, self.rows)


def select(question: Question, table: Table, memory: Memory, *, k: int) -> Selection | None:
    """Return what may be computed on, or None if some group of patients would be too small.

    Parameters
    ----------
    question : Question
        Checked.
    table : Table
        The dataset's rows, with the columns of the question and those of `memory`.
    memory : mapping of Axis to Told
        What earlier answers have told.
    k : int
        Fewest patients of any group; 1 for public data, where nothing is kept back.
    """
    rows = released_rows(question, table)
    selection = Selection(rows=rows, groups=finest(question))
    if k <= 1:
        return selection
    if _patients(table, rows) < k:
        return None
    parts = _parts(question, table)

    def attempt(cuts: list[Cut]) -> dict[Axis, Told] | None:
        asked = {cut.axis for cut in cuts}
        return try_cuts(table, memory, [*cuts, *related_cuts(memory, asked, parts, rows)], k=k)

    base = [cut_at(Axis(ALL), rows)]
    if question.statistic == MISSING:
        return _select_gaps(question, table, rows, attempt=attempt, base=base)
    if not selection.groups:
        told = attempt([*base, *_CUTS[question.statistic](question, table, rows)])
        return None if told is None else Selection(rows=rows, told=told)

    def told_of(groups: tuple[Groups, ...]) -> dict[Axis, Told] | None:
        return attempt([*base, *_table_cuts(table, rows, groups)])

    merged = merge_groups(
        table,
        rows & table.observed(*question.variables),
        selection.groups,
        fits=lambda groups: told_of(groups) is not None,
        k=k,
        fixed=1 if question.statistic == SURVIVAL else 0,
    )
    if merged is None:
        return None
    return Selection(rows=rows, groups=merged, told=told_of(merged) or {})


def released_rows(question: Question, table: Table) -> Rows:
    """Mark the rows that a question is about."""
    columns = {column.name: column for column in question.columns}
    rows = cohort_rows(table, question.cohort, columns)
    if question.statistic in COMPLETE_CASES:
        rows &= table.observed(*question.variables)
    return rows


def _parts(question: Question, table: Table) -> dict[str, Rows]:
    """Mark, for each column that decides who belongs to the cohort, the rows that it lets in.

    Over complete cases a variable decides, too, wherever it has gaps.
    """
    columns = {column.name: column for column in question.columns}
    found: dict[str, Rows] = {}
    for condition in question.cohort:
        rows = cohort_rows(table, (condition,), columns)
        found[condition.column] = found.get(condition.column, True) & rows
    if question.statistic in COMPLETE_CASES:
        for name in question.variables:
            observed = table.observed(name)
            if not observed.all():
                found[name] = found.get(name, True) & observed
    return found


def finest(question: Question) -> tuple[Groups, ...]:
    """Return the bins and categories that a question asks for, none joined."""
    if question.statistic not in (HISTOGRAM, CROSSTAB, SURVIVAL):
        return ()
    return tuple(
        finest_groups(
            name,
            edges=question.find_edges(name),
            categories=question.get_column(name).categories,
        )
        for name in question.variables
    )


def _patients(table: Table, rows: Rows) -> int:
    return int(count_patients(table, rows.astype("int64"), rows).sum())


def _select_gaps(
    question: Question,
    table: Table,
    rows: Rows,
    *,
    attempt: Callable[[list[Cut]], dict[Axis, Told] | None],
    base: list[Cut],
) -> Selection | None:
    """Count the missing of each variable for itself; too few of one hide only that one."""
    told = attempt(base)
    if told is None:
        return None
    hidden, cuts = [], list(base)
    for name in question.variables:
        gap = cut_at(Axis(GAP, (name,)), rows, table.observed(name).astype("int64"))
        if attempt([*base, gap]) is None:
            hidden.append(name)
        else:
            cuts.append(gap)
    return Selection(rows=rows, hidden=tuple(hidden), told=attempt(cuts) or told)


def _no_cuts(_question: Question, _table: Table, _rows: Rows) -> list[Cut]:
    return []


def _mean_cuts(question: Question, table: Table, rows: Rows) -> list[Cut]:
    """Each variable's total by itself, over those who have a value of it."""
    cuts = []
    for name in question.variables:
        cuts.append(cut_at(Axis(SUM, (name,)), rows))
        levels = table.levels(name)
        if levels is not None:
            cuts.append(_level_cut(table, rows, name, levels))
    return cuts


def _moment_cuts(question: Question, table: Table, rows: Rows) -> list[Cut]:
    """Totals of all variables and of the products of each two.

    A category enters as one column of 0 and 1 for each value, and so does a
    number that has two values: its products with another variable are that
    variable's totals by value. A total is cut by all of them together, because
    totals by one and by the other can be combined.
    """
    found = {name: table.levels(name) for name in sorted(question.variables)}
    few = {name: levels for name, levels in found.items() if levels is not None}
    cuts = [_level_cut(table, rows, name, levels) for name, levels in few.items()]
    for (one, labels), (other, others) in combinations(few.items(), 2):
        cuts.append(_pair_cut(table, rows, (one, other), (labels, others)))
    for name in sorted(found.keys() - few.keys()):
        cuts.append(cut_at(Axis(SUM, (name,)), rows))
        cuts += [cut_at(Axis(SUM, (name,)), rows, labels) for labels in few.values()]
    return cuts


def _table_cuts(table: Table, rows: Rows, groups: tuple[Groups, ...]) -> list[Cut]:
    """The groups of each column, and of both together."""
    labels = tuple(one.label(table.values[one.column]) for one in groups)
    cuts = [
        cut_at(Axis(BIN, (one.column,)), rows & table.observed(one.column), found)
        for one, found in zip(groups, labels, strict=True)
    ]
    if len(groups) == 2:
        names = (groups[0].column, groups[1].column)
        cuts.append(_pair_cut(table, rows, names, (labels[0], labels[1])))
    return cuts


def _level_cut(table: Table, rows: Rows, name: str, levels: Labels) -> Cut:
    return cut_at(Axis(BIN, (name,)), rows & table.observed(name), levels)


def _pair_cut(
    table: Table, rows: Rows, names: tuple[str, str], labels: tuple[Labels, Labels]
) -> Cut:
    """Cut at both columns' groups together; an axis of two names them in order."""
    joint = labels[0] * (int(labels[1].max(initial=0)) + 1) + labels[1]
    first, second = sorted(names)
    return cut_at(Axis(BIN, (first, second)), rows & table.observed(*names), joint)


_CUTS: Mapping[str, Callable[[Question, Table, Rows], list[Cut]]] = {
    COUNT: _no_cuts,
    MEAN: _mean_cuts,
    MOMENTS: _moment_cuts,
    LOGISTIC: _moment_cuts,
}
