"""The queue of what waits for a person: asked, delegated, settled once.

An item names who may settle it: a role in a scope. That person may hand it to
a delegate, who then stands in his place. A person who has handed an item on
has no voice in it until he takes it back by naming himself.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import insert, update

from consilium.kernel.clock import Clock, read_time, write_time
from consilium.kernel.errors import DeniedError, InputError, StateError
from consilium.kernel.identifiers import new_urn
from consilium.ledger.database import Transaction
from consilium.persons.records import ItemId, Person, PersonId, QueueItem, Role, Ruling
from consilium.persons.roles import MAY, Action, holds
from consilium.persons.store import (
    ITEMS,
    add_consent,
    find_open_item,
    get_item,
    get_person,
    list_consents,
)

LONGEST_REASON = 500
_NOBODY = PersonId("")


def ask(
    tx: Transaction,
    *,
    kind: str,
    subject: str,
    reason: str,
    due: datetime,
    role: Role,
    clock: Clock,
    study: str = "",
    organisation: str = "",
    needed: int = 1,
) -> QueueItem:
    """Let something wait for a person; asked again for the same thing, the item stays.

    Parameters
    ----------
    kind, subject : str
        What kind of thing waits, and its identifier.
    reason : str
        Why it waits.
    due : datetime
        When it should be settled; later it is overdue and waits on.
    role : Role
        Who may settle it, in the scope of `study` and `organisation`.
    needed : int
        How many different persons must let it proceed, 1 or 2.

    Raises
    ------
    InputError
        `persons.role_settles_nothing`, `persons.bad_number`.
    """
    if Action.SETTLE not in MAY[role]:
        raise InputError("persons.role_settles_nothing", role=role)
    if needed not in (1, 2):
        raise InputError("persons.bad_number", needed=needed)
    waiting = find_open_item(tx.connection, kind=kind, subject=subject)
    if waiting is not None:
        return waiting
    item = QueueItem(
        id=ItemId(new_urn()),
        kind=kind,
        subject=subject,
        reason=reason[:LONGEST_REASON],
        due=write_time(due),
        role=role,
        study=study,
        organisation=organisation,
        needed=needed,
        delegate=_NOBODY,
        delegated_by=_NOBODY,
        ruling="",
        settled_by=_NOBODY,
        settled_reason="",
        asked=write_time(clock.now()),
        settled="",
    )
    tx.execute(insert(ITEMS).values(asdict(item)))
    facts = {"kind": kind, "subject": subject, "reason": item.reason, "due": item.due}
    tx.record("queue.asked", item.id, {**facts, "role": role, "needed": needed})
    return item


def settle(
    tx: Transaction, item: str, *, by: Person, ruling: Ruling, reason: str, clock: Clock
) -> QueueItem:
    """Let an item proceed, or refuse it, once.

    Of an item that needs two persons the first one's yes leaves it open. A yes
    counts only while its giver may still settle the item.

    Returns
    -------
    QueueItem
        As it stands then; `is_open` while another person is needed.

    Raises
    ------
    NotFoundError
        `persons.no_item`.
    StateError
        `persons.item_settled`, `persons.said_already`.
    DeniedError
        `persons.not_in_charge`.
    InputError
        `persons.no_reason`.
    """
    found = _get_open(tx, item)
    if not is_in_charge(by, found):
        raise DeniedError("persons.not_in_charge", role=found.role)
    told = check_reason(reason)
    if ruling is Ruling.REFUSE:
        return _close(tx, found, ruling, by=by.id, reason=told, clock=clock)
    add_consent(tx, found.id, by.id, clock=clock)
    tx.record("queue.consented", found.id, {"by": by.id, "reason": told, "needed": found.needed})
    if len(list_voices(tx, found)) < found.needed:
        return found
    return _close(tx, found, Ruling.PROCEED, by=by.id, reason=told, clock=clock)


def lapse(tx: Transaction, item: str, *, reason: str, clock: Clock) -> QueueItem:
    """Close an item that has nothing left to decide, for instance because the peer gave up.

    Raises
    ------
    NotFoundError
        `persons.no_item`.
    StateError
        `persons.item_settled`.
    """
    return _close(tx, _get_open(tx, item), Ruling.LAPSE, by=_NOBODY, reason=reason, clock=clock)


def delegate(tx: Transaction, item: str, *, by: Person, to: Person, reason: str) -> QueueItem:
    """Hand an item to somebody else; naming oneself takes it back.

    Raises
    ------
    NotFoundError
        `persons.no_item`.
    StateError
        `persons.item_settled`, `persons.said_already`, `persons.is_disabled`.
    DeniedError
        `persons.not_in_charge` for whoever does not hold the item's role: a
        delegate hands nothing on.
    """
    found = _get_open(tx, item)
    if not _has_role(by, found):
        raise DeniedError("persons.not_in_charge", role=found.role)
    if by.id in list_consents(tx.connection, found.id):
        raise StateError("persons.said_already", now="given", wanted="another person")
    if not to.is_active:
        raise StateError("persons.is_disabled", now="disabled", wanted="active")
    is_return = to.id == by.id
    changes = {
        "delegate": _NOBODY if is_return else to.id,
        "delegated_by": _NOBODY if is_return else by.id,
    }
    tx.execute(update(ITEMS).where(ITEMS.c.id == found.id).values(changes))
    facts = {"by": by.id, "to": to.id, "reason": check_reason(reason)}
    tx.record("queue.delegated", found.id, facts)
    return get_item(tx.connection, found.id)


def is_in_charge(person: Person, item: QueueItem) -> bool:
    """Say whether a person may settle an item: its delegate, or who holds its role."""
    if person.id == item.delegate:
        return person.is_active
    return _has_role(person, item) and person.id != item.delegated_by


def is_overdue(item: QueueItem, now: datetime) -> bool:
    """Say whether an open item has waited longer than it should."""
    return item.is_open and now > read_time(item.due)


def list_voices(tx: Transaction, item: QueueItem) -> list[PersonId]:
    """List whose yes to an item counts at this moment."""
    persons = [get_person(tx.connection, who) for who in list_consents(tx.connection, item.id)]
    return [person.id for person in persons if is_in_charge(person, item)]


def check_reason(reason: str) -> str:
    """Return a reason that says something, in at most 500 letters.

    Raises
    ------
    InputError
        `persons.no_reason`.
    """
    told = reason.strip()
    if not told or len(told) > LONGEST_REASON:
        raise InputError("persons.no_reason", most=LONGEST_REASON)
    return told


def _has_role(person: Person, item: QueueItem) -> bool:
    return holds(person, item.role, study=item.study, organisation=item.organisation)


def _get_open(tx: Transaction, item: str) -> QueueItem:
    found = get_item(tx.connection, item)
    if not found.is_open:
        raise StateError("persons.item_settled", now=found.ruling, wanted="open")
    return found


def _close(
    tx: Transaction, item: QueueItem, ruling: Ruling, *, by: PersonId, reason: str, clock: Clock
) -> QueueItem:
    now = clock.now()
    changes = {
        "ruling": ruling,
        "settled_by": by,
        "settled_reason": reason,
        "settled": write_time(now),
    }
    tx.execute(update(ITEMS).where(ITEMS.c.id == item.id).values(changes))
    facts = {"kind": item.kind, "subject": item.subject, "ruling": ruling, "reason": reason}
    facts |= {"by": by, "delegated_by": item.delegated_by if by == item.delegate else ""}
    tx.record("queue.settled", item.id, {**facts, "overdue": is_overdue(item, now)})
    return get_item(tx.connection, item.id)
