"""From a draft to a question: which hospitals, which columns, where the bins are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from consilium.dataspace.catalog import FieldShown, Listing
from consilium.dataspace.connector import Connector
from consilium.dataspace.evaluation import evaluate
from consilium.dataspace.machines import FINALIZED
from consilium.dataspace.records import Agreement, Role
from consilium.dataspace.store import get_agreement, list_agreements
from consilium.dataspace.vocabulary import ALGORITHM, OPERANDS, PURPOSE, TIME
from consilium.federation.statistics.records import ASKED_AS, BINS, Draft, read_condition, refuse
from consilium.gate.orders import FieldNeed, Invitation
from consilium.gate.questions import (
    LABEL_CATEGORIES,
    MEAN,
    Condition,
    Grid,
    Question,
    check_question,
)
from consilium.kernel.canonical import Digest
from consilium.kernel.clock import write_time
from consilium.kernel.errors import InputError, NotFoundError
from consilium.kernel.identifiers import QuestionId, new_urn

GOOD_FOR = timedelta(minutes=10)
"""How long a question may be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as the hospitals' catalogues describe it together."""

    need: FieldNeed
    span: tuple[float, float] | None = None


def choose_agreements(connector: Connector, draft: Draft, *, algorithm: Digest) -> list[Agreement]:
    """Return the agreements that a draft names, or all that allow what it asks.

    Raises
    ------
    NotFoundError
        `dataspace.no_agreement`, `federation.nobody_to_ask`.

    Discloses
    ---------
    Nothing.
    """
    with connector.database.read() as connection:
        if draft.agreements:
            return [get_agreement(connection, one, role=Role.CONSUMER) for one in draft.agreements]
        known = list_agreements(connection, role=Role.CONSUMER)
    facts = {PURPOSE: draft.purpose, ALGORITHM: algorithm, TIME: connector.clock.now()}
    later = OPERANDS.keys() - facts.keys()
    allowed = [
        one
        for one in known
        if one.state == FINALIZED and evaluate(one.policy, facts, later=later).allowed
    ]
    newest = {one.provider: one for one in sorted(allowed, key=lambda one: one.agreed)}
    if not newest:
        raise NotFoundError("federation.nobody_to_ask", purpose=draft.purpose)
    return [newest[one] for one in sorted(newest)]


def describe_columns(listings: Sequence[Listing]) -> dict[str, Column]:
    """Describe every column that some hospital offers; its categories are all that any has.

    The label is a column too, with the categories negative and positive.

    Discloses
    ---------
    Nothing.
    """
    found: dict[str, Column] = {}
    for listing in listings:
        label = str(listing.label.get("field", ""))
        found[label] = Column(
            need=FieldNeed(name=label, kind="category", categories=LABEL_CATEGORIES)
        )
        for shown in listing.columns:
            found[shown.name] = _join(found.get(shown.name), shown)
    return found


def write_question(
    draft: Draft,
    columns: Mapping[str, Column],
    agreements: Sequence[Agreement],
    *,
    connector: Connector,
    space: str,
    algorithm: Digest,
) -> Question:
    """Write the question that a draft means.

    Raises
    ------
    InputError
        `federation.bad_question` naming the field.

    Discloses
    ---------
    Nothing until it is sent.
    """
    cohort = tuple(read_condition(one) for one in draft.where)
    named = list(dict.fromkeys([*draft.variables, *(one.column for one in cohort)]))
    for name in (*named, *draft.edges):
        if name not in columns:
            raise refuse("variables", f"names a column that no hospital offers: {name[:80]}")
    now = connector.clock.now()
    question = Question(
        question=QuestionId(new_urn()),
        space=space,
        purpose=draft.purpose,
        lead=connector.me,
        algorithm=algorithm,
        statistic=ASKED_AS[draft.statistic],
        columns=tuple(columns[name].need for name in named),
        variables=draft.variables,
        cohort=cohort,
        grids=_grids(draft, columns),
        event=draft.event or _event(draft, columns),
        epsilon=draft.epsilon,
        sites=tuple(_place(one) for one in agreements),
        created=write_time(now),
        expires=write_time(now + GOOD_FOR),
    )
    try:
        return check_question(question)
    except InputError as error:
        raise refuse(str(error.facts["field"]), str(error.facts["reason"])) from error


def _join(known: Column | None, shown: FieldShown) -> Column:
    span = (shown.range[0], shown.range[1]) if shown.range else None
    categories = shown.categories
    if known is not None:
        before = known.need.categories
        categories = (*before, *(one for one in categories if one not in before))
        ends = [one for one in (known.span, span) if one is not None]
        span = (min(one[0] for one in ends), max(one[1] for one in ends)) if ends else None
    need = FieldNeed(name=shown.name, kind=shown.kind, unit=shown.unit, categories=categories)
    return Column(need=need, span=span)


def _place(agreement: Agreement) -> Invitation:
    return Invitation(
        participant=agreement.provider,
        agreement=agreement.id,
        dataset=agreement.dataset,
        key=agreement.provider_key,
    )


def _grids(draft: Draft, columns: Mapping[str, Column]) -> tuple[Grid, ...]:
    """Say where the bins of each number are; for a mean with noise, its bounds."""
    bounded = draft.statistic == MEAN and draft.epsilon > 0
    if draft.statistic not in BINS and not bounded:
        return ()
    grids = []
    for name in draft.variables:
        column = columns[name]
        if column.need.kind != "number":
            continue
        edges = draft.edges.get(name)
        if edges is None:
            if column.span is None:
                raise refuse("edges", f"are missing for {name[:80]}, whose schema has no range")
            low, high = column.span
            bins = 1 if bounded else draft.bins or BINS[draft.statistic]
            edges = [float(f"{edge:.12g}") for edge in np.linspace(low, high, bins + 1)]
        if not isinstance(edges, list) or not all(isinstance(one, int | float) for one in edges):
            raise refuse("edges", "are not numbers")
        grids.append(Grid(column=name, edges=tuple(float(one) for one in edges)))
    return tuple(grids)


def _event(draft: Draft, columns: Mapping[str, Column]) -> str:
    """Take the second of two categories as the event, where one is needed and none is named."""
    place = {"survival": 1, "logistic": 0}.get(draft.statistic)
    if place is None or place >= len(draft.variables):
        return ""
    categories = columns[draft.variables[place]].need.categories
    return categories[-1] if len(categories) == 2 else ""


def conditions_of(question: Question) -> list[str]:
    """Write a question's conditions as people write them."""
    return [_write(one) for one in question.cohort]


def _write(condition: Condition) -> str:
    if condition.values:
        return f"{condition.column}={'|'.join(condition.values)}"
    sign = ">=" if condition.test == "at_least" else "<"
    return f"{condition.column}{sign}{condition.number:g}"
