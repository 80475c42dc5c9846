"""What sites and the hub say to one another about a secure sum.

Sites' messages are signed statements; each names the plan's digest, so that one
of another round, study or roster is foreign. The hub's messages carry only what
sites signed, or ask for something that each site checks itself; they need no
signature.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeVar

from consilium.federation.secure.plan import SumPlan
from consilium.federation.secure.sharing import SHARE_BYTES
from consilium.kernel.canonical import Digest, Json, is_digest
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError
from consilium.kernel.identifiers import ParticipantId
from consilium.kernel.tables import Section, Slip
from consilium.ledger.keys import SigningKey
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement

KEY_BYTES = 32
BOX_BYTES = 2 * SHARE_BYTES + 16


class SiteMessage(Protocol):
    """What every message of a site can do."""

    KIND: ClassVar[str]

    @property
    def site(self) -> ParticipantId:
        """Who says it."""
        ...

    def facts(self) -> dict[str, Json]:
        """Give everything but plan and site, as JSON."""
        ...

    @classmethod
    def read(cls, site: ParticipantId, given: Section) -> Self:
        """Read what `facts` gave."""
        ...


M = TypeVar("M", bound=SiteMessage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Step 1: a site's fresh public keys (X25519, 32 bytes each) and its seed's commitment."""

    KIND: ClassVar[str] = "sum-announcement"
    site: ParticipantId
    masking: bytes
    sealing: bytes
    commitment: Digest

    def facts(self) -> dict[str, Json]:
        """Give everything but plan and site, as JSON."""
        return {
            "masking": _text(self.masking),
            "sealing": _text(self.sealing),
            "commitment": self.commitment,
        }

    @classmethod
    def read(cls, site: ParticipantId, given: Section) -> Announcement:
        """Read what `facts` gave."""
        return cls(
            site=site,
            masking=_take_bytes(given, "masking", KEY_BYTES),
            sealing=_take_bytes(given, "sealing", KEY_BYTES),
            commitment=_take_digest(given, "commitment"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedShares:
    """Step 2: for each other member a box with a share of each of this site's secrets."""

    KIND: ClassVar[str] = "sum-shares"
    site: ParticipantId
    boxes: Mapping[ParticipantId, bytes]

    def facts(self) -> dict[str, Json]:
        """Give everything but plan and site, as JSON."""
        return {"boxes": _texts(self.boxes)}

    @classmethod
    def read(cls, site: ParticipantId, given: Section) -> SealedShares:
        """Read what `facts` gave."""
        return cls(site=site, boxes=_take_map(given, "boxes", BOX_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedUpdate:
    """Step 3: the digest of the masked update, whose bytes travel beside the statement."""

    KIND: ClassVar[str] = "sum-masked"
    site: ParticipantId
    body: Digest

    def facts(self) -> dict[str, Json]:
        """Give everything but plan and site, as JSON."""
        return {"body": self.body}

    @classmethod
    def read(cls, site: ParticipantId, given: Section) -> MaskedUpdate:
        """Read what `facts` gave."""
        return cls(site=site, body=_take_digest(given, "body"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Step 4: said once: these announcements and members, and these survivors."""

    KIND: ClassVar[str] = "sum-confirmation"
    site: ParticipantId
    transcript: Digest
    survivors: Digest

    def facts(self) -> dict[str, Json]:
        """Give everything but plan and site, as JSON."""
        return {"transcript": self.transcript, "survivors": self.survivors}

    @classmethod
    def read(cls, site: ParticipantId, given: Section) -> Confirmation:
        """Read what `facts` gave."""
        return cls(
            site=site,
            transcript=_take_digest(given, "transcript"),
            survivors=_take_digest(given, "survivors"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """Step 5: one share for each member: of a survivor's seed, or of a lost site's key."""

    KIND: ClassVar[str] = "sum-revealed"
    site: ParticipantId
    seeds: Mapping[ParticipantId, bytes]
    keys: Mapping[ParticipantId, bytes]

    def facts(self) -> dict[str, Json]:
        """Give everything but plan and site, as JSON."""
        return {"seeds": _texts(self.seeds), "keys": _texts(self.keys)}

    @classmethod
    def read(cls, site: ParticipantId, given: Section) -> Revealed:
        """Read what `facts` gave."""
        return cls(
            site=site,
            seeds=_take_map(given, "seeds", SHARE_BYTES),
            keys=_take_map(given, "keys", SHARE_BYTES),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A signed `MaskedUpdate` and the masked update itself, little-endian ring elements."""

    statement: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcements:
    """From the hub: everybody's signed announcement."""

    statements: tuple[str, ...]

    def as_document(self) -> dict[str, Json]:
        """Give the form that travels."""
        return {"statements": list(self.statements)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Announcements:
        """Read what `as_document` gave; `secure.not_a_message`."""
        given = _section(document, "announcements")
        found = cls(statements=given.texts("statements"))
        given.end()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """From the hub: the boxes sealed for one site, by sender. The senders are the members."""

    boxes: Mapping[ParticipantId, bytes]

    def as_document(self) -> dict[str, Json]:
        """Give the form that travels."""
        return {"boxes": _texts(self.boxes)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Delivery:
        """Read what `as_document` gave; `secure.not_a_message`."""
        given = _section(document, "delivery")
        found = cls(boxes=_take_map(given, "boxes", BOX_BYTES))
        given.end()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivorCall:
    """From the hub: whose updates came and whose did not; to be confirmed.

    With `confirmations`, at least a threshold of them, it asks for the shares.
    """

    survivors: tuple[ParticipantId, ...]
    lost: tuple[ParticipantId, ...]
    confirmations: tuple[str, ...] = ()

    def as_document(self) -> dict[str, Json]:
        """Give the form that travels."""
        return {
            "survivors": list(self.survivors),
            "lost": list(self.lost),
            "confirmations": list(self.confirmations),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> SurvivorCall:
        """Read what `as_document` gave; `secure.not_a_message`."""
        given = _section(document, "survivors")
        found = cls(
            survivors=tuple(ParticipantId(site) for site in given.texts("survivors")),
            lost=tuple(ParticipantId(site) for site in given.texts("lost")),
            confirmations=given.texts("confirmations"),
        )
        given.end()
        return found


def sign_message(key: SigningKey, message: SiteMessage, *, plan: SumPlan) -> str:
    """Sign a site's message for one plan.

    Discloses
    ---------
    What the message holds, to the hub and whomever it shows it to.
    """
    facts: dict[str, Json] = {"plan": plan.digest, "site": message.site}
    return sign_statement(key, message.KIND, facts | message.facts())


def verify_message(text: str, kind: type[M], *, plan: SumPlan) -> M:
    """Read a message of one kind, signed by the member that it names, for this plan.

    Raises
    ------
    InputError
        `ledger.not_a_statement`, `secure.not_a_message`.
    IntegrityError
        `ledger.bad_signature`; `secure.foreign_message` for another plan or
        somebody who is not on the roster.

    Discloses
    ---------
    Nothing.
    """
    claimed = peek_statement(text).get("site")
    facts = verify_statement(text, kind.KIND, plan.key_of(claimed, kind=kind.KIND))
    given = _section(facts, kind.KIND)
    site = ParticipantId(given.text("site"))
    if given.text("plan") != plan.digest:
        raise IntegrityError("secure.foreign_message", kind=kind.KIND, site=site)
    found = kind.read(site, given)
    given.end()
    return found


def _section(document: Mapping[str, Any], kind: str) -> Section:
    def refuse(slip: Slip) -> ConsiliumError:
        return InputError("secure.not_a_message", kind=kind, key=slip.path[:80])

    return Section(document, refuse=refuse)


def _take_bytes(given: Section, key: str, length: int) -> bytes:
    text = given.text(key)
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise given.refuse("bytes", key) from error
    if len(data) != length or _text(data) != text:
        raise given.refuse("bytes", key)
    return data


def _take_map(given: Section, key: str, length: int) -> dict[ParticipantId, bytes]:
    below = given.section(key)
    return {ParticipantId(name): _take_bytes(below, name, length) for name in below.names()}


def _take_digest(given: Section, key: str) -> Digest:
    text = given.text(key)
    if not is_digest(text):
        raise given.refuse("digest", key)
    return Digest(text)


def _texts(found: Mapping[ParticipantId, bytes]) -> dict[str, Json]:
    return {site: _text(data) for site, data in found.items()}


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
