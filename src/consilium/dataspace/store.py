"""The queries on the room's tables.

Records go in and come out whole. Whoever changes one does so inside a
transaction and with evidence; that is the business of the verbs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, Table, insert, select, update

from consilium.dataspace.machines import TERMINAL
from consilium.dataspace.records import (
    Agreement,
    Dataset,
    Moved,
    Negotiation,
    PrivacyBudget,
    Process,
    Role,
    Terms,
    Transfer,
    Undelivered,
)
from consilium.dataspace.tables import (
    AGREEMENTS,
    DATASETS,
    HISTORY,
    NEGOTIATIONS,
    OUTBOX,
    TRANSFERS,
)
from consilium.kernel.canonical import canonical_bytes, read_json
from consilium.kernel.errors import NotFoundError
from consilium.kernel.identifiers import AgreementId, ParticipantId, ProcessId, StudyId
from consilium.ledger.database import Transaction

_TABLES: Mapping[type[Any], Table] = {
    Dataset: DATASETS,
    Negotiation: NEGOTIATIONS,
    Agreement: AGREEMENTS,
    Transfer: TRANSFERS,
}
_AS_JSON = frozenset(
    {"schema", "quality", "governance", "terms", "policy", "data_address", "budget"}
)

R = TypeVar("R", bound=Dataset | Negotiation | Agreement | Transfer)
P = TypeVar("P", bound=Negotiation | Transfer)


def add(tx: Transaction, record: Dataset | Negotiation | Agreement | Transfer) -> None:
    """Write a new record."""
    tx.execute(insert(_TABLES[type(record)]).values(_write(record)))


def save(tx: Transaction, process: Process) -> None:
    """Write a process as it stands now."""
    table = _TABLES[type(process)]
    tx.execute(update(table).where(table.c.pid == process.pid).values(_write(process)))


def find_dataset(connection: Connection, name: str) -> Dataset | None:
    """Look for one of our datasets, by identifier or short name."""
    query = select(DATASETS).where((DATASETS.c.id == name) | (DATASETS.c.name == name))
    return _find(connection, Dataset, query)


def list_datasets(connection: Connection, *, limit: int = 1000) -> list[Dataset]:
    """List our datasets by name."""
    query = select(DATASETS).order_by(DATASETS.c.name).limit(limit)
    return [_read(Dataset, row) for row in connection.execute(query)]


def read_datasets(connection: Connection, query: Select[Any]) -> list[Dataset]:
    """Read the datasets that a query on their table selects."""
    return [_read(Dataset, row) for row in connection.execute(query)]


def find_process(connection: Connection, kind: type[P], pid: str) -> P | None:
    """Look for a negotiation or transfer by our own number for it."""
    table = _TABLES[kind]
    return _find(connection, kind, select(table).where(table.c.pid == pid))


def find_process_of(
    connection: Connection, kind: type[P], *, role: Role, peer: ParticipantId, peer_pid: str
) -> P | None:
    """Look for a process by the peer's number for it."""
    table = _TABLES[kind]
    theirs = (table.c.peer == peer) & (table.c.peer_pid == peer_pid)
    return _find(connection, kind, select(table).where(theirs, table.c.role == role.value))


def list_processes(
    connection: Connection, kind: type[P], *, role: Role | None = None, limit: int = 1000
) -> list[P]:
    """List negotiations or transfers, the newest first."""
    table = _TABLES[kind]
    query = select(table).order_by(table.c.created.desc(), table.c.pid).limit(limit)
    if role is not None:
        query = query.where(table.c.role == role.value)
    return [_read(kind, row) for row in connection.execute(query)]


def add_moved(tx: Transaction, pid: ProcessId, moved: Moved) -> None:
    """Write one step into a process's history."""
    policy = "" if moved.policy is None else canonical_bytes(moved.policy).decode("utf-8")
    row = asdict(moved) | {"process": pid, "policy": policy, "sender": moved.sender.value}
    tx.execute(insert(HISTORY).values(row))


def list_history(connection: Connection, pid: ProcessId) -> list[Moved]:
    """List the steps of a process, oldest first."""
    query = select(HISTORY).where(HISTORY.c.process == pid).order_by(HISTORY.c.id)
    return [_read_moved(row) for row in connection.execute(query)]


def list_undelivered(connection: Connection, pid: ProcessId) -> list[Undelivered]:
    """List the messages of a process that have not reached the peer, in order."""
    query = select(OUTBOX).where(OUTBOX.c.process == pid).order_by(OUTBOX.c.id)
    names = [entry.name for entry in fields(Undelivered)]
    rows = connection.execute(query)
    return [Undelivered(**{name: getattr(row, name) for name in names}) for row in rows]


