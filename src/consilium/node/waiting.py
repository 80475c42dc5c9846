"""Where the protocol waits for a person: what is asked of whom, and what a yes or no sets going.

`PersonsDecide` says which steps wait. `Waiting` puts them into the queue, in
the transaction that made them wait. Settling takes the step, or ends the
process, in the transaction that holds the decision and its evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from consilium.dataspace.connector import Connector
from consilium.dataspace.decisions import PolicyDecide, QueueDecide
from consilium.dataspace.machines import OFFERED, REQUESTED
from consilium.dataspace.negotiation import end_negotiation, take_next
from consilium.dataspace.policy import terms_of
from consilium.dataspace.ports import Decide, Question, Verdict
from consilium.dataspace.records import Negotiation, Process, Transfer
from consilium.dataspace.store import find_agreement, find_process
from consilium.dataspace.transfer import end_transfer, start_transfer
from consilium.kernel.clock import Clock
from consilium.kernel.errors import StateError
from consilium.ledger.database import Transaction
from consilium.persons.queue import ask, lapse, settle
from consilium.persons.records import Person, QueueItem, Role, Ruling
from consilium.persons.settings import POLICY, RULES, ApprovalSettings
from consilium.persons.store import get_item, get_person

AGREEMENT, STUDY = "agreement", "study"
_KIND: Mapping[type[Process], str] = {Negotiation: AGREEMENT, Transfer: STUDY}
_WAITS = frozenset({REQUESTED, OFFERED})
"""States in which a process can wait for a person of ours."""
REFUSED = "persons.refused"


class PersonsDecide:
    """Lets the policy decide, or persons where the steward demands them.

    Parameters
    ----------
    settings : ApprovalSettings
        Which steps wait for whom.
    policy : Decide, optional
        The automatic policy; persons are asked only about what it allows.
    """

    def __init__(self, settings: ApprovalSettings, policy: Decide | None = None) -> None:
        self._policy = policy or PolicyDecide()
        self._queue = QueueDecide(self._policy)
        self._rules = {Negotiation: settings.agreements, Transfer: settings.studies}

    def __call__(self, question: Question) -> Verdict:
        """Answer at once; what is for persons waits."""
        rule = self._rules[type(question.process)]
        return (self._policy if rule == POLICY else self._queue)(question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Puts a process that waits into the queue, for a steward."""

    settings: ApprovalSettings
    clock: Clock

    def __call__(self, tx: Transaction, process: Process, verdict: Verdict) -> None:
        """Ask, in the transaction that made it wait; what waits already is not asked again."""
        is_study = isinstance(process, Transfer)
        rule = self.settings.studies if is_study else self.settings.agreements
        ask(
            tx,
            kind=_KIND[type(process)],
            subject=process.pid,
            reason=verdict.code,
            due=self.clock.now() + timedelta(hours=self.settings.due_hours),
            role=Role.STEWARD,
            clock=self.clock,
            study=process.study if isinstance(process, Transfer) else "",
            organisation=process.peer,
            needed=RULES[rule] or 1,
        )


def settle_item(
    connector: Connector, item: str, *, by: Person, ruling: Ruling, reason: str
) -> QueueItem:
    """Settle an item and do what it decides, all or nothing.

    Raises
    ------
    NotFoundError
        `persons.no_item`.
    DeniedError
        `persons.not_in_charge`.
    StateError
        `persons.item_settled`, `persons.said_already`, `persons.item_lapsed` if
        the process has ended meanwhile (the item is closed then), and what the
        step itself says.

    Discloses
    ---------
    The step, or the end with its reason, to the peer.
    """
    lapsed = _lapse_if_over(connector, item)
    if lapsed:
        raise StateError("persons.item_lapsed", now=lapsed, wanted="waiting")
    with connector.database.write() as tx:
        person = get_person(tx.connection, by.id)
        settled = settle(tx, item, by=person, ruling=ruling, reason=reason, clock=connector.clock)
        if not settled.is_open:
            process = _find_process(tx.connection, settled)
            if process is not None:
                _act(tx, process, settled, connector)
    return settled


def describe(connection: Connection, item: QueueItem) -> dict[str, Any]:
    """Say what an item is about: who asks, for which dataset, on which terms.

    Discloses
    ---------
    Nothing; for the person who settles it.
    """
    process = _find_process(connection, item)
    if process is None:
        return {}
    told: dict[str, Any] = {"peer": process.peer, "state": process.state}
    if isinstance(process, Negotiation):
        return {**told, "dataset": process.dataset, "terms": asdict(terms_of(process.policy))}
    agreed = find_agreement(connection, process.agreement)
    dataset = agreed.dataset if agreed else ""
    return {**told, "agreement": process.agreement, "study": process.study, "dataset": dataset}


def _act(tx: Transaction, process: Process, item: QueueItem, connector: Connector) -> None:
    is_yes = item.ruling == Ruling.PROCEED
    why = {"code": REFUSED, "reason": item.settled_reason}
    if isinstance(process, Negotiation):
        if is_yes:
            take_next(tx, process, connector)
        else:
            end_negotiation(tx, process, connector, **why)
    elif is_yes:
        start_transfer(tx, process, connector)
    else:
        end_transfer(tx, process, connector, **why)


def _lapse_if_over(connector: Connector, item: str) -> str:
    """Close an item whose process waits no longer, and say in which state that is."""
    with connector.database.write() as tx:
        found = get_item(tx.connection, item)
        process = _find_process(tx.connection, found)
        if not found.is_open or process is None or process.state in _WAITS:
            return ""
        lapse(tx, item, reason=process.state, clock=connector.clock)
        return process.state


def _find_process(connection: Connection, item: QueueItem) -> Process | None:
    """Look for what an item is about; other kinds of items are about no process."""
    if item.kind == AGREEMENT:
        return find_process(connection, Negotiation, item.subject)
    if item.kind == STUDY:
        return find_process(connection, Transfer, item.subject)
    return None
