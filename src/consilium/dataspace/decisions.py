"""Who decides our next step: the automatic policy, or a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from consilium.dataspace.machines import AGREED, REQUESTED, VERIFIED
from consilium.dataspace.policy import evaluate, is_same_rules, policy_of
from consilium.dataspace.ports import Action, Question, Verdict
from consilium.dataspace.records import Negotiation, Process, Role, Transfer
from consilium.dataspace.vocabulary import OPERANDS, RECIPIENT, TIME

PROCEED = Verdict(action=Action.PROCEED)
WAIT = Verdict(action=Action.WAIT)

Place = tuple[type[Process], Role, str]
"""A kind of process, our role in it, and the state that waits for us."""


def refuse(code: str, reason: str) -> Verdict:
    """End the process, and say why."""
    return Verdict(action=Action.REFUSE, code=code, reason=reason)


class PolicyDecide:
    """Agrees to exactly what was published, with whom it was published for.

    A request that repeats a published offer, has not run out and comes from a
    named recipient is agreed to; another one is refused. Later steps follow of
    themselves, because each was checked before it is asked about.
    """

    def __call__(self, question: Question) -> Verdict:
        """Answer by the table."""
        process = question.process
        answer = _POLICY.get((type(process), process.role, process.state))
        return WAIT if answer is None else answer(question)


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
    if process.offer != dataset.offer or not is_same_rules(process.policy, published):
        return refuse("dataspace.offer_not_published", "offer")
    facts = {RECIPIENT: process.peer, TIME: question.now}
    decision = evaluate(process.policy, facts, later=OPERANDS.keys() - facts.keys())
    return PROCEED if decision.allowed else refuse(decision.code, decision.rule)


def _proceed(_question: Question) -> Verdict:
    return PROCEED


_POLICY: Mapping[Place, Callable[[Question], Verdict]] = {
    (Negotiation, Role.PROVIDER, REQUESTED): _judge_request,
    (Negotiation, Role.CONSUMER, AGREED): _proceed,
    (Negotiation, Role.PROVIDER, VERIFIED): _proceed,
    (Transfer, Role.PROVIDER, REQUESTED): _proceed,
}
