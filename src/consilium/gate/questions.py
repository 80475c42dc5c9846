"""Questions: what a lead may ask of hospitals' data without a study.

A *question* names one statistic over a cohort, in a closed language: no code,
no formula, no free selection of rows. It is signed by the lead like a study,
so that a relay cannot widen it and every hospital can show what it was asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from consilium.gate.orders import KINDS, FieldNeed, Invitation
from consilium.gate.plain import bad, from_plain, to_plain
from consilium.kernel.canonical import Digest, canonical_bytes, digest_json, digest_of, read_json
from consilium.kernel.clock import read_time
from consilium.kernel.identifiers import ParticipantId, QuestionId
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement

COUNT = "count"
MEAN = "mean"
HISTOGRAM = "histogram"
CROSSTAB = "crosstab"
MISSING = "missing"
SURVIVAL = "survival"
MOMENTS = "moments"
LOGISTIC = "logistic"

AT_LEAST, BELOW, IS_ANY_OF = "at_least", "below", "is_any_of"
"""Conditions on a cohort: two for numbers, one for categories."""

LABEL_CATEGORIES = ("negative", "positive")
"""The label of a dataset is asked for as a category of its own."""

MOST_STEPS = 12
"""Steps of a logistic regression; all others have one."""
MOST_EDGES = 201
MOST_CONDITIONS = 10
LARGEST_EPSILON = 1_000.0
WITH_NOISE = frozenset({COUNT, MEAN, HISTOGRAM, CROSSTAB})
COMPLETE_CASES = frozenset({CROSSTAB, SURVIVAL, MOMENTS, LOGISTIC})
"""Statistics over the patients who have a value of every variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many variables a statistic takes, and of which kinds in order.

    `kinds` names the kind of the first variables, "" for either; `rest` of the others.
    """

    least: int
    most: int
    kinds: tuple[str, ...] = ()
    rest: str = ""


SHAPES = {
    COUNT: Shape(least=0, most=0),
    MEAN: Shape(least=1, most=50, rest="number"),
    HISTOGRAM: Shape(least=1, most=1),
    CROSSTAB: Shape(least=2, most=2),
    MISSING: Shape(least=1, most=200),
    SURVIVAL: Shape(least=2, most=2, kinds=("number", "category")),
    MOMENTS: Shape(least=2, most=60),
    LOGISTIC: Shape(least=2, most=61, kinds=("category",)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition on a cohort; all of a question's must hold.

    `number` is the bound of `at_least` and `below`; `values` are the categories
    of `is_any_of`. The other one is 0 or empty.
    """

    column: str
    test: str
    number: float = 0.0
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where the bins of a number begin and end, or its bounds where noise is drawn.

    Bins are [edge, next edge), and one below the first and one from the last edge.
    """

    column: str
    edges: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the lead asks. Everything a hospital must know before it answers.

    `columns` describes every column that is named. `event` is the category of
    the second variable that ends a survival time, or of the first that a
    logistic regression predicts. `epsilon` above 0 asks for noise.
    """

    question: QuestionId
    space: str
    purpose: str
    lead: ParticipantId
    algorithm: Digest
    statistic: str
    columns: tuple[FieldNeed, ...]
    variables: tuple[str, ...]
    cohort: tuple[Condition, ...]
    grids: tuple[Grid, ...]
    event: str
    epsilon: float
    sites: tuple[Invitation, ...]
    created: str
    expires: str

    @property
    def digest(self) -> Digest:
        """Fingerprint of the whole question."""
        return digest_of(canonical_bytes(to_plain(self)))

    @property
    def content(self) -> Digest:
        """Fingerprint of what is asked, whoever asks it and whenever.

        The steps of a logistic regression depend on the other hospitals, so
        there they are part of what is asked.
        """
        several = sorted(site.agreement for site in self.sites)
        return digest_json(
            {
                "statistic": self.statistic,
                "algorithm": self.algorithm,
                "columns": to_plain(tuple(sorted(self.columns, key=lambda one: one.name))),
                "variables": list(self.variables),
                "cohort": sorted(
                    (cast("dict[str, Any]", to_plain(one)) for one in self.cohort), key=digest_json
                ),
                "grids": to_plain(self.grids),
                "event": self.event,
                "epsilon": self.epsilon,
                "with": several if self.statistic == LOGISTIC else [],
            }
        )

    @property
    def steps(self) -> int:
        """How often a hospital may be asked for figures."""
        return MOST_STEPS if self.statistic == LOGISTIC else 1

    @property
    def words(self) -> frozenset[str]:
        """Every name and category that an answer may repeat."""
        names = {column.name for column in self.columns}
        return frozenset(names | {one for column in self.columns for one in column.categories})

    def find_site(self, participant: ParticipantId) -> Invitation | None:
        """Return a participant's place in the question, or `None` if it has none."""
        return next((site for site in self.sites if site.participant == participant), None)

    def get_column(self, name: str) -> FieldNeed:
        """Return the description of a column that is named."""
        return next(one for one in self.columns if one.name == name)

    def find_edges(self, name: str) -> tuple[float, ...]:
        """Return the edges given for a column, or none."""
        return next((grid.edges for grid in self.grids if grid.column == name), ())


def sign_question(key: SigningKey, question: Question) -> str:
    """Sign a question as its lead. One that could not be read back is refused."""
    return sign_statement(key, "question", cast("dict[str, Any]", to_plain(_again(question))))


