"""Figures: what an answer holds, signed by the hospital that gives it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from consilium.gate.plain import bad, from_plain, to_plain
from consilium.kernel.canonical import Digest, Json
from consilium.kernel.errors import DeniedError, InputError, IntegrityError
from consilium.kernel.identifiers import AgreementId, ParticipantId
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.statements import sign_statement, verify_statement

KEYS = frozenset(
    {"patients", "rows", "variables", "n", "mean", "m2", "missing", "groups", "edges"}
    | {"categories", "counts", "terms", "cross", "gradient", "curvature"}
)
"""Every key that may leave, besides the names of the question's own columns."""
MOST_FIGURES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One hospital's figures for one step of a question.

    `figures` is a free table of numbers; `beta` holds the coefficients at which
    a step was taken. `public` says that the data are declared public, so that
    nothing was kept back; `epsilon` above 0 that noise was added.
    """

    question: Digest
    step: int
    participant: ParticipantId
    agreement: AgreementId
    figures: dict[str, Any]
    beta: tuple[float, ...]
    public: bool
    epsilon: float


def sign_figures(key: SigningKey, answer: Answer) -> str:
    """Sign an answer."""
    return sign_statement(key, "figures", cast("dict[str, Any]", to_plain(answer)))


def verify_figures(signed: str, *, key: PublicKey) -> Answer:
    """Read an answer that this key signed.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature`.
    InputError
        `gate.bad_order` when it is none of the known form.
    """
    return from_plain(Answer, verify_statement(signed, "figures", key))


def verify_answer(
    signed: str, *, key: PublicKey, question: Digest, step: int, participant: ParticipantId
) -> Answer:
    """Read the answer that this participant gave to this step of a question, and no other.

    Raises
    ------
    IntegrityError
        `gate.other_answer`.
    """
    try:
        answer = verify_figures(signed, key=key)
        if (answer.question, answer.step, answer.participant) != (question, step, participant):
            raise bad("answer", "is to another question")
    except (InputError, IntegrityError) as error:
        raise IntegrityError("gate.other_answer", participant=participant) from error
    return answer


def check_figures(figures: Mapping[str, Json], *, names: frozenset[str]) -> int:
    """Return how many figures there are, if nothing but figures is there.

    Keys are of the closed vocabulary or names of the question's columns; texts
    are categories of the question; numbers are finite.

    Raises
    ------
    DeniedError
        `gate.not_figures`.
    """
    count = _count(figures, names)
    if count > MOST_FIGURES:
        raise DeniedError("gate.not_figures")
    return count


def _count(value: Json, names: frozenset[str]) -> int:
    if isinstance(value, Mapping):
        if not all(key in KEYS or key in names for key in value):
            raise DeniedError("gate.not_figures")
        return sum(_count(one, names) for one in value.values())
    if isinstance(value, str):
        if value not in names:
            raise DeniedError("gate.not_figures")
        return 0
    if isinstance(value, Sequence):
        return sum(_count(one, names) for one in value)
    if value is None:
        return 0
    if isinstance(value, bool) or not math.isfinite(value):
        raise DeniedError("gate.not_figures")
    return 1
