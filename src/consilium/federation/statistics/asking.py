"""Asking: one signed question to every hospital at once, and their answers in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from consilium.dataspace.catalog import Listing, request_dataset
from consilium.dataspace.connector import Connector
from consilium.dataspace.records import Agreement
from consilium.federation.statistics.bins import find_quantile
from consilium.federation.statistics.door import PATH
from consilium.federation.statistics.drafting import (
    choose_agreements,
    conditions_of,
    describe_columns,
    write_question,
)
from consilium.federation.statistics.pooling import correlate, describe_logistic, fit_line, pool
from consilium.federation.statistics.records import (
    CORRELATION,
    LINEAR,
    QUANTILE,
    Draft,
    SiteAnswer,
)
from consilium.federation.statistics.site import SiteComputation
from consilium.gate.figures import verify_answer
from consilium.gate.orders import Invitation
from consilium.gate.questions import LOGISTIC, Question, sign_question
from consilium.kernel.canonical import Json, digest_json, digest_of
from consilium.kernel.errors import ConsiliumError, DeniedError, PeerError, StateError
from consilium.ledger.keys import PublicKey

AT_ONCE = 16
SETTLED = 1e-10
"""A regression ends when no coefficient moves by more than this share of its size."""
_WITHIN_ROUNDING = 1e-9

Say = Callable[[str, float], None]
"""Told what is being done, and its share done within [0, 1]."""


def ask(
    connector: Connector,
    draft: Draft,
    *,
    space: str,
    computation: SiteComputation,
    say: Say = lambda _step, _done: None,
) -> dict[str, Any]:
    """Ask hospitals for a statistic and pool what they answer.

    Hospitals that refuse or do not answer are named with the reason; the
    others' patients are pooled.

    Parameters
    ----------
    connector : Connector
        The lead's.
    draft : Draft
        What is asked.
    space : str
        The space's name.
    computation : SiteComputation
        The installed one; hospitals compute with the same or not at all.
    say : callable, optional
        Told how far it is.

    Returns
    -------
    dict
        `question`, `statistic`, `purpose`, `cohort`, `epsilon`, `pooled` and
        `sites`, each with its figures or its error.

    Raises
    ------
    InputError
        `federation.bad_question`, `federation.no_step`, `federation.figures_differ`.
    NotFoundError
        `federation.nobody_to_ask`, `dataspace.no_agreement`.
    DeniedError
        `federation.nobody_answered`.
    StateError
        `federation.not_settled` for a regression that does not come to rest.

    Discloses
    ---------
    The signed question, to the hospitals that are asked. Of the lead's own data
    what its own gate lets out, as of anybody's.
    """
    # 1. Whom, about what.
    agreements = choose_agreements(connector, draft, algorithm=computation.digest)
    say("columns", 0.0)
    listings, unheard = _look_up(connector, agreements)
    question = write_question(
        draft,
        describe_columns(listings),
        agreements,
        connector=connector,
        space=space,
        algorithm=computation.digest,
    )
    signed = sign_question(connector.key, question)
    with connector.database.write() as tx:
        said = {"asked": question.digest, "statistic": question.statistic}
        tx.record("statistics.asked", question.question, {**said, "sites": len(agreements)})
    # 2. Their answers.
    say("asking", 0.1)
    silent = {one.participant for one in unheard}
    asked = [site for site in question.sites if site.participant not in silent]
    answers = _ask_all(connector, question, signed, asked, step=0, before=[])
    beta: tuple[float, ...] = ()
    if question.statistic == LOGISTIC:
        answers, beta = _go_on(
            connector, question, signed, answers, computation=computation, say=say
        )
    # 3. Together.
    say("pooling", 0.95)
    everyone = sorted([*answers, *unheard], key=lambda one: one.participant)
    pooled = _pool(connector, draft, question, everyone, beta=beta)
    return {
        "question": question.question,
        "statistic": draft.statistic,
        "purpose": draft.purpose,
        "variables": list(question.variables),
        "cohort": conditions_of(question),
        "epsilon": question.epsilon,
        "pooled": pooled,
        "sites": [one.as_record() for one in everyone],
    }


def _pool(
    connector: Connector,
    draft: Draft,
    question: Question,
    answers: Sequence[SiteAnswer],
    *,
    beta: tuple[float, ...],
) -> dict[str, Any]:
    """Pool what was answered, and keep as evidence which answers it rests on."""
    given = [one for one in answers if one.figures is not None]
    if not given:
        reason = _first_reason(answers)
        raise DeniedError("federation.nobody_answered", sites=len(answers), reason=reason)
    pooled = _finish(draft, question, [one.figures or {} for one in given], beta)
    with connector.database.write() as tx:
        proof: dict[str, Json] = {one.participant: digest_of(one.signed.encode()) for one in given}
        found: dict[str, Json] = {"asked": question.digest, "pooled": digest_json(pooled)}
        tx.record("statistics.pooled", question.question, {**found, "answers": proof})
    return pooled


def _first_reason(answers: Sequence[SiteAnswer]) -> str:
    """Return the first sentence that says why a hospital did not answer."""
    told = [one.error["en"] for one in answers if one.error is not None]
    lost = StateError("federation.hospital_lost").public
    return next((one for one in told if one != lost), "")


def _look_up(
    connector: Connector, agreements: Sequence[Agreement]
) -> tuple[list[Listing], list[SiteAnswer]]:
    """Read the hospitals' descriptions of their datasets; name those that do not answer."""

    def look(agreement: Agreement) -> Listing | SiteAnswer:
        try:
            return request_dataset(connector, agreement.provider, agreement.dataset)
        except ConsiliumError as error:
            return SiteAnswer(
                participant=agreement.provider, agreement=agreement.id, error=error.as_record()
            )

    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(agreements))) as threads:
        found = list(threads.map(look, agreements))
    listings = [one for one in found if isinstance(one, Listing)]
    return listings, [one for one in found if isinstance(one, SiteAnswer)]


