"""Accounts: made, recognised, given roles, disabled; each change with its evidence.

A password is hashed before a transaction begins and compared after one has
ended, so that the one turn to write never waits for it. Every try is counted
before it is judged: many guesses at once are still only so many.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select, update

from consilium.kernel.clock import Clock, read_time, write_time
from consilium.kernel.errors import DeniedError, InputError, StateError
from consilium.kernel.identifiers import new_urn
from consilium.ledger.database import Database, Transaction
from consilium.persons.passwords import USUAL, Cost, PasswordHash, is_password, nobodys_hash
from consilium.persons.records import Grant, Person, PersonId, Role
from consilium.persons.sessions import end_all
from consilium.persons.store import (
    ACTIVE,
    DISABLED,
    PERSONS,
    ROLES,
    WELCOMES,
    find_person,
    get_person,
    is_anybody,
    tidy_name,
)
from consilium.persons.totp import NEEDED, SecondProof, no_proof

COMMAND_LINE = "command line"
"""Who made the first account: whoever could open the node's own folder."""
MOST_TRIES = 5
LOCK = timedelta(minutes=15)
_LONGEST_NAME = 64
_ADMINISTRATOR = Grant(role=Role.ADMINISTRATOR)


def check_person_name(name: str) -> str:
    """Return a person's name in the one form that is kept; Chinese and every script are fine.

    Raises
    ------
    InputError
        `persons.bad_name`.
    """
    kept = tidy_name(name)
    printable = kept.isprintable() and not set(kept) & set("/\\:?#%")
    if not 0 < len(kept) <= _LONGEST_NAME or not printable or kept.startswith(("urn:", ".")):
        raise InputError("persons.bad_name", most=_LONGEST_NAME)
    return kept


def add_person(
    tx: Transaction, *, name: str, secret: PasswordHash, by: str, clock: Clock
) -> Person:
    """Make an account without any role.

    Parameters
    ----------
    name : str
        Kept as `check_person_name` gives it.
    secret : PasswordHash
        Of the person's password.
    by : str
        Number of the administrator, or `COMMAND_LINE`.

    Raises
    ------
    InputError
        `persons.bad_name`.
    StateError
        `persons.name_taken`.
    """
    name = check_person_name(name)
    if find_person(tx.connection, name) is not None:
        raise StateError("persons.name_taken", now="taken", wanted="free")
    person, now = PersonId(new_urn()), write_time(clock.now())
    row = {"name": name, "folded": name.casefold(), "hash": secret, "state": ACTIVE}
    tx.execute(insert(PERSONS).values(id=person, tries=0, tried="", created=now, **row))
    tx.record("person.added", person, {"name": name, "by": by})
    return get_person(tx.connection, person)


def add_first(
    tx: Transaction, *, name: str, secret: PasswordHash, clock: Clock, by: str = COMMAND_LINE
) -> Person:
    """Make the first account of all, an administrator's; the code for it is worth nothing then.

    Raises
    ------
    StateError
        `persons.not_first` if there is an account.
    """
    if is_anybody(tx.connection):
        raise StateError("persons.not_first", now="persons", wanted="none")
    tx.execute(delete(WELCOMES))
    person = add_person(tx, name=name, secret=secret, by=by, clock=clock)
    return grant_role(tx, person, _ADMINISTRATOR, by=by, clock=clock)


def set_password(
    tx: Transaction, person: Person, secret: PasswordHash, *, by: str, session: str = ""
) -> None:
    """Keep another password for a person, forget wrong tries, end the sessions but the named."""
    values = {"hash": secret, "tries": 0, "tried": ""}
    tx.execute(update(PERSONS).where(PERSONS.c.id == person.id).values(values))
    tx.record("person.password_set", person.id, {"by": by})
    end_all(tx, person.id, by=by, why="password", but=session)


def disable(tx: Transaction, person: Person, *, by: str, reason: str) -> Person:
    """Close an account; what the person did stays on record.

    Raises
    ------
    StateError
        `persons.last_administrator`, `persons.is_disabled`.
    """
    if not person.is_active:
        raise StateError("persons.is_disabled", now=DISABLED, wanted=ACTIVE)
    end_all(tx, person.id, by=by, why="disabled")
    return _set_state(tx, person, DISABLED, by=by, reason=reason)


def enable(tx: Transaction, person: Person, *, by: str, reason: str) -> Person:
    """Open a closed account again, with the roles that it had; an open one stays as it is."""
    if person.is_active:
        return person
    return _set_state(tx, person, ACTIVE, by=by, reason=reason)


def grant_role(tx: Transaction, person: Person, grant: Grant, *, by: str, clock: Clock) -> Person:
    """Give a person a role, everywhere or for one study or organisation; again is no change."""
    if grant in person.grants:
        return person
    row = {"role": grant.role, "study": grant.study, "organisation": grant.organisation}
    now = write_time(clock.now())
    tx.execute(insert(ROLES).values(person=person.id, granted=now, **row))
    tx.record("role.granted", person.id, {**row, "by": by})
    return get_person(tx.connection, person.id)


