"""Revocation: either side ends an agreement after it was finalised, for good.

The protocol has no message for it, so it is a signed statement between the two
parties. The revoker marks its own copy, ends every live transfer under it and
leaves the statement in the outbox, all in one transaction: from that commit on
the gate refuses, whatever the counterpart hears and when. The counterpart
marks its copy when the statement arrives and keeps it as proof of who ended the
agreement, when and why.

A revocation only takes rights away. So it is believed under the key that the
sender shows now, also when the agreement pinned an older one: a hospital that
had to change its key must still be able to stop what it agreed to before.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, insert, select

from consilium.dataspace.connector import Connector
from consilium.dataspace.machines import FINALIZED, TERMINATED
from consilium.dataspace.records import Agreement, Role
from consilium.dataspace.revoked import REVOKED, Revocation, find_revocation
from consilium.dataspace.steps import post_notice, step
from consilium.dataspace.store import find_agreement, list_live_transfers
from consilium.dataspace.tables import OUTBOX, REVOCATIONS
from consilium.dataspace.transfer import end_transfer
from consilium.dataspace.wire.tokens import Caller
from consilium.kernel.canonical import Json
from consilium.kernel.clock import read_time, write_time
from consilium.kernel.errors import InputError, NotFoundError, StateError
from consilium.kernel.identifiers import AgreementId, ParticipantId
from consilium.ledger.database import Transaction
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement

KIND = "revocation"
"""Kind of the statement by which a party ends an agreement."""
CODE = "consilium:revoked"
"""Code of the termination of every transfer that a revocation ends."""
BASE = "/consilium/1"
PATH = "/revocations"
LONGEST_REASON = 300

__all__ = [
    "BASE",
    "CODE",
    "KIND",
    "PATH",
    "REVOKED",
    "Revocation",
    "answer_revocation",
    "find_revocation",
    "is_told",
    "on_revocation",
    "revoke",
]

_FIELDS = ("agreement", "by", "reason", "time")


def revoke(
    connector: Connector, agreement: AgreementId, *, reason: str, person: str = ""
) -> Revocation:
    """End an agreement from our side; asked again, it gives the revocation that there is.

    Plan: (1) the agreement is ours and was finalised; (2) sign the statement;
    (3) mark every role that we have in it, end its transfers, with evidence;
    (4) leave the statement for the counterpart. One transaction.

    Parameters
    ----------
    reason : str
        For the counterpart and for the evidence; 1 to 300 characters. No
        patient's data.
    person : str, optional
        Who asked for it. Stays in this participant's evidence.

    Raises
    ------
    NotFoundError
        `dataspace.no_agreement`, also if it is somebody else's.
    StateError
        `dataspace.not_finalized`.
    InputError
        `dataspace.bad_reason`.

    Discloses
    ---------
    Agreement, reason and time, to the counterpart.
    """
    told = _check_reason(reason)
    with connector.database.write() as tx:
        # 1. Ours, and finalised.
        found = _find_ours(tx.connection, agreement)
        known = find_revocation(tx.connection, agreement, role=found[0].role)
        if known is not None:
            return known
        _check_finalised(found)
        # 2. Statement.
        now = write_time(connector.clock.now())
        facts = {"agreement": agreement, "by": connector.me, "reason": told, "time": now}
        statement = sign_statement(connector.key, KIND, {**facts})
        for agreed in found:
            mark = Revocation(
                agreement=agreement,
                role=agreed.role,
                by=connector.me,
                person=person,
                reason=told,
                time=now,
                statement=statement,
                learned=now,
            )
            # 3. Mark, end.
            _mark(tx, mark, connector=connector)
            for transfer in list_live_transfers(
                tx.connection, role=mark.role, agreement=mark.agreement
            ):
                end_transfer(tx, transfer, connector, code=CODE, reason=mark.reason)
            # 4. Tell the counterpart, unless that is us.
            if _counterpart(agreed) != connector.me:
                _tell(tx, agreed, mark, connector)
        return _get_revocation(tx.connection, found[0])


def on_revocation(connector: Connector, document: dict[str, Any], *, by: Caller) -> Revocation:
    """Take the counterpart's statement that it has ended an agreement.

    The same statement again changes nothing, and neither does one that comes
    after our own revocation.

    Raises
    ------
    NotFoundError
        `dataspace.no_agreement`, also if the sender has no part in it.
    InputError
        `dataspace.bad_message`, `ledger.not_a_statement`.
    IntegrityError
        `ledger.bad_signature`.

    Discloses
    ---------
    That the agreement is revoked here too, to its counterpart.
    """
    claims = _read_statement(document, by)
    with connector.database.write() as tx:
        agreed = _find_shared(tx.connection, AgreementId(claims["agreement"]), by.participant)
        known = find_revocation(tx.connection, agreed.id, role=agreed.role)
        if known is not None:
            return known
        mark = Revocation(
            agreement=agreed.id,
            role=agreed.role,
            by=by.participant,
            person="",
            reason=claims["reason"],
            time=claims["time"],
            statement=str(document["statement"]),
            learned=write_time(connector.clock.now()),
        )
        _mark(tx, mark, connector=connector)
        live = list_live_transfers(tx.connection, role=mark.role, agreement=mark.agreement)
        for transfer in live:
            step(
                tx, transfer, TERMINATED, connector=connector, by=by, code=CODE, reason=mark.reason
            )
    return mark


def answer_revocation(mark: Revocation) -> dict[str, Any]:
    """Write what the counterpart is answered: that the agreement is revoked here, and by whom.

    Discloses
    ---------
    Agreement, revoker and time, to a party of the agreement.
    """
    return {"agreement": mark.agreement, "state": REVOKED, "by": mark.by, "time": mark.time}


def is_told(connection: Connection, mark: Revocation) -> bool:
    """Say whether the counterpart has answered our statement, or has sent us its own.

    Discloses
    ---------
    Nothing.
    """
    waiting = select(OUTBOX.c.id).where(OUTBOX.c.process == _queue_of(mark))
    return connection.execute(waiting).first() is None


def _queue_of(mark: Revocation) -> str:
    """Name the outbox's queue of a revocation: one for each agreement and role."""
    return f"{KIND}:{mark.role.value}:{mark.agreement}"