def peek_question(signed: str) -> Question:
    """Read a signed question without checking the signature: only to learn whose key to ask for.

    Raises
    ------
    InputError
        `gate.bad_order`, or `ledger.not_a_statement`.
    """
    return check_question(from_plain(Question, peek_statement(signed)))


def verify_question(signed: str, *, key: PublicKey) -> Question:
    """Read a signed question whose lead holds `key`.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature` when somebody else signed it.
    InputError
        `gate.bad_order`.
    """
    return check_question(from_plain(Question, verify_statement(signed, "question", key)))


def check_question(question: Question) -> Question:
    """Return the question if it can be asked.

    Plan: (1) a known statistic, with the variables that it takes; (2) every
    column described, once; (3) conditions and grids fit their columns; (4) an
    event where one is needed; (5) noise where it is known; (6) sites and times.

    Raises
    ------
    InputError
        `gate.bad_order` naming the field.
    """
    # 1.
    shape = SHAPES.get(question.statistic)
    if shape is None:
        raise bad("statistic", f"is none of {', '.join(SHAPES)}")
    _within(len(question.variables), "variables", shape.least, shape.most)
    _distinct(question.variables, "variables")
    # 2.
    _check_columns(question, shape)
    # 3.
    _within(len(question.cohort), "cohort", 0, MOST_CONDITIONS)
    for condition in question.cohort:
        _check_condition(condition, question.get_column(condition.column))
    _check_grids(question)
    # 4.
    _check_event(question)
    # 5.
    _within(question.epsilon, "epsilon", 0, LARGEST_EPSILON)
    if question.epsilon and question.statistic not in WITH_NOISE:
        raise bad("epsilon", f"is known for {', '.join(sorted(WITH_NOISE))} only")
    # 6.
    _within(len(question.sites), "sites", 1, 400)
    for part in ("participant", "agreement", "key"):
        _distinct((getattr(site, part) for site in question.sites), f"sites.{part}")
    for name in ("space", "purpose"):
        _within(len(getattr(question, name)), name, 1, 400)
    if _time(question.created) >= _time(question.expires):
        raise bad("expires", "is not after its creation")
    return question


def _again(question: Question) -> Question:
    plain = read_json(canonical_bytes(to_plain(question)))
    return check_question(from_plain(Question, plain))


def _check_columns(question: Question, shape: Shape) -> None:
    named = {*question.variables, *(one.column for one in question.cohort)}
    named |= {grid.column for grid in question.grids}
    _distinct((one.name for one in question.columns), "columns")
    if named != {one.name for one in question.columns}:
        raise bad("columns", "does not describe exactly the columns that are named")
    for column in question.columns:
        if column.kind not in KINDS or (column.kind == "category") != bool(column.categories):
            raise bad("columns.kind", "is neither number nor category with its categories")
        _distinct(column.categories, "columns.categories")
    for place, name in enumerate(question.variables):
        wanted = shape.kinds[place] if place < len(shape.kinds) else shape.rest
        if wanted not in ("", question.get_column(name).kind):
            raise bad("variables", f"takes a {wanted} as number {place + 1}")


def _check_condition(condition: Condition, column: FieldNeed) -> None:
    if column.kind == "number":
        if condition.test not in (AT_LEAST, BELOW) or condition.values:
            raise bad("cohort.test", f"is neither {AT_LEAST} nor {BELOW} a number")
    elif condition.test != IS_ANY_OF or condition.number:
        raise bad("cohort.test", f"is not {IS_ANY_OF} some categories")
    elif not condition.values or not set(condition.values) <= set(column.categories):
        raise bad("cohort.values", "are not some of the column's categories")
    _distinct(condition.values, "cohort.values")


def _check_grids(question: Question) -> None:
    _distinct((grid.column for grid in question.grids), "grids.column")
    for grid in question.grids:
        _within(len(grid.edges), "grids.edges", 2, MOST_EDGES)
        if list(grid.edges) != sorted(set(grid.edges)):
            raise bad("grids.edges", "do not rise")
        if grid.column not in question.variables:
            raise bad("grids.column", "is no variable")
        if question.get_column(grid.column).kind != "number":
            raise bad("grids.column", "is no number")
    binned = question.statistic in (HISTOGRAM, CROSSTAB, SURVIVAL)
    bounded = question.statistic == MEAN and question.epsilon > 0
    for name in question.variables:
        is_number = question.get_column(name).kind == "number"
        if is_number and (binned or bounded) and not question.find_edges(name):
            raise bad("grids", "does not say where the bins or bounds of each number are")


def _check_event(question: Question) -> None:
    place = {SURVIVAL: 1, LOGISTIC: 0}.get(question.statistic)
    if place is None:
        if question.event:
            raise bad("event", f"belongs to {SURVIVAL} and {LOGISTIC} only")
        return
    column = question.get_column(question.variables[place])
    if question.event not in column.categories or len(column.categories) != 2:
        raise bad("event", "is not one of the two categories of its variable")


def _within(value: float, name: str, low: float, high: float) -> None:
    if not low <= value <= high:
        raise bad(name, f"is not between {low} and {high}")


def _distinct(values: Iterable[str], name: str) -> None:
    listed = list(values)
    if len(set(listed)) != len(listed):
        raise bad(name, "stands twice")


def _time(text: str) -> Any:
    try:
        return read_time(text)
    except ValueError as error:
        raise bad("created, expires", "is not a time") from error