def withdraw_role(tx: Transaction, person: Person, grant: Grant, *, by: str) -> Person:
    """Take a role away; it must be given in the same scope.

    Raises
    ------
    StateError
        `persons.role_not_held`, `persons.last_administrator`.
    """
    if grant not in person.grants:
        raise StateError("persons.role_not_held", role=grant.role, now="not held", wanted="held")
    row = {"role": grant.role, "study": grant.study, "organisation": grant.organisation}
    match = [ROLES.c[name] == value for name, value in row.items()]
    tx.execute(delete(ROLES).where(ROLES.c.person == person.id, *match))
    tx.record("role.withdrawn", person.id, {**row, "by": by})
    _check_administered(tx)
    return get_person(tx.connection, person.id)


def recognise(
    database: Database,
    name: str,
    password: str,
    *,
    clock: Clock,
    cost: Cost = USUAL,
    second: SecondProof = no_proof,
) -> Person:
    """Return the person who has this name and password, and what `second` asks for besides.

    Unknown, disabled and mistaken look alike and take equally long. After five
    wrong tries, of password or code, the account is locked for a quarter of an
    hour from the last.

    Parameters
    ----------
    cost : Cost
        What an unknown name costs; that of the accounts' hashes.
    second : callable
        Judges the second factor once the password was right.

    Raises
    ------
    DeniedError
        `persons.not_recognised`, `persons.locked`, `persons.code_needed`,
        `persons.wrong_code`.
    """
    person, hashed = _count_try(database, name, now=clock.now())
    is_right = is_password(hashed or nobodys_hash(cost), password)
    if person is None:
        raise DeniedError("persons.not_recognised")
    with database.write() as tx:
        now_person = get_person(tx.connection, person.id)
        is_known = is_right and now_person.is_active and _hash_of(tx, person) == hashed
        flaw = second(tx, now_person) if is_known else "persons.not_recognised"
        if not flaw:
            _forget_tries(tx, person)
            return now_person
        if flaw == NEEDED:
            _forgive_try(tx, person)
        else:
            _record_refusal(tx, person)
    raise DeniedError(flaw)


def _count_try(
    database: Database, name: str, *, now: datetime
) -> tuple[Person | None, PasswordHash | None]:
    """Count one more try of an account, unless it is locked."""
    with database.write() as tx:
        person = find_person(tx.connection, name)
        if person is None:
            return None, None
        row = tx.execute(select(PERSONS).where(PERSONS.c.id == person.id)).one()
        tries = int(row.tries)
        if tries >= MOST_TRIES:
            ends = read_time(row.tried) + LOCK
            if now < ends:
                raise DeniedError("persons.locked", minutes=int(LOCK.total_seconds() // 60))
            tries = 0
        changes = {"tries": tries + 1, "tried": write_time(now)}
        tx.execute(update(PERSONS).where(PERSONS.c.id == person.id).values(changes))
        return person, PasswordHash(row.hash)


def _hash_of(tx: Transaction, person: Person) -> str:
    query = select(PERSONS.c.hash).where(PERSONS.c.id == person.id)
    return str(tx.execute(query).scalar_one())


def _forget_tries(tx: Transaction, person: Person) -> None:
    tx.execute(update(PERSONS).where(PERSONS.c.id == person.id).values(tries=0, tried=""))


def _forgive_try(tx: Transaction, person: Person) -> None:
    """Take one try back: nothing wrong was said, only not enough."""
    left = PERSONS.c.tries - 1
    match = (PERSONS.c.id == person.id, PERSONS.c.tries > 0)
    tx.execute(update(PERSONS).where(*match).values(tries=left))


def _record_refusal(tx: Transaction, person: Person) -> None:
    query = select(PERSONS.c.tries).where(PERSONS.c.id == person.id)
    tries = int(tx.execute(query).scalar_one())
    tx.record("person.refused", person.id, {"tries": tries})
    if tries >= MOST_TRIES:
        tx.record("person.locked", person.id, {"minutes": int(LOCK.total_seconds() // 60)})


def _set_state(tx: Transaction, person: Person, state: str, *, by: str, reason: str) -> Person:
    tx.execute(update(PERSONS).where(PERSONS.c.id == person.id).values(state=state))
    kind = "person.disabled" if state == DISABLED else "person.enabled"
    tx.record(kind, person.id, {"by": by, "reason": reason})
    _check_administered(tx)
    return get_person(tx.connection, person.id)


def _check_administered(tx: Transaction) -> None:
    """Refuse, and so undo, what would leave nobody to manage the accounts."""
    query = (
        select(func.count())
        .select_from(PERSONS.join(ROLES, ROLES.c.person == PERSONS.c.id))
        .where(
            PERSONS.c.state == ACTIVE,
            ROLES.c.role == Role.ADMINISTRATOR,
            ROLES.c.study == "",
            ROLES.c.organisation == "",
        )
    )
    if not tx.execute(query).scalar_one():
        raise StateError("persons.last_administrator", now="one", wanted="two")