def _check_reason(reason: str) -> str:
    told = " ".join(reason.split())
    if not 0 < len(told) <= LONGEST_REASON or not told.isprintable():
        raise InputError("dataspace.bad_reason", limit=LONGEST_REASON)
    return told


def _find_ours(connection: Connection, agreement: AgreementId) -> list[Agreement]:
    """Find an agreement in each role that we have in it: both, if we agreed with ourselves."""
    both = [find_agreement(connection, agreement, role=role) for role in Role]
    found = [one for one in both if one is not None]
    if not found:
        raise NotFoundError("dataspace.no_agreement", agreement=agreement)
    return found


def _check_finalised(found: list[Agreement]) -> None:
    for agreed in found:
        if agreed.state != FINALIZED:
            raise StateError(
                "dataspace.not_finalized", agreement=agreed.id, now=agreed.state, wanted=FINALIZED
            )


def _get_revocation(connection: Connection, agreed: Agreement) -> Revocation:
    found = find_revocation(connection, agreed.id, role=agreed.role)
    if found is None:
        raise NotFoundError("dataspace.no_agreement", agreement=agreed.id)
    return found


def _find_shared(connection: Connection, agreement: AgreementId, other: ParticipantId) -> Agreement:
    for role in Role:
        found = find_agreement(connection, agreement, role=role)
        if found is not None and _counterpart(found) == other:
            return found
    raise NotFoundError("dataspace.no_agreement", agreement=agreement)


def _counterpart(agreed: Agreement) -> ParticipantId:
    return agreed.provider if agreed.role is Role.CONSUMER else agreed.consumer


def _read_statement(document: dict[str, Any], by: Caller) -> dict[str, str]:
    """Read a statement that the caller itself signed about itself, and nothing else."""
    statement = document.get("statement")
    if not isinstance(statement, str) or document.keys() != {"statement"}:
        raise _bad("statement")
    claims = peek_statement(statement)
    if claims.keys() != set(_FIELDS) or not all(isinstance(one, str) for one in claims.values()):
        raise _bad("statement")
    claims = verify_statement(statement, KIND, by.key)
    if claims["by"] != by.participant:
        raise _bad("by")
    if _check_reason(claims["reason"]) != claims["reason"]:
        raise _bad("reason")
    try:
        read_time(claims["time"])
    except ValueError as error:
        raise _bad("time") from error
    return claims


def _bad(place: str) -> InputError:
    return InputError("dataspace.bad_message", message="revocation", place=place)


def _mark(tx: Transaction, mark: Revocation, *, connector: Connector) -> None:
    tx.execute(insert(REVOCATIONS).values({**asdict(mark), "role": mark.role.value}))
    facts: dict[str, Json] = {
        "role": mark.role.value,
        "by": mark.by,
        "reason": mark.reason,
        "time": mark.time,
        "statement": mark.statement,
    }
    if mark.person:
        facts["person"] = mark.person
    tx.record("agreement.revoked", mark.agreement, facts)
    tx.after_commit(connector.bell.ring)


def _tell(tx: Transaction, agreed: Agreement, mark: Revocation, connector: Connector) -> None:
    post_notice(
        tx,
        _queue_of(mark),
        {"statement": mark.statement},
        to=_counterpart(agreed),
        path=BASE + PATH,
        connector=connector,
    )
