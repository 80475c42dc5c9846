"""Who is in the space, and by which key: the member list, believed by the root alone.

Each entry of the hub's list is believed because a certificate under the root
says so; the hub's signature only dates the list. A participant's key is pinned
when it is first used, as an entry of this node's evidence log. A changed key
stops everything with that participant until a person has asked the hospital
and accepted it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography import x509

from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, read_time
from consilium.kernel.errors import (
    DeniedError,
    InputError,
    IntegrityError,
    NotFoundError,
    PeerError,
    StateError,
)
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.certificates import Identity, identify_participant, read_certificate
from consilium.ledger.database import Database
from consilium.ledger.jointokens import HUB
from consilium.ledger.keys import PublicKey
from consilium.ledger.statements import verify_statement
from consilium.node.membership import Membership

MEMBER_LIST = "members"
"""Kind of the hub's statement that lists the members."""
PINNED = "participant.pinned"
"""Kind of the evidence that pins a key; the last one of a participant counts."""

_MOST_PINS = 10_000
_BACK = timedelta(seconds=60)
_LOG = logging.getLogger("consilium.directory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member as the present list has it."""

    identity: Identity
    admitted: bool
    joined: str


class HubDirectory:
    """Keys of the space's members; a `dataspace.ports.Directory`.

    Parameters
    ----------
    membership : Membership
        Who this node is.
    me : PublicKey
        This node's own key.
    fetch : callable
        Gets the hub's answer to `GET /members`.
    root : x509.Certificate
        The space's root.
    database : Database
        Keeps the pins.
    clock : Clock
        For the certificates' validity.
    stale_s : float
        After so many seconds the list is fetched anew before it is used.
    """

    def __init__(
        self,
        membership: Membership,
        *,
        me: PublicKey,
        fetch: Callable[[], Mapping[str, Any]],
        root: x509.Certificate,
        database: Database,
        clock: Clock,
        stale_s: float = 30.0,
    ) -> None:
        self._membership = membership
        self._me = me
        self._fetch = fetch
        self._root = root
        self._database = database
        self._clock = clock
        self._stale_s = stale_s
        self._lock = threading.RLock()
        self._entries: dict[ParticipantId, Entry] = {}
        self._issued = ""
        self._fetched = float("-inf")
        self._pins: dict[ParticipantId, str] = {}
        self._unwritten: dict[ParticipantId, str] = {}

    def key_of(self, participant: ParticipantId) -> PublicKey:
        """Return a participant's present key.

        Raises
        ------
        NotFoundError
            `dataspace.unknown_participant`.
        DeniedError
            `link.participant_revoked`, `link.certificate_expired`.
        IntegrityError
            `link.key_changed`, `link.untrusted_certificate`, `link.list_older`.
        PeerError
            The hub is away and there is no list yet.
        """
        if participant == self._membership.participant:
            return self._me
        with self._lock:
            entry = self._find(participant)
            key = entry.identity.key
            pinned = self._find_pin(participant)
            if pinned is None:
                self._pin(participant, key)
            elif pinned != key.text:
                raise IntegrityError(
                    "link.key_changed", participant=participant, fingerprint=key.fingerprint
                )
            return key

    def location_of(self, participant: ParticipantId) -> str:
        """Return the country or region in a participant's certificate, "" if none is known.

        The list as it stands serves: a place is part of a certificate, and a
        newer one comes with the next message of that participant.
        """
        with self._lock:
            if participant not in self._entries:
                self._try_refresh()
            entry = self._entries.get(participant)
        return entry.identity.location if entry is not None and entry.admitted else ""

    def list_entries(self) -> list[Entry]:
        """List the members, revoked ones included, from a fresh list.

        Raises
        ------
        PeerError, IntegrityError
            As `key_of`.
        """
        with self._lock:
            self._refresh()
            hub = self._membership.hub_participant
            return [entry for name, entry in self._entries.items() if name != hub]

    def accept_key(self, participant: ParticipantId, fingerprint: str) -> None:
        """Accept a changed key, on the word of a person who has asked the hospital.

        Raises
        ------
        StateError
            `link.key_not_shown` if the present key has another fingerprint.
        """
        with self._lock:
            self._refresh()
            entry = self._entries.get(participant)
            if entry is None or entry.identity.key.fingerprint != fingerprint:
                raise StateError(
                    "link.key_not_shown",
                    participant=participant,
                    fingerprint=fingerprint[:80],
                    now="another key",
                    wanted="this key",
                )
            facts: dict[str, Json] = {"key": entry.identity.key.text, "accepted": True}
            with self._database.write() as tx:
                tx.record(PINNED, participant, facts)
            self._pins[participant] = entry.identity.key.text

    def _find(self, participant: ParticipantId) -> Entry:
        """Find an entry that is valid now; fetch the list if that may help."""
        now = self._clock.now()
        entry = self._entries.get(participant)
        if entry is None or now > entry.identity.not_after:
            self._refresh()
        elif time.monotonic() - self._fetched > self._stale_s:
            self._try_refresh()
        entry = self._entries.get(participant)
        if entry is None:
            raise NotFoundError("dataspace.unknown_participant", participant=participant)
        if not entry.admitted:
            raise DeniedError("link.participant_revoked", participant=participant)
        if now > entry.identity.not_after:
            raise DeniedError("link.participant_lapsed", participant=participant)
        return entry

    def _try_refresh(self) -> None:
        """Fetch a fresh list; while the hub is away the old one serves."""
        try:
            self._refresh()
        except PeerError as error:
            self._fetched = time.monotonic()
            _LOG.info("the member list is not fresh: %s", error.public)

    def _refresh(self) -> None:
        # 1. The hub's own certificate, by the root; 2. its list, by its key;
        # 3. not older than the last; 4. each entry, by the root.
        hub = self._membership.hub
        try:
            answer = self._fetch()
            self._fetched = time.monotonic()
            keeper = self._identify(str(answer["hub"]))
            told = verify_statement(str(answer["list"]), MEMBER_LIST, keeper.key)
            if keeper.name != HUB or told["space"] != self._membership.space:
                raise IntegrityError("link.untrusted_certificate", name=keeper.name)
            issued = str(told["issued"])
            if self._issued and read_time(issued) < read_time(self._issued) - _BACK:
                raise IntegrityError("link.list_older", shown=issued, had=self._issued)
            entries = dict(filter(None, map(self._read_entry, told["members"])))
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise PeerError("link.hub_answer", hub=hub, status=200) from error
        entries[keeper.participant] = Entry(identity=keeper, admitted=True, joined="")
        self._entries, self._issued = entries, issued

    def _read_entry(self, told: Mapping[str, Any]) -> tuple[ParticipantId, Entry] | None:
        """Believe one entry by its certificate; one that has lapsed is as good as absent."""
        try:
            identity = self._identify(str(told["certificate"]))
        except DeniedError:
            return None
        if identity.participant != told["participant"]:
            raise IntegrityError("link.untrusted_certificate", name=identity.name)
        admitted = told["state"] == "admitted"
        entry = Entry(identity=identity, admitted=admitted, joined=str(told["joined"]))
        return identity.participant, entry

    def _identify(self, pem: str) -> Identity:
        space, now = self._membership.space, self._clock.now()
        return identify_participant(read_certificate(pem), self._root, space=space, now=now)

    def _find_pin(self, participant: ParticipantId) -> str | None:
        found = self._pins.get(participant)
        if found is None:
            entries = self._database.evidence.entries(
                kind=PINNED, subject=participant, limit=_MOST_PINS
            )
            if entries:
                found = self._pins[participant] = str(entries[-1].facts["key"])
        return found

    def _pin(self, participant: ParticipantId, key: PublicKey) -> None:
        """Pin a key at first use.

        Asked from within a turn to write, the entry waits for the next time.
        """
        self._pins[participant] = self._unwritten[participant] = key.text
        try:
            with self._database.write() as tx:
                for name, text in self._unwritten.items():
                    tx.record(PINNED, name, {"key": text, "accepted": False})
        except StateError as error:
            if error.code != "ledger.nested_write":
                del self._pins[participant]
                raise
        else:
            self._unwritten.clear()


def describe_entry(entry: Entry) -> dict[str, Json]:
    """Give an entry as JSON, for people and programs."""
    identity = entry.identity
    return {
        "participant": identity.participant,
        "name": identity.name,
        "title": identity.title,
        "fingerprint": identity.key.fingerprint,
        "state": "admitted" if entry.admitted else "revoked",
        "joined": entry.joined,
        "location": identity.location,
    }
