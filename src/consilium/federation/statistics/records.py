"""What a person asks for, before it becomes a signed question."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING as NOTHING
from dataclasses import dataclass, field, fields
from typing import Any

from consilium.gate.plain import from_plain
from consilium.gate.questions import (
    AT_LEAST,
    BELOW,
    COUNT,
    CROSSTAB,
    HISTOGRAM,
    IS_ANY_OF,
    LOGISTIC,
    MEAN,
    MISSING,
    MOMENTS,
    SURVIVAL,
    Condition,
)
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import AgreementId, ParticipantId

QUANTILE, CORRELATION, LINEAR = "quantile", "correlation", "linear"
"""What people ask for beside the gate's own words; hospitals are asked for what it is made of."""

ASKED_AS: Mapping[str, str] = {
    COUNT: COUNT,
    MEAN: MEAN,
    HISTOGRAM: HISTOGRAM,
    QUANTILE: HISTOGRAM,
    CROSSTAB: CROSSTAB,
    MISSING: MISSING,
    SURVIVAL: SURVIVAL,
    CORRELATION: MOMENTS,
    LINEAR: MOMENTS,
    LOGISTIC: LOGISTIC,
}
"""What a person can ask for, and which statistic hospitals are asked for then."""

BINS = {HISTOGRAM: 10, QUANTILE: 100, CROSSTAB: 5, SURVIVAL: 20}
"""Bins of a number over its schema's range, unless others are given."""

_CONDITION = re.compile(r"\s*(.+?)\s*(>=|<|=)\s*(.+?)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a person writes.

    `where` holds conditions as text (`age>=65`, `age<80`, `sex=1`, `cp=1|2`),
    all of which must hold. `agreements` may stay empty: then every agreement of
    ours that allows the purpose is used. `edges` gives bins or bounds by column;
    a column without them is cut into `bins` over its schema's range. `event` is
    the category that ends a survival time or that a logistic regression
    predicts. `shares` are a quantile's, within [0, 1].
    """

    statistic: str
    purpose: str
    variables: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    agreements: tuple[AgreementId, ...] = ()
    bins: int = 0
    edges: dict[str, Any] = field(default_factory=dict)
    event: str = ""
    shares: tuple[float, ...] = (0.25, 0.5, 0.75)
    epsilon: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAnswer:
    """What came of asking one hospital: its figures, or why there are none."""

    participant: ParticipantId
    agreement: AgreementId
    figures: Mapping[str, Any] | None = None
    public: bool = False
    beta: tuple[float, ...] = ()
    signed: str = ""
    error: Mapping[str, str] | None = None

    def as_record(self) -> dict[str, Any]:
        """Give it as plain JSON."""
        return {
            "participant": self.participant,
            "agreement": self.agreement,
            "public": self.public,
            "figures": None if self.figures is None else dict(self.figures),
            "error": None if self.error is None else dict(self.error),
        }


def read_draft(value: Json) -> Draft:
    """Read what a person wrote, and fill in what it leaves open.

    Raises
    ------
    InputError
        `federation.bad_question` naming the field.

    Discloses
    ---------
    Nothing.
    """
    if not isinstance(value, Mapping):
        raise refuse("question", "is no table")
    known = {item.name: item for item in fields(Draft)}
    for name in value:
        if name not in known:
            raise refuse(str(name)[:80], "is not a field of a question")
    plain = {
        name: list(item.default) if isinstance(item.default, tuple) else item.default
        for name, item in known.items()
        if item.default is not NOTHING
    }
    try:
        draft = from_plain(Draft, {**plain, "edges": {}, **value})
    except InputError as error:
        raise refuse(str(error.facts["field"]), str(error.facts["reason"])) from error
    if draft.statistic not in ASKED_AS:
        raise refuse("statistic", f"is none of {', '.join(ASKED_AS)}")
    if not all(0 <= share <= 1 for share in draft.shares):
        raise refuse("shares", "are not all within 0 and 1")
    if not 0 <= draft.bins <= 200:
        raise refuse("bins", "is not between 1 and 200")
    return draft


def read_condition(text: str) -> Condition:
    """Read a condition as people write it.

    Raises
    ------
    InputError
        `federation.bad_question`.

    Discloses
    ---------
    Nothing.

    Examples
    --------
    >>> read_condition("age>=65").number
    65.0
    >>> read_condition("cp=1|2").values
    ('1', '2')
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise refuse("where", "is not written like age>=65, age<80 or sex=1|2")
    column, sign, operand = found.groups()
    if sign == "=":
        values = tuple(one.strip() for one in operand.split("|"))
        return Condition(column=column, test=IS_ANY_OF, values=values)
    try:
        number = float(operand)
    except ValueError as error:
        raise refuse("where", "compares with something that is no number") from error
    return Condition(column=column, test=AT_LEAST if sign == ">=" else BELOW, number=number)


def refuse(name: str, reason: str) -> InputError:
    """Make the error of a question that cannot be asked."""
    return InputError("federation.bad_question", field=name, reason=reason)