def _ask_all(
    connector: Connector,
    question: Question,
    signed: str,
    sites: Sequence[Invitation],
    *,
    step: int,
    before: Sequence[str],
) -> list[SiteAnswer]:
    """Ask hospitals for one step, all at once."""
    document = {"question": signed, "step": step, "answers": list(before)}

    def ask_one(site: Invitation) -> SiteAnswer:
        try:
            return _ask_one(connector, question, site, step=step, document=document)
        except ConsiliumError as error:
            return SiteAnswer(
                participant=site.participant, agreement=site.agreement, error=error.as_record()
            )

    if not sites:
        return []
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(sites))) as threads:
        return list(threads.map(ask_one, sites))


def _ask_one(
    connector: Connector,
    question: Question,
    site: Invitation,
    *,
    step: int,
    document: dict[str, Any],
) -> SiteAnswer:
    status, found = connector.client.post(site.participant, PATH, document)
    if status != 200:
        code, reasons = str(found.get("code", status))[:80], found.get("reason") or [""]
        raise DeniedError(
            "federation.refused_there",
            participant=site.participant,
            reason=code,
            words=str(reasons[0])[:400],
        )
    text = found.get("answer")
    if not isinstance(text, str):
        raise PeerError("dataspace.bad_answer", peer=site.participant, retryable=False)
    answer = verify_answer(
        text,
        key=PublicKey.from_text(site.key),
        question=question.digest,
        step=step,
        participant=site.participant,
    )
    return SiteAnswer(
        participant=site.participant,
        agreement=site.agreement,
        figures=answer.figures,
        public=answer.public,
        beta=answer.beta,
        signed=text,
    )


def _go_on(
    connector: Connector,
    question: Question,
    signed: str,
    answers: list[SiteAnswer],
    *,
    computation: SiteComputation,
    say: Say,
) -> tuple[list[SiteAnswer], tuple[float, ...]]:
    """Take the further steps of a regression with the hospitals that answered the first."""
    refused = [one for one in answers if one.figures is None]
    given = [one for one in answers if one.figures is not None]
    for step in range(1, question.steps + 1):
        if not given:
            return refused, ()
        beta = _same_beta(given)
        ahead = computation.advance(
            beta, [one.figures or {} for one in sorted(given, key=lambda one: one.participant)]
        )
        if _is_settled(beta, ahead):
            return [*given, *refused], ahead
        if step == question.steps:
            break
        say("asking", 0.1 + 0.8 * step / question.steps)
        sites = [one for one in question.sites if one.participant in {a.participant for a in given}]
        before = [one.signed for one in given]
        given = _ask_all(connector, question, signed, sites, step=step, before=before)
        if any(one.figures is None for one in given):
            return [*(_without_step(one) for one in given), *refused], ()
    raise StateError("federation.not_settled", steps=question.steps)


def _without_step(answer: SiteAnswer) -> SiteAnswer:
    """Give up a regression in which a hospital is lost: the next step needs all of them."""
    if answer.error is not None:
        return answer
    told = StateError("federation.hospital_lost").as_record()
    return replace(answer, figures=None, error=told)


def _same_beta(answers: Sequence[SiteAnswer]) -> tuple[float, ...]:
    """Return where the hospitals took their step, which is the same place for all.

    Raises
    ------
    StateError
        `federation.steps_differ`.
    """
    places = np.array([one.beta for one in answers])
    if not np.allclose(places, places[0], rtol=_WITHIN_ROUNDING, atol=_WITHIN_ROUNDING):
        raise StateError("federation.steps_differ")
    return tuple(float(one) for one in places[0])


def _is_settled(beta: tuple[float, ...], ahead: tuple[float, ...]) -> bool:
    here, there = np.array(beta), np.array(ahead)
    return bool(np.all(np.abs(there - here) <= SETTLED * np.maximum(np.abs(there), SETTLED)))


def _finish(
    draft: Draft, question: Question, figures: list[Mapping[str, Any]], beta: tuple[float, ...]
) -> dict[str, Any]:
    if draft.statistic == QUANTILE:
        return {"quantiles": [find_quantile(figures, one) for one in draft.shares]}
    pooled = pool(question, figures)
    if draft.statistic == CORRELATION:
        return correlate(pooled)
    if draft.statistic == LINEAR:
        return fit_line(pooled)
    if question.statistic == LOGISTIC:
        return describe_logistic(question, beta, pooled)
    return pooled
