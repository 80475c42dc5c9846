"""Release by persons: what leaves is named by its digest, and two different persons let it go.

Asking is no approval; whoever asked may give one of the two if his role
allows it, and never both. Another byte is another digest and another release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, update

from consilium.kernel.canonical import Digest, Json, is_digest
from consilium.kernel.clock import Clock, read_time, write_time
from consilium.kernel.errors import DeniedError, InputError, StateError
from consilium.kernel.identifiers import new_urn
from consilium.ledger.database import Transaction
from consilium.persons.queue import check_reason
from consilium.persons.records import Person, PersonId, Release, ReleaseId, ReleaseState
from consilium.persons.roles import Action, may
from consilium.persons.store import (
    RELEASES,
    add_consent,
    get_person,
    get_release,
    list_consents,
    list_releases,
)

MODEL, EVIDENCE = "model", "evidence"
EXPORT = {MODEL: Action.EXPORT_MODEL, EVIDENCE: Action.EXPORT_EVIDENCE}
"""What a person can carry out of the home, and the action that it is."""
KINDS = tuple(EXPORT)


def request_release(
    tx: Transaction,
    *,
    kind: str,
    digest: str,
    reason: str,
    by: Person,
    lasts: timedelta,
    clock: Clock,
    needed: int = 2,
    study: str = "",
    organisation: str = "",
) -> Release:
    """Ask that one thing may leave.

    Parameters
    ----------
    kind, digest : str
        One of `KINDS`, and the fingerprint of exactly what leaves.
    reason : str
        To whom, and for what.
    lasts : timedelta
        How long the request and its release are good, from now.
    needed : int
        How many different persons must approve, 1 or 2.
    study, organisation : str
        What it is about; limits who may ask and approve.

    Raises
    ------
    DeniedError
        `persons.not_allowed`.
    InputError
        `persons.bad_release`, `persons.bad_number`, `persons.no_reason`.
    StateError
        `persons.release_open` if a request for the same thing is still good.
    """
    now = clock.now()
    if not may(by, Action.REQUEST_RELEASE, study=study, organisation=organisation):
        raise DeniedError("persons.not_allowed", action=Action.REQUEST_RELEASE)
    if kind not in KINDS or not is_digest(digest):
        raise InputError("persons.bad_release", kinds=", ".join(KINDS))
    if needed not in (1, 2):
        raise InputError("persons.bad_number", needed=needed)
    for other in list_releases(tx.connection, digest=digest):
        if other.kind == kind and _is_good(other, now):
            raise StateError("persons.release_open", now=other.state, wanted="none")
    release = Release(
        id=ReleaseId(new_urn()),
        kind=kind,
        digest=Digest(digest),
        reason=check_reason(reason),
        study=study,
        organisation=organisation,
        needed=needed,
        requested_by=by.id,
        state=ReleaseState.OPEN,
        requested=write_time(now),
        expires=write_time(now + lasts),
        changed=write_time(now),
    )
    tx.execute(insert(RELEASES).values(asdict(release)))
    facts: dict[str, Json] = {"kind": kind, "digest": digest, "reason": release.reason}
    facts |= {"needed": needed, "by": by.id, "expires": release.expires}
    tx.record("approval.requested", release.id, facts)
    return release


def approve(tx: Transaction, release: str, *, by: Person, clock: Clock) -> Release:
    """Give one person's yes; the last one that is needed releases the thing.

    A yes counts only while its giver may still approve.

    Raises
    ------
    NotFoundError
        `persons.no_release`.
    DeniedError
        `persons.not_allowed`.
    StateError
        `persons.release_settled`, `persons.release_expired`, `persons.said_already`.
    """
    found = get_release(tx.connection, release)
    if not _may_approve(by, found):
        raise DeniedError("persons.not_allowed", action=Action.APPROVE_RELEASE)
    if found.state is not ReleaseState.OPEN:
        raise StateError("persons.release_settled", now=found.state, wanted=ReleaseState.OPEN)
    if clock.now() > read_time(found.expires):
        raise StateError("persons.release_expired", now="expired", wanted=ReleaseState.OPEN)
    add_consent(tx, found.id, by.id, clock=clock)
    tx.record("approval.given", found.id, {"digest": found.digest, "by": by.id})
    voices = _voices(tx, found)
    if len(voices) < found.needed:
        return found
    facts: dict[str, Json] = {"kind": found.kind, "digest": found.digest, "by": voices}
    return _move(tx, found, ReleaseState.RELEASED, facts=facts, clock=clock)


def withdraw_release(
    tx: Transaction, release: str, *, by: Person, reason: str, clock: Clock
) -> Release:
    """End a request or a release; whoever asked may, and whoever may approve.

    Raises
    ------
    NotFoundError
        `persons.no_release`.
    DeniedError
        `persons.not_allowed`.
    StateError
        `persons.release_settled` if it is withdrawn already.
    """
    found = get_release(tx.connection, release)
    if not (_may_approve(by, found) or (by.is_active and by.id == found.requested_by)):
        raise DeniedError("persons.not_allowed", action=Action.APPROVE_RELEASE)
    if found.state is ReleaseState.WITHDRAWN:
        raise StateError("persons.release_settled", now=found.state, wanted=ReleaseState.OPEN)
    facts = {"digest": found.digest, "by": by.id, "reason": check_reason(reason)}
    return _move(tx, found, ReleaseState.WITHDRAWN, facts=facts, clock=clock)


def find_release(
    connection: Connection, *, kind: str, digest: str, now: datetime, needed: int = 2
) -> Release | None:
    """Look for a release of a thing that is good now, by at least so many persons."""
    for found in list_releases(connection, digest=digest):
        is_enough = found.state is ReleaseState.RELEASED and found.needed >= needed
        if found.kind == kind and is_enough and _is_good(found, now):
            return found
    return None


def check_released(
    connection: Connection, *, kind: str, digest: str, now: datetime, needed: int = 2
) -> Release | None:
    """Return the release under which a thing may leave; None where nobody is needed.

    Raises
    ------
    DeniedError
        `persons.not_released`.
    """
    if needed == 0:
        return None
    found = find_release(connection, kind=kind, digest=digest, now=now, needed=needed)
    if found is None:
        raise DeniedError("persons.not_released", kind=kind, digest=digest, needed=needed)
    return found


def admit_export(
    tx: Transaction,
    *,
    kind: str,
    digest: str,
    by: Person,
    needed: int,
    clock: Clock,
    study: str = "",
) -> Release | None:
    """Let a person carry a released thing out of the home, with the evidence that he does.

    Call it before the bytes are handed over: without the entry nothing leaves.

    Parameters
    ----------
    kind, digest : str
        One of `KINDS`, and the fingerprint of exactly what leaves.
    needed : int
        How many persons the settings ask for; 0 asks for none.
    study : str
        What it is about, for a role that is limited to one study.

    Raises
    ------
    DeniedError
        `persons.not_allowed`, `persons.not_released`.
    InputError
        `persons.bad_release`.
    """
    if kind not in KINDS or not is_digest(digest):
        raise InputError("persons.bad_release", kinds=", ".join(KINDS))
    if not may(by, EXPORT[kind], study=study):
        raise DeniedError("persons.not_allowed", action=EXPORT[kind])
    found = check_released(tx.connection, kind=kind, digest=digest, now=clock.now(), needed=needed)
    facts = {"by": by.id, "release": found.id if found else "", "study": study}
    tx.record(f"{kind}.exported", digest, facts)
    return found


def _is_good(release: Release, now: datetime) -> bool:
    return release.state is not ReleaseState.WITHDRAWN and now <= read_time(release.expires)


def _may_approve(person: Person, release: Release) -> bool:
    return may(
        person,
        Action.APPROVE_RELEASE,
        study=release.study,
        organisation=release.organisation,
    )


def _voices(tx: Transaction, release: Release) -> list[PersonId]:
    persons = [get_person(tx.connection, who) for who in list_consents(tx.connection, release.id)]
    return [person.id for person in persons if _may_approve(person, release)]


def _move(
    tx: Transaction,
    release: Release,
    state: ReleaseState,
    *,
    facts: Mapping[str, Json],
    clock: Clock,
) -> Release:
    changes = {"state": state, "changed": write_time(clock.now())}
    tx.execute(update(RELEASES).where(RELEASES.c.id == release.id).values(changes))
    tx.record(f"approval.{state}", release.id, facts)
    return get_release(tx.connection, release.id)
