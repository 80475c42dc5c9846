"""What the room speaks of: terms, datasets, agreements and the two processes.

Records are frozen and inert. Each process (negotiation, transfer) is seen from
one side: `pid` is our own number for it, `peer_pid` the other side's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consilium.kernel.canonical import Digest
from consilium.kernel.identifiers import (
    AgreementId,
    DatasetId,
    OfferId,
    ParticipantId,
    ProcessId,
    StudyId,
)


class Role(StrEnum):
    """Which side of a process a participant is on."""

    CONSUMER = "consumer"
    PROVIDER = "provider"

    @property
    def other(self) -> Role:
        """The opposite side."""
        return Role.PROVIDER if self is Role.CONSUMER else Role.CONSUMER


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an offer allows: the closed vocabulary as plain values.

    `not_after` is ISO 8601 in UTC. `count` is how many studies may be admitted
    under one agreement, `max_rounds` the most rounds of all of them, `min_cohort`
    the fewest patients that a study may be computed on; each at least 1.
    """

    purposes: tuple[str, ...]
    not_after: str
    count: int
    max_rounds: int
    min_cohort: int
    recipients: tuple[ParticipantId, ...]
    algorithms: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A registered dataset: what is known about it, never its rows.

    `schema` and `quality` are the readers' records; `governance` has the keys
    of `governance.GOVERNANCE`. `fingerprint` names the source's bytes, `arrays`
    the array file in the blob store. `n_train` and `n_test` count rows.
    """

    id: DatasetId
    name: str
    title: str
    schema: dict[str, Any]
    quality: dict[str, Any]
    governance: dict[str, Any]
    public: bool
    fingerprint: Digest
    arrays: Digest
    n_train: int
    n_test: int
    terms: Terms
    offer: OfferId
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiation:
    """One contract negotiation, seen from our side.

    `policy` is the offer under negotiation (with its target), and the agreement
    once there is one. `peer_key` is the
    peer's public key at first contact; it does not change. `agreement` is empty
    until the provider has agreed; `code` and `reason` say why it was terminated.
    `sent` and `taken` number our messages and those of the peer that counted.
    """

    pid: ProcessId
    peer_pid: ProcessId
    role: Role
    peer: ParticipantId
    peer_key: str
    state: str
    dataset: DatasetId
    offer: OfferId
    policy: dict[str, Any]
    agreement: AgreementId
    callback: str
    code: str
    reason: str
    created: str
    updated: str
    sent: int = 0
    taken: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The authorisation that every study, round and release names.

    `policy` is the ODRL agreement as it was signed. The keys are the
    participants' Ed25519 public keys at that moment; a participant that shows
    another key later is not the one that agreed. `state` is the negotiation's
    state: only `FINALIZED` authorises anything.
    """

    id: AgreementId
    role: Role
    dataset: DatasetId
    provider: ParticipantId
    consumer: ParticipantId
    provider_key: str
    consumer_key: str
    policy: dict[str, Any]
    terms: Terms
    negotiation: ProcessId
    state: str
    agreed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One transfer process: one study on one dataset under one agreement.

    `signed_study` is the lead's signed statement as it was sent, `study_digest`
    the digest of its payload. `data_address` names the aggregator. `holder` is
    who has suspended it, empty if it is not suspended.
    """

    pid: ProcessId
    peer_pid: ProcessId
    role: Role
    peer: ParticipantId
    agreement: AgreementId
    study: StudyId
    study_digest: Digest
    signed_study: str
    data_address: dict[str, Any]
    state: str
    code: str
    reason: str
    created: str
    updated: str
    sent: int = 0
    taken: int = 0
    holder: str = ""
    callback: str = ""


Process = Negotiation | Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One step in a process's history: who brought it into which state, and with which offer.

    `policy` is the offer or agreement that the step carried; None if it carried
    none. `code` and `reason` say why, where the step says so.
    """

    state: str
    sender: Role
    policy: dict[str, Any] | None
    code: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """A message that still waits to reach the peer, and why.

    `error` is what the last try met, empty before the first; `due` is when it is
    tried next, `deadline` when the process is given up.
    """

    path: str
    wanted: str
    tries: int
    error: str
    due: str
    deadline: str
