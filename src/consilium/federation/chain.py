"""The rounds from the signed start to the last model, as the sites signed them.

The hub sums updates, and only the hub sees them. What it cannot do is make up
who took part: in every round a quorum of sites signed which model came in and
which update went out. The lead follows these signatures from the start of its
own plan to the model that it is handed, so a round that was left out, run
below the quorum or begun from another model shows; of a secure sum also one
whose survivors a threshold of them did not confirm. That the sum itself is
right does not follow from it; see docs/trust.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consilium.federation.folder import SegmentFolder
from consilium.federation.ports import TRAIN
from consilium.federation.records import ClosedRound
from consilium.federation.secure.members import verify_confirmed
from consilium.federation.secure.plan import plan_of
from consilium.gate.orders import Order, Study
from consilium.gate.replies import verify_answer
from consilium.kernel.canonical import Digest, is_digest
from consilium.kernel.errors import DeniedError, InputError, IntegrityError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import PublicKey

Round = Mapping[str, Any]
"""One round as the hub tells it: `model`, and `replies` by site. Of a secure sum also
`segment`, `attempt` and `confirmed`, the signed confirmations of who is in it."""


def list_rounds(attempts: Sequence[SegmentFolder], study: Study) -> list[dict[str, Any]]:
    """Gather the rounds that led to the last model, over all attempts.

    What an older attempt wrote from its successor's first round on does not count.

    Parameters
    ----------
    attempts : sequence of SegmentFolder
        Oldest first; the last one has brought the study to its end.

    Discloses
    ---------
    The sites' signed statements, to the lead: figures that their gates let out.
    """
    found: dict[int, dict[str, Any]] = {}
    last = study.rounds
    for folder in reversed(attempts):
        if not folder.is_complete():
            continue
        for number in folder.rounds():
            if number <= last:
                found[number] = _told(folder.closed_round(number))
        last = min(last, folder.order().first_round - 1)
    return [found[number] for number in sorted(found)]


def _told(closed: ClosedRound) -> dict[str, Any]:
    told: dict[str, Any] = {"model": closed.model, "replies": closed.replies}
    if closed.confirmed:
        order = {"segment": closed.segment, "attempt": closed.attempt}
        told |= order | {"confirmed": list(closed.confirmed)}
    return told


def verify_rounds(
    plan: Study, told: Sequence[Round], *, final: Digest
) -> tuple[frozenset[ParticipantId], ...]:
    """Follow the rounds from the plan's start to the final model; return who took part in each.

    Raises
    ------
    IntegrityError
        `study.broken_chain` with round and flaw; `ledger.bad_signature`,
        `gate.other_task`, `gate.other_round`.

    Discloses
    ---------
    Nothing; it reads what the sites' gates let out.
    """
    if len(told) != plan.rounds:
        raise _broken(len(told) + 1, "there are not as many as the plan has")
    model, present = plan.start, []
    for number, one in enumerate(told, start=1):
        present.append(_verify_round(plan, one, number=number, model=model))
        model = Digest(str(one["model"]))
    if model != final:
        raise _broken(plan.rounds, "it did not end with the model that came")
    return tuple(present)


def _verify_round(
    plan: Study, one: Round, *, number: int, model: Digest
) -> frozenset[ParticipantId]:
    try:
        replies = {ParticipantId(str(site)): str(text) for site, text in one["replies"].items()}
        is_named = is_digest(one["model"])
    except (KeyError, TypeError, AttributeError) as error:
        raise _broken(number, "it cannot be read") from error
    if not is_named or len(replies) < plan.quorum:
        raise _broken(number, "fewer sites than the quorum took part")
    for site, text in replies.items():
        invitation = plan.find_site(site)
        if invitation is None:
            raise _broken(number, "a site took part that was not invited")
        try:
            answer = verify_answer(
                text,
                key=PublicKey.from_text(invitation.key),
                study=plan.study,
                kind=TRAIN,
                round=number,
                model=model,
            )
        except InputError as error:
            raise _broken(number, f"the answer of {site} cannot be read") from error
        if answer.participant != site:
            raise _broken(number, "a site answered in another's name")
        if bool(answer.masked) != (plan.secure is not None):
            raise _broken(number, "an update was masked against the plan, or plain")
    if plan.secure is not None:
        _verify_sum(plan, one, number=number, model=model)
    return frozenset(replies)


def _verify_sum(plan: Study, one: Round, *, number: int, model: Digest) -> None:
    """Pass only a sum whose survivors, named by the replies, enough of them confirmed alike.

    The plan of the sum follows from the study's and from the order's two numbers.
    """
    try:
        place = (int(one["segment"]), int(one["attempt"]))
        texts = [str(text) for text in one["confirmed"]]
        survivors = [ParticipantId(str(site)) for site in one["replies"]]
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(number, "its confirmations cannot be read") from error
    try:
        order = Order(
            signed_study="", segment=place[0], attempt=place[1], first_round=1, start=plan.start
        )
        summed = plan_of(plan, order, round=number, model=model)
        verify_confirmed(texts, survivors=survivors, plan=summed)
    except (InputError, DeniedError, IntegrityError) as error:
        raise _broken(number, "too few hospitals confirmed who is in its sum") from error


def _broken(number: int, reason: str) -> IntegrityError:
    return IntegrityError("study.broken_chain", round=number, reason=reason)
