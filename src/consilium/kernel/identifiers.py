"""Identifiers: what each thing is called across processes and hospitals."""

from __future__ import annotations

import re
import uuid
from typing import NewType

from consilium.kernel.errors import InputError

ParticipantId = NewType("ParticipantId", str)
"""`did:web:<space>:<member>`, as listed by the space's signer."""
DatasetId = NewType("DatasetId", str)
OfferId = NewType("OfferId", str)
AgreementId = NewType("AgreementId", str)
ProcessId = NewType("ProcessId", str)
"""A negotiation's or transfer's own identifier (the protocol's `pid`)."""
StudyId = NewType("StudyId", str)
LeaseId = NewType("LeaseId", str)
QuestionId = NewType("QuestionId", str)
"""One signed question of federated statistics."""

_SHOWN = 80
"""Letters of a name that is refused."""

_NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")
_PLACE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_SPACE = re.compile(r"[a-z0-9][a-z0-9.-]{1,60}")


def new_urn() -> str:
    """Make a fresh random `urn:uuid:` identifier."""
    return uuid.uuid4().urn


def check_name(name: str) -> str:
    """Return `name` if it can be a member's, study's or dataset's short name.

    Raises
    ------
    InputError
        `kernel.bad_name`.
    """
    if not _NAME.fullmatch(name):
        raise InputError("kernel.bad_name", name=name[:_SHOWN])
    return name


def is_location(text: str) -> bool:
    """Tell whether `text` is a country or a region of one, as ISO 3166 writes it: `CN`, `CN-BJ`."""
    return _PLACE.fullmatch(text) is not None


def participant_id(space: str, member: str) -> ParticipantId:
    """Name a member of a space: `did:web:<space>:<member>`."""
    if not _SPACE.fullmatch(space):
        raise InputError("kernel.bad_name", name=space[:_SHOWN])
    return ParticipantId(f"did:web:{space}:{check_name(member)}")


def member_name(participant: ParticipantId) -> str:
    """Return the short name at the end of a participant's identifier."""
    return check_name(participant.rpartition(":")[2])
