"""What the room speaks of: persons and their roles, what waits for them, what they release.

Records are frozen and inert. A person's name stands in the account and once in
the evidence, where the account is made; everything else names the number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from consilium.kernel.canonical import Digest

PersonId = NewType("PersonId", str)
ItemId = NewType("ItemId", str)
ReleaseId = NewType("ReleaseId", str)


class Role(StrEnum):
    """What a person is to this hospital, or to the consortium's office."""

    ADMINISTRATOR = "administrator"
    STEWARD = "steward"
    RESEARCH_LEAD = "research-lead"
    DOCTOR = "doctor"
    ETHICS_OFFICER = "ethics-officer"
    AUDITOR = "auditor"
    OFFICE = "office"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role that somebody has: everywhere, or for one study or asking organisation only.

    An empty `study` or `organisation` means every one.
    """

    role: Role
    study: str = ""
    organisation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with an account. The password's hash is not part of the record."""

    id: PersonId
    name: str
    is_active: bool
    grants: tuple[Grant, ...]
    created: str


class Ruling(StrEnum):
    """How an item of the queue was settled; `LAPSE` if there was nothing left to decide."""

    PROCEED = "proceed"
    REFUSE = "refuse"
    LAPSE = "lapse"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """Something that waits for a person.

    `subject` is the identifier of what waits, `reason` why it does. `role`, in
    the scope of `study` and `organisation`, may settle it, and so may
    `delegate` in the place of `delegated_by`. It proceeds when `needed`
    different persons have said so; one refusal ends it. While it is open
    `ruling`, `settled_by`, `settled_reason` and `settled` are empty.
    """

    id: ItemId
    kind: str
    subject: str
    reason: str
    due: str
    role: Role
    study: str
    organisation: str
    needed: int
    delegate: PersonId
    delegated_by: PersonId
    ruling: str
    settled_by: PersonId
    settled_reason: str
    asked: str
    settled: str

    @property
    def is_open(self) -> bool:
        """Nobody has settled it yet."""
        return not self.ruling


class ReleaseState(StrEnum):
    """Where a request for release stands; whether it has expired is a matter of the clock."""

    OPEN = "open"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The request to let one thing leave, named by its digest, and how far it has come."""

    id: ReleaseId
    kind: str
    digest: Digest
    reason: str
    study: str
    organisation: str
    needed: int
    requested_by: PersonId
    state: ReleaseState
    requested: str
    expires: str
    changed: str
