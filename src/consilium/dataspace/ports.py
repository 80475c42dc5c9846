"""What the room asks of others: a way to reach peers, their keys, and decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from consilium.dataspace.records import Dataset, Process
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One protocol request. `path` is relative to the receiver's protocol root.

    `token` is the sender's signature over method, path and body; it travels as
    `Authorization: Bearer <token>` and is empty only for the version endpoint.
    """

    method: str
    path: str
    token: str
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireReply:
    """One answer. `token` is the answerer's signature; it travels as `Consilium-Answer`."""

    status: int
    body: bytes
    token: str = ""


class Transport(Protocol):
    """Brings a request to a participant and its answer back, changing neither."""

    def send(self, participant: ParticipantId, request: WireRequest) -> WireReply:
        """Deliver once.

        Raises
        ------
        PeerError
            `dataspace.unreachable` if there was no answer.
        """
        ...


class Directory(Protocol):
    """Knows the space's members by the signed member list."""

    def key_of(self, participant: ParticipantId) -> PublicKey:
        """Return the participant's present public key.

        Raises
        ------
        NotFoundError
            `dataspace.unknown_participant`.
        """
        ...

    def location_of(self, participant: ParticipantId) -> str:
        """Return the participant's country or region (ISO 3166), "" if unknown."""
        ...


class Action(StrEnum):
    """What to do with a process that waits for our side's next step."""

    PROCEED = "proceed"
    REFUSE = "refuse"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A process in a state where our side may take the next step.

    `dataset` is ours (as provider), else None.
    """

    process: Process
    dataset: Dataset | None
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer to a question; a refusal says by which code, and why."""

    action: Action
    code: str = ""
    reason: str = ""


class Decide(Protocol):
    """Decides whether our side takes its next step: policy, script, or a person's queue."""

    def __call__(self, question: Question) -> Verdict:
        """Answer at once and without side effects; `WAIT` leaves it to a person."""
        ...
