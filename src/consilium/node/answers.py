"""Shapes of what the node's plain routes answer: every field, so that the description is whole."""

from __future__ import annotations

from typing import Any

from consilium.persons.records import ReleaseState, Role
from consilium.web.paging import Shape

Table = dict[str, Any]
"""A record whose fields another page describes."""


class GrantShown(Shape):
    """A role, and what it is limited to; empty is no limit."""

    role: Role
    study: str
    organisation: str


class PersonShown(Shape):
    """An account."""

    id: str
    name: str
    is_active: bool
    grants: list[GrantShown]
    created: str


class PersonRow(PersonShown):
    """An account, and whether it has a second factor."""

    second_factor: bool


class ItemShown(Shape):
    """What waits for a person."""

    id: str
    kind: str
    subject: str
    reason: str
    due: str
    role: Role
    study: str
    organisation: str
    needed: int
    delegate: str
    delegated_by: str
    ruling: str
    settled_by: str
    settled_reason: str
    asked: str
    settled: str
    consented: list[str]
    overdue: bool


class ItemDetail(ItemShown):
    """What waits, and what it is about."""

    about: Table


class ReleaseShown(Shape):
    """A request that something may leave, and who has said yes."""

    id: str
    kind: str
    digest: str
    reason: str
    study: str
    organisation: str
    needed: int
    requested_by: str
    state: ReleaseState
    requested: str
    expires: str
    changed: str
    approved: list[str]


class FilesShown(Shape):
    """Names of the files that were written."""

    files: list[str]


class MemberShown(Shape):
    """A member of the space."""

    participant: str
    name: str
    title: str
    fingerprint: str
    state: str
    joined: str
    location: str


class SessionPerson(Shape):
    """Who is signed in."""

    id: str
    name: str
    grants: list[GrantShown]


class SessionNode(Shape):
    """Where somebody is signed in."""

    title: str
    participant: str
    space: str
    version: str


class SessionShown(Shape):
    """Who is signed in, what he may do, and the page's token."""

    person: SessionPerson
    actions: list[str]
    csrf: str
    second_factor: bool
    ends: str
    node: SessionNode


class SessionRow(Shape):
    """One browser that somebody is signed in with."""

    id: str
    person: str
    agent: str
    began: str
    used: str
    ends: str
    name: str
    current: bool


class NewFactor(Shape):
    """A second factor to set up: as text, as address, as picture."""

    secret: str
    uri: str
    qr_svg: str


class FactorState(Shape):
    """Whether there is a second factor now."""

    second_factor: bool


class Changed(Shape):
    """That a password is changed."""

    changed: bool


class EngineShown(Shape):
    """The engine's child process."""

    running: bool
    restarts: int
    pid: int | None


class StatusShown(Shape):
    """How the node is."""

    ready: bool
    participant: str
    title: str
    space: str
    hub: str
    online: bool
    engine: EngineShown
    evidence: int


class TaskShown(Shape):
    """A piece of background work; look at `GET /tasks/{id}` until it has ended."""

    id: str
    kind: str
    state: str
    progress: Table | None
    result: Table | None
    error: Table | None


class StudyBegun(Shape):
    """The number of a study that begins."""

    study: str


class StudyStopped(StudyBegun):
    """A study that was told to stop."""

    state: str


class CheckpointShown(Shape):
    """The newest signed end of the log."""

    checkpoint: str | None


class ExportShown(Shape):
    """An export that lies in the node's folder."""

    digest: str
    entries: int
    size: int
    witnesses: list[str]


class EntryProofShown(Shape):
    """An entry with its proof (RFC 9162) under a checkpoint; hashes in hexadecimal."""

    seq: int
    entry: str
    hash: str
    leaf: str
    index: int
    size: int
    root: str
    proof: list[str]
    checkpoint: str
    witnesses: dict[str, str]


class RevocationShown(Shape):
    """Who ended an agreement, when and why."""

    by: str
    time: str
    reason: str
    person: str
    counterpart_told: bool


class AgreementShown(Shape):
    """An agreement, with its terms in words and as ODRL."""

    id: str
    role: str
    dataset: str
    provider: str
    provider_key: str
    consumer: str
    consumer_key: str
    policy: Table
    terms: Table
    negotiation: str
    state: str
    agreed: str
    words: list[dict[str, str]]
    contract_id: str | None
    contract_placeholder: bool | None
    revocation: RevocationShown | None


class BudgetsShown(Shape):
    """What agreements and datasets may still spend."""

    agreements: list[Table]
    datasets: list[Table]


class ProcessShown(Shape):
    """What a negotiation and a transfer have in common."""

    pid: str
    peer_pid: str
    role: str
    peer: str
    state: str
    code: str
    reason: str
    created: str
    updated: str
    waits_for: str
    stuck: Table | None


class NegotiationShown(ProcessShown):
    """A negotiation."""

    dataset: str
    offer: str
    agreement: str | None


class TransferShown(ProcessShown):
    """A transfer."""

    agreement: str
    study: str
    study_digest: str
    holder: str
    data_address: Table | None


class NegotiationDetail(NegotiationShown):
    """A negotiation with its policy, its history and what is not delivered yet."""

    policy: Table
    history: list[Table]
    undelivered: list[Table]


class TransferDetail(TransferShown):
    """A transfer with its history and what is not delivered yet."""

    history: list[Table]
    undelivered: list[Table]