def find_agreement(
    connection: Connection, agreement: AgreementId | str, *, role: Role = Role.PROVIDER
) -> Agreement | None:
    """Look for an agreement that we made in this role."""
    query = _agreements().where(AGREEMENTS.c.id == agreement, AGREEMENTS.c.role == role.value)
    return _find(connection, Agreement, query)


def get_agreement(
    connection: Connection, agreement: AgreementId | str, *, role: Role = Role.PROVIDER
) -> Agreement:
    """Return an agreement that we made in this role.

    Raises
    ------
    NotFoundError
        `dataspace.no_agreement`.
    """
    found = find_agreement(connection, agreement, role=role)
    if found is None:
        raise NotFoundError("dataspace.no_agreement", agreement=agreement)
    return found


def list_agreements(
    connection: Connection, *, role: Role | None = None, limit: int = 1000
) -> list[Agreement]:
    """List agreements, the newest first."""
    query = _agreements().order_by(AGREEMENTS.c.agreed.desc(), AGREEMENTS.c.id).limit(limit)
    if role is not None:
        query = query.where(AGREEMENTS.c.role == role.value)
    return [_read(Agreement, row) for row in connection.execute(query)]


def find_transfer(
    connection: Connection,
    *,
    agreement: AgreementId,
    study: StudyId,
    role: Role = Role.PROVIDER,
) -> Transfer | None:
    """Look for the transfer that a study opened under an agreement, on our side of it."""
    query = select(TRANSFERS).where(
        TRANSFERS.c.agreement == agreement,
        TRANSFERS.c.study == study,
        TRANSFERS.c.role == role.value,
    )
    return _find(connection, Transfer, query)


def list_live_transfers(
    connection: Connection,
    *,
    role: Role,
    agreement: AgreementId | None = None,
    peer: ParticipantId | None = None,
) -> list[Transfer]:
    """List our transfers of one role that have not ended, the oldest first."""
    ended = TRANSFERS.c.state.in_(sorted(TERMINAL))
    query = select(TRANSFERS).where(TRANSFERS.c.role == role.value, ~ended)
    if agreement is not None:
        query = query.where(TRANSFERS.c.agreement == agreement)
    if peer is not None:
        query = query.where(TRANSFERS.c.peer == peer)
    query = query.order_by(TRANSFERS.c.created, TRANSFERS.c.pid)
    return [_read(Transfer, row) for row in connection.execute(query)]


def get_process(connection: Connection, kind: type[P], pid: ProcessId | str) -> P:
    """Return a negotiation or transfer by our own number for it.

    Raises
    ------
    NotFoundError
        `dataspace.no_process`.
    """
    found = find_process(connection, kind, pid)
    if found is None:
        raise NotFoundError("dataspace.no_process", pid=pid)
    return found


def _agreements() -> Select[Any]:
    """Agreements with the state of the negotiation that made them."""
    joined = NEGOTIATIONS.c.pid == AGREEMENTS.c.negotiation
    return select(AGREEMENTS, NEGOTIATIONS.c.state).join(NEGOTIATIONS, joined)


def _find(connection: Connection, kind: type[R], query: Select[Any]) -> R | None:
    row = connection.execute(query).first()
    return None if row is None else _read(kind, row)


def _write(record: Dataset | Negotiation | Agreement | Transfer) -> dict[str, Any]:
    columns = _TABLES[type(record)].c
    values = {name: value for name, value in asdict(record).items() if name in columns}
    for name in _AS_JSON & values.keys():
        values[name] = canonical_bytes(values[name]).decode("utf-8")
    return values


def _read(kind: type[R], row: Row[Any]) -> R:
    values = {entry.name: getattr(row, entry.name) for entry in fields(kind)}
    for name in _AS_JSON & values.keys():
        values[name] = read_json(values[name])
    if "role" in values:
        values["role"] = Role(values["role"])
    if "terms" in values:
        values["terms"] = _read_terms(values["terms"])
    if "budget" in values:
        values["budget"] = PrivacyBudget(**values["budget"])
    return kind(**values)


def _read_moved(row: Row[Any]) -> Moved:
    values = {entry.name: getattr(row, entry.name) for entry in fields(Moved)}
    values["policy"] = read_json(row.policy) if row.policy else None
    return Moved(**(values | {"sender": Role(row.sender)}))


def _read_terms(record: dict[str, Any]) -> Terms:
    lists = {name: tuple(value) for name, value in record.items() if isinstance(value, list)}
    return Terms(**(record | lists))
