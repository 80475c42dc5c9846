"""Hearing a question: who asks, on what ground, and whether it may be asked at all.

Nothing here opens the data. What is refused here costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from consilium.dataspace import vocabulary as term
from consilium.dataspace.evaluation import evaluate
from consilium.dataspace.expiry import check_time
from consilium.dataspace.machines import FINALIZED
from consilium.dataspace.records import Agreement, Dataset
from consilium.dataspace.store import find_agreement, find_dataset
from consilium.gate.admission import House, check_not_revoked
from consilium.gate.columns import check_bounds, check_columns
from consilium.gate.orders import Invitation
from consilium.gate.questions import Question, peek_question, verify_question
from consilium.kernel.canonical import Digest
from consilium.kernel.clock import read_time
from consilium.kernel.errors import DeniedError, InputError, IntegrityError
from consilium.kernel.identifiers import AgreementId, ParticipantId
from consilium.ledger.keys import PublicKey

_ELSEWHERE = frozenset({term.COUNT, term.MAX_ROUNDS})
"""Terms that count studies and rounds; questions have a count of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A question as it was sent: the statement, what it says, which step, and our place in it."""

    signed: str
    question: Question
    step: int
    answers: tuple[str, ...]
    place: Invitation


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a question stands on here: the agreement and the dataset that it names."""

    agreement: Agreement
    dataset: Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A question that may be asked here."""

    request: Request
    ground: Ground

    @property
    def key(self) -> dict[str, Any]:
        """Under which agreement what is asked; the same again costs nothing."""
        agreement: AgreementId = self.ground.agreement.id
        content: Digest = self.request.question.content
        return {"agreement": agreement, "content": content}

    def allows(self, patients: int) -> bool:
        """Tell whether the agreement allows a cohort of so many patients."""
        others = term.OPERANDS.keys() - {term.MIN_COHORT}
        facts = {term.MIN_COHORT: patients}
        return evaluate(self.ground.agreement.policy, facts, later=others).allowed


def read_request(document: Mapping[str, object], *, house: House) -> Request:
    """Read a question and find this hospital in it. Believes nothing yet.

    Raises
    ------
    DeniedError
        `gate.question_unreadable`, `gate.not_asked`, `gate.other_key`.
    """
    signed, step = document.get("question"), document.get("step", 0)
    answers = document.get("answers", [])
    try:
        if not isinstance(signed, str) or not isinstance(answers, list):
            raise InputError("gate.bad_order", field="question", reason="is not a statement")
        if not all(isinstance(one, str) for one in answers):
            raise InputError("gate.bad_order", field="answers", reason="are not statements")
        question = peek_question(signed)
        if type(step) is not int or not 0 <= step < question.steps:
            raise InputError("gate.bad_order", field="step", reason="is not one of its steps")
    except InputError as error:
        field = error.facts.get("field", "question")
        raise DeniedError("gate.question_unreadable", field=field) from error
    place = question.find_site(house.me)
    if place is None:
        raise DeniedError("gate.not_asked", participant=house.me)
    if place.key != house.key.text:
        raise DeniedError("gate.other_key", participant=house.me)
    return Request(signed=signed, question=question, step=step, answers=tuple(answers), place=place)


def hear(
    connection: sa.Connection, request: Request, *, house: House, caller: ParticipantId
) -> Heard:
    """Judge everything that does not need the data.

    Plan: (1) the agreement is in force, between these two, under these keys, and
    not revoked; (2) the lead signed the question with the key of the agreement;
    (3) the dataset is the agreed one, and no approval of it has run out; (4) the
    question has not run out; (5) it is to be computed by the installed code; (6)
    the agreement's terms allow it; (7) the dataset has the columns, and no bound
    is too fine.

    Raises
    ------
    DeniedError
        With the rule that says no. An agreement that does not exist and one of
        somebody else look alike.
    """
    question, place = request.question, request.place
    # 1.
    agreement = find_agreement(connection, place.agreement)
    ours = agreement is not None and agreement.provider == house.me
    if agreement is None or not ours or {agreement.consumer} != {question.lead, caller}:
        raise DeniedError("gate.no_agreement", agreement=place.agreement)
    if agreement.state != FINALIZED:
        raise DeniedError(
            "gate.agreement_not_in_force", agreement=agreement.id, state=agreement.state
        )
    if agreement.provider_key != house.key.text:
        raise DeniedError("gate.other_key", participant=house.me)
    check_not_revoked(connection, agreement)
    # 2.
    try:
        verify_question(request.signed, key=PublicKey.from_text(agreement.consumer_key))
    except IntegrityError as error:
        raise DeniedError("gate.question_not_signed", lead=question.lead) from error
    # 3.
    dataset = find_dataset(connection, agreement.dataset)
    if dataset is None or place.dataset != agreement.dataset:
        raise DeniedError("gate.other_dataset", agreement=agreement.id)
    check_time(agreement, dataset, now=house.clock.now())
    # 4.
    if house.clock.now() > read_time(question.expires):
        raise DeniedError("gate.question_expired", question=question.question)
    # 5.
    if question.algorithm not in house.installed.values():
        raise DeniedError("gate.other_computation", question=question.question)
    # 6.
    _check_terms(agreement, question, house=house)
    # 7.
    check_bounds(question.cohort, schema=check_columns(question.columns, dataset.schema))
    return Heard(request=request, ground=Ground(agreement=agreement, dataset=dataset))


def _check_terms(agreement: Agreement, question: Question, *, house: House) -> None:
    """Ask the agreement's policy; the size of the cohort is judged where it is known.

    Exact figures have no bound on their privacy loss, so an agreement with a
    budget of epsilon refuses them.
    """
    facts = {
        term.PURPOSE: question.purpose,
        term.TIME: house.clock.now(),
        term.RECIPIENT: question.lead,
        term.ALGORITHM: question.algorithm,
        term.MIN_PARTICIPANTS: len(question.sites),
        term.OUTPUT: term.AGGREGATE,
        term.EPSILON: question.epsilon or term.UNBOUNDED,
        term.DELTA: 0,
        term.SECURE: False,
        term.SPATIAL: house.location_of(question.lead),
    }
    later = _ELSEWHERE | {term.MIN_COHORT}
    evaluate(agreement.policy, facts, later=later).require()
