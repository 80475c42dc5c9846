"""The members of the space as the hub keeps them, and the signed list it gives out.

The hub does not decide who is a member: the signer does, and each entry is
believed only because a certificate under the root says so. What the hub's
signature adds is the list's completeness and date.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from sqlalchemy import insert, update

from consilium.hub.authority import describe_certificate
from consilium.hub.store import HUB_MEMBERS, Member, Standing, find_member, list_members
from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import DeniedError, NotFoundError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.certificates import (
    Identity,
    identify_participant,
    location_in,
    read_certificate,
)
from consilium.ledger.database import Database
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.statements import sign_statement

MEMBER_LIST = "members"
"""Kind of the statement by which the hub lists the members."""


@dataclass(frozen=True, slots=True)
class _Known:
    key: PublicKey
    revoked: bool
    starts: float
    ends: float
    location: str


class Members:
    """Keeps the members; knows their present keys.

    Parameters
    ----------
    database : Database
        The hub's.
    key : SigningKey
        The hub's own; signs the list.
    hub_certificate : callable
        Gives the hub's present participant certificate, PEM.
    root : x509.Certificate
        The space's root.
    space : str
        The space's name.
    clock : Clock
        For dates and expiry.
    """

    def __init__(
        self,
        database: Database,
        *,
        key: SigningKey,
        hub_certificate: Callable[[], str],
        root: x509.Certificate,
        space: str,
        clock: Clock,
    ) -> None:
        self._database = database
        self._key = key
        self._hub_certificate = hub_certificate
        self._root = root
        self._space = space
        self._clock = clock
        self._known: dict[ParticipantId, _Known] = {}
        self._lock = threading.Lock()

    def enter(self, certificate: str) -> Identity:
        """Take a certificate that the signer issued: a new member, or a renewed one.

        The same certificate twice is the same as once.

        Raises
        ------
        IntegrityError
            `link.untrusted_certificate`: nobody is a member on the hub's word.
        """
        now = self._clock.now()
        leaf = read_certificate(certificate)
        found = identify_participant(leaf, self._root, space=self._space, now=now)
        row = {"participant": found.participant, "title": found.title, "key": found.key.text}
        row |= {"certificate": certificate, "state": Standing.ADMITTED.value}
        row |= {"renewed": write_time(now)}
        facts = describe_certificate(leaf)
        with self._database.write() as tx:
            before = find_member(tx.connection, found.name)
            if before is None:
                tx.execute(
                    insert(HUB_MEMBERS), {"name": found.name, "joined": row["renewed"], **row}
                )
                tx.record("member.joined", found.participant, facts)
            elif before.certificate != certificate:
                tx.execute(
                    update(HUB_MEMBERS).where(HUB_MEMBERS.c.name == found.name).values(**row)
                )
                kind = "renewed" if before.state is Standing.ADMITTED else "joined"
                tx.record(f"member.{kind}", found.participant, facts)
            tx.after_commit(self._forget)
        return found

    def apply_standing(self, standing: Mapping[str, Any]) -> list[str]:
        """Take over the signer's revocations; return the names that changed."""
        with self._database.read() as connection:
            present = list_members(connection)
        gone = [
            member
            for member in present
            if member.state is Standing.ADMITTED and standing.get(member.name) == Standing.REVOKED
        ]
        for member in gone:
            with self._database.write() as tx:
                tx.execute(
                    update(HUB_MEMBERS)
                    .where(HUB_MEMBERS.c.name == member.name)
                    .values(state=Standing.REVOKED.value)
                )
                tx.record("member.revoked", member.participant, {})
                tx.after_commit(self._forget)
        return [member.name for member in gone]

    def key_of(self, participant: ParticipantId) -> PublicKey:
        """Return a member's present key.

        Raises
        ------
        NotFoundError
            `hub.no_member`.
        DeniedError
            `hub.member_revoked`, `link.certificate_expired`.
        """
        known = self._known.get(participant) or self._look_up(participant)
        if known.revoked:
            raise DeniedError("hub.member_revoked", member=participant)
        if not known.starts <= self._clock.now().timestamp() <= known.ends:
            raise DeniedError("hub.member_lapsed", member=participant)
        return known.key

    def location_of(self, participant: ParticipantId) -> str:
        """Return a member's country or region by its certificate, "" if it names none.

        Raises
        ------
        NotFoundError
            `hub.no_member`.
        """
        return (self._known.get(participant) or self._look_up(participant)).location

    def find(self, name: str) -> Member | None:
        """Look a member up by its short name."""
        with self._database.read() as connection:
            return find_member(connection, name)

    def list_all(self) -> list[Member]:
        """List all members, revoked ones included."""
        with self._database.read() as connection:
            return list_members(connection)

    def signed_list(self) -> dict[str, Json]:
        """Give the list: the hub's statement, and its certificate to check that with."""
        entries: list[Json] = [
            {
                "participant": member.participant,
                "title": member.title,
                "state": member.state.value,
                "joined": member.joined,
                "certificate": member.certificate,
            }
            for member in self.list_all()
        ]
        facts: dict[str, Json] = {
            "space": self._space,
            "issued": write_time(self._clock.now()),
            "members": entries,
        }
        return {
            "list": sign_statement(self._key, MEMBER_LIST, facts),
            "hub": self._hub_certificate(),
        }

    def _forget(self) -> None:
        with self._lock:
            self._known.clear()

    def _look_up(self, participant: ParticipantId) -> _Known:
        # Under the lock from reading to keeping, so that what is kept is never
        # older than the last `_forget`.
        with self._lock:
            for member in self.list_all():
                leaf = read_certificate(member.certificate)
                self._known[ParticipantId(member.participant)] = _Known(
                    key=PublicKey.from_text(member.key),
                    revoked=member.state is Standing.REVOKED,
                    starts=leaf.not_valid_before_utc.timestamp(),
                    ends=leaf.not_valid_after_utc.timestamp(),
                    location=location_in(leaf),
                )
        try:
            return self._known[participant]
        except KeyError as error:
            raise NotFoundError("hub.no_member", member=participant) from error
