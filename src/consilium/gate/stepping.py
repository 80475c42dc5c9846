"""Steps of a regression: each hospital works out itself where the next one is taken.

Whoever chose the coefficients could choose whom a step weighs, and with two
steps single out a patient. So no coefficients are taken from anybody: the
first step is taken at zero, and every later one where the signed figures of
all hospitals of the step before lead, this hospital's own among them.
"""

from __future__ import annotations

import sqlalchemy as sa

from consilium.gate.computation import Beta, Computation
from consilium.gate.figures import Answer, verify_answer
from consilium.gate.hearing import Heard
from consilium.gate.questions import LOGISTIC
from consilium.gate.statistics_store import find_answer
from consilium.kernel.canonical import canonical_bytes, digest_json, read_json
from consilium.kernel.errors import DeniedError, InputError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import PublicKey
from consilium.ledger.statements import peek_statement


def find_start(connection: sa.Connection, heard: Heard, *, computation: Computation) -> Beta:
    """Return the coefficients at which this step is taken; none where there are no steps.

    Raises
    ------
    DeniedError
        `gate.step_without_answers` when the step before is not there, not
        signed by the hospitals of the question, or not by the same ones.
    """
    question, step = heard.request.question, heard.request.step
    if question.statistic != LOGISTIC:
        return ()
    if step == 0:
        return computation.begin(question)
    own = find_answer(connection, **heard.key, step=step - 1)
    if own is None:
        raise _refusal(step)
    answers = _verify_all(heard)
    mine = answers.get(heard.request.place.participant)
    figures = read_json(str(own["figures"]))
    if mine is None or digest_json(mine.figures) != digest_json(figures):
        raise _refusal(step)
    if step > 1 and _names(answers) != own["sites"]:
        raise _refusal(step)
    before = tuple(float(one) for one in read_json(str(own["beta"])))  # type: ignore[union-attr, arg-type]
    return computation.advance(before, [answers[one].figures for one in sorted(answers)])


def sites_of(heard: Heard) -> str:
    """Name the hospitals whose figures led to this step, as it is kept with its answer."""
    return _names(_verify_all(heard)) if heard.request.step else ""


def _verify_all(heard: Heard) -> dict[ParticipantId, Answer]:
    """Read the answers of the step before, each of a hospital of the question, each once."""
    request = heard.request
    found: dict[ParticipantId, Answer] = {}
    for signed in request.answers:
        try:
            participant = ParticipantId(str(peek_statement(signed)["participant"]))
        except (InputError, KeyError) as error:
            raise _refusal(request.step) from error
        site = request.question.find_site(participant)
        if site is None or participant in found:
            raise _refusal(request.step)
        found[participant] = verify_answer(
            signed,
            key=PublicKey.from_text(site.key),
            question=request.question.digest,
            step=request.step - 1,
            participant=participant,
        )
    return found


def _names(answers: dict[ParticipantId, Answer]) -> str:
    return canonical_bytes(sorted(answers)).decode()


def _refusal(step: int) -> DeniedError:
    return DeniedError("gate.step_without_answers", step=step)
