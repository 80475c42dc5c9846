"""A hospital's part in the sums of its studies, behind its gate.

Keys, seeds and shares live here, in the node's own process, for one round: the
job process never sees them, and neither does the disk. After a restart a sum
that was under way is lost for this hospital, and cannot be joined again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from consilium.federation.secure.encoding import flatten_arrays
from consilium.federation.secure.memory import SumMemory
from consilium.federation.secure.messages import Announcements, Delivery, SurvivorCall
from consilium.federation.secure.plan import SumPlan, encoding_of, plan_of, threshold_of
from consilium.federation.secure.site import SummingSite
from consilium.gate.orders import Study
from consilium.gate.sums import Masked, Question, SumPlace
from consilium.kernel.canonical import Digest, Json, digest_of, read_json
from consilium.kernel.errors import DeniedError, InputError, StateError
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.keys import SigningKey
from consilium.models.weights import Arrays

ANNOUNCE, SHARE, DELIVER, CONFIRM, REVEAL = "announce", "share", "deliver", "confirm", "reveal"
"""The steps that the hub asks for; the masked update itself goes out through the gate."""


@dataclass(slots=True, kw_only=True)
class _Sum:
    """One sum under way: its site, what it was delivered, what it has answered."""

    site: SummingSite
    delivery: Delivery | None = None
    answered: dict[str, tuple[Digest, bytes]] = field(default_factory=dict)


class SumDesk:
    """Takes part in the sums of this hospital's studies, one at a time for each study.

    Parameters
    ----------
    me : ParticipantId
        This hospital.
    key : SigningKey
        Signs its messages; the public half is pinned in its agreements.
    memory : SumMemory
        What it did in earlier sums.
    """

    def __init__(self, me: ParticipantId, *, key: SigningKey, memory: SumMemory) -> None:
        self._me, self._key, self._memory = me, key, memory
        self._sums: dict[StudyId, _Sum] = {}
        self._lock = threading.Lock()
        self._steps: Mapping[str, Callable[[_Sum, bytes], bytes]] = {
            ANNOUNCE: lambda now, _: now.site.announce().encode(),
            SHARE: _share,
            DELIVER: _deliver,
            CONFIRM: lambda now, word: now.site.confirm(_call(word)).encode(),
            REVEAL: lambda now, word: now.site.reveal(_call(word)).encode(),
        }

    def check(self, study: Study, *, cases: int) -> None:
        """Return if updates of this plan, with so many training cases, can be masked.

        Raises
        ------
        DeniedError
            `secure.too_many_cases`.
        InputError
            `secure.too_few_sites`, `secure.bad_plan`, `secure.bad_encoding`.

        Discloses
        ---------
        Nothing.
        """
        if study.secure is None:
            return
        if cases > study.secure.max_cases:
            raise DeniedError("secure.too_many_cases", most=study.secure.max_cases)
        threshold_of(len(study.sites))
        encoding_of(study.secure, sites=len(study.sites))

    def answer(self, place: SumPlace, question: Question) -> bytes:
        """Answer one step of a sum; the same question has the same answer.

        Raises
        ------
        DeniedError, InputError, IntegrityError, StateError
            As the methods of `SummingSite`; `secure.unknown_step`.

        Discloses
        ---------
        Fresh public keys, shares sealed for other hospitals, a signature, and
        for a survivor set that enough hospitals signed the shares that open its sum.
        """
        plan = plan_of(place.study, place.order, round=place.round, model=place.model)
        step, asked = self._steps.get(question.step), digest_of(question.message)
        if step is None:
            raise InputError("secure.unknown_step")
        with self._lock:
            now = self._join(plan) if question.step == ANNOUNCE else self._find(plan)
            known = now.answered.get(question.step)
            if known is not None and known[0] == asked:
                return known[1]
            answer = step(now, question.message)
            now.answered[question.step] = asked, answer
            return answer

    def mask(self, place: SumPlace, arrays: Arrays, *, cases: int) -> Masked:
        """Put a judged update under its masks.

        Raises
        ------
        DeniedError, InputError, IntegrityError, StateError
            As `SummingSite.mask`; `secure.not_joined`.

        Discloses
        ---------
        As `SummingSite.mask`: noise, until a threshold of hospitals confirms a sum.
        """
        plan = plan_of(place.study, place.order, round=place.round, model=place.model)
        with self._lock:
            now = self._find(plan)
            if now.delivery is None:
                raise StateError("secure.not_joined", round=plan.round)
            upload = now.site.mask(now.delivery, flatten_arrays(arrays), cases=cases)
            members = len(now.delivery.boxes) + 1
        vector = plan.encoding.read(upload.body)
        facts: dict[str, Json] = {
            "sum": plan.digest,
            "members": members,
            "threshold": plan.threshold,
        }
        return Masked(vector=vector, statement=upload.statement, facts=facts)

    def _join(self, plan: SumPlan) -> _Sum:
        """Begin a sum; what was under way in the study is forgotten."""
        known = self._sums.get(plan.study)
        if known is not None and known.site.plan.digest == plan.digest:
            return known
        site = SummingSite(plan, self._me, key=self._key, memory=self._memory)
        self._sums[plan.study] = _Sum(site=site)
        return self._sums[plan.study]

    def _find(self, plan: SumPlan) -> _Sum:
        known = self._sums.get(plan.study)
        if known is None or known.site.plan.digest != plan.digest:
            raise StateError("secure.not_joined", round=plan.round)
        return known


def _share(now: _Sum, word: bytes) -> bytes:
    return now.site.share(Announcements.from_document(_read(word))).encode()


def _deliver(now: _Sum, word: bytes) -> bytes:
    if now.delivery is not None:
        raise StateError("secure.out_of_turn", now=now.site.step, wanted=DELIVER)
    now.delivery = Delivery.from_document(_read(word))
    return b""


def _call(word: bytes) -> SurvivorCall:
    return SurvivorCall.from_document(_read(word))


def _read(word: bytes) -> dict[str, Any]:
    found = read_json(word)
    if not isinstance(found, dict):
        raise InputError("secure.not_a_message", kind="hub", key="")
    return found
