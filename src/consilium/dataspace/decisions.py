"""Who decides our next step: the automatic policy, a person's queue, or a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from consilium.dataspace.machines import (
    ACCEPTED,
    AGREED,
    OFFERED,
    REQUESTED,
    SUSPENDED,
    VERIFIED,
)
from consilium.dataspace.policy import evaluate, is_same_rules, policy_of
from consilium.dataspace.ports import Action, Decide, Question, Verdict
from consilium.dataspace.records import Negotiation, Process, Role, Transfer
from consilium.dataspace.vocabulary import OPERANDS, RECIPIENT, TIME

PROCEED = Verdict(action=Action.PROCEED)
WAIT = Verdict(action=Action.WAIT)

Place = tuple[type[Process], Role, str]
"""A kind of process, our role in it, and the state that waits for us."""


def refuse(code: str, reason: str) -> Verdict:
    """End the process, and say why."""
    return Verdict(action=Action.REFUSE, code=code, reason=reason)


def wait(code: str, reason: str = "") -> Verdict:
    """Leave it to a person, and say why."""
    return Verdict(action=Action.WAIT, code=code, reason=reason)


class PolicyDecide:
    """Agrees to exactly what was published or offered by us, with whom it was meant for.

    A request that repeats a published offer, or the last offer that a person of
    ours made in this negotiation, has not run out and comes from a named
    recipient is agreed to; another one is refused. An offer that comes to us is
    accepted if it says what we asked for, else a person looks at it. Later
    steps follow of themselves, because each was checked before it is asked about.
    """

    def __call__(self, question: Question) -> Verdict:
        """Answer by the table."""
        process = question.process
        answer = _POLICY.get((type(process), process.role, process.state))
        return WAIT if answer is None else answer(question)


class QueueDecide:
    """Lets a person decide what binds us; formal steps follow of themselves.

    Whom the policy would refuse because of who asks or when is refused. That a
    request is not the published offer is a reason for the person to know.

    Parameters
    ----------
    policy : Decide, optional
        The automatic policy behind.
    """

    def __init__(self, policy: Decide | None = None) -> None:
        self._policy = policy or PolicyDecide()

    def __call__(self, question: Question) -> Verdict:
        """Answer by the policy where no person is needed, else wait."""
        process, verdict = question.process, self._policy(question)
        if (type(process), process.role, process.state) not in _BINDING:
            return verdict
        if verdict.action is Action.REFUSE and verdict.code not in _FOR_PEOPLE:
            return verdict
        return wait(verdict.code or "dataspace.person_decides", verdict.reason)


class ScriptDecide:
    """Answers by a table of its own; for tests, rehearsals and conformance runs.

    Parameters
    ----------
    script : mapping of place to Verdict
        The answers. What it does not hold waits.
    """

    def __init__(self, script: Mapping[Place, Verdict]) -> None:
        self._script = script

    def __call__(self, question: Question) -> Verdict:
        """Answer by the script."""
        process = question.process
        return self._script.get((type(process), process.role, process.state), WAIT)


def _judge_request(question: Question) -> Verdict:
    process, dataset = question.process, question.dataset
    if dataset is None or not isinstance(process, Negotiation):
        return refuse("dataspace.offer_not_published", "dataset")
    published = policy_of(dataset.terms, offer=dataset.offer)
    if not (_is_same(process.policy, published) or _is_ours(question)):
        return refuse("dataspace.offer_not_published", "offer")
    return _judge_use(question, process)


def _judge_accepted(question: Question) -> Verdict:
    """Agree to our own offer, which the consumer has accepted, if it still runs."""
    process = question.process
    if not isinstance(process, Negotiation) or not _is_ours(question):
        return refuse("dataspace.offer_not_published", "offer")
    return _judge_use(question, process)


def _judge_use(question: Question, process: Negotiation) -> Verdict:
    facts = {RECIPIENT: process.peer, TIME: question.now}
    decision = evaluate(process.policy, facts, later=OPERANDS.keys() - facts.keys())
    return PROCEED if decision.allowed else refuse(decision.code, decision.rule)


def _judge_offer(question: Question) -> Verdict:
    """Accept what we asked for ourselves; terms of the provider's own are for a person."""
    process, ours = question.process, question.ours
    if isinstance(process, Negotiation) and ours is not None:
        if is_same_rules(ours, process.policy):
            return PROCEED
        return wait("dataspace.offer_not_asked_for", "offer")
    return wait("dataspace.offer_not_asked_for")


def _is_ours(question: Question) -> bool:
    process, ours = question.process, question.ours
    return ours is not None and isinstance(process, Negotiation) and _is_same(process.policy, ours)


def _is_same(policy: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two offers say the same under the same name."""
    return policy["@id"] == other["@id"] and is_same_rules(policy, other)


def _refuse_to_resume(_question: Question) -> Verdict:
    return refuse("dataspace.held", "suspended")


def _proceed(_question: Question) -> Verdict:
    return PROCEED


_POLICY: Mapping[Place, Callable[[Question], Verdict]] = {
    (Negotiation, Role.PROVIDER, REQUESTED): _judge_request,
    (Negotiation, Role.PROVIDER, ACCEPTED): _judge_accepted,
    (Negotiation, Role.PROVIDER, VERIFIED): _proceed,
    (Negotiation, Role.CONSUMER, OFFERED): _judge_offer,
    (Negotiation, Role.CONSUMER, AGREED): _proceed,
    (Transfer, Role.PROVIDER, REQUESTED): _proceed,
    (Transfer, Role.PROVIDER, SUSPENDED): _refuse_to_resume,
    (Transfer, Role.CONSUMER, SUSPENDED): _refuse_to_resume,
}
_BINDING = frozenset(
    {
        (Negotiation, Role.PROVIDER, REQUESTED),
        (Negotiation, Role.CONSUMER, OFFERED),
        (Transfer, Role.PROVIDER, REQUESTED),
    }
)
"""Where our side binds itself, or lets others compute. What a person has offered is decided."""
_FOR_PEOPLE = frozenset({"dataspace.offer_not_published"})
