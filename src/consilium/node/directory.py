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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography import x509

from consilium.dataspace.contract_id import Register
from consilium.kernel.canonical import Json
from consilium.kernel.clock import Clock, read_time, write_time
from consilium.kernel.errors import (
    ConsiliumError,
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
REVOKED = "participant.revoked"
"""Kind of the evidence that a member was seen revoked, once for each key."""
PINNED = "participant.pinned"
"""Kind of the evidence that pins a key; the last one of a participant counts."""

_MOST_PINS = 10_000
_BACK = timedelta(seconds=60)
_OLDEST = timedelta(minutes=15)
"""How far a list's date may be from our clock: also the first list after a start is a fresh one."""
_LOG = logging.getLogger("consilium.directory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member as the present list has it."""

    identity: Identity
    admitted: bool
    joined: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    about: str
    code: str
    facts: dict[str, Json]


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
        self._lock = threading.Lock()
        self._entries: dict[ParticipantId, Entry] = {}
        self._register: Register | None = None
        self._issued = ""
        self._fetched = float("-inf")
        self._pins: dict[ParticipantId, str] = {}
        self._unwritten: dict[ParticipantId, str] = {}
        self._refused: list[_Refused] = []
        self._seen_revoked: set[str] = set()
        self._seen: dict[ParticipantId, float] = {}

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
        with self._holding():
            entry = self._find(participant)
            key = entry.identity.key
            pinned = self._find_pin(participant)
            if pinned is None:
                self._pins[participant] = self._unwritten[participant] = key.text
            elif pinned != key.text:
                changed = IntegrityError(
                    "link.key_changed", participant=participant, fingerprint=key.fingerprint
                )
                self._keep(changed, {"shown": key.text, "pinned": pinned}, about=participant)
                raise changed
            return key

    def location_of(self, participant: ParticipantId) -> str:
        """Return the country or region in a participant's certificate, "" if none is known.

        The list as it stands serves: a place is part of a certificate, and a
        newer one comes with the next message of that participant.
        """
        entry = self._entries.get(participant)
        if entry is None:
            with self._holding():
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
        with self._holding():
            self._refresh()
            hub = self._membership.hub_participant
            return [entry for name, entry in self._entries.items() if name != hub]

    def list_known(self) -> list[Entry]:
        """List the members as they were told last; a stale list is fetched anew if that works.

        For pages that people look at: while the hub is away, or tells what is not to
        be believed, the old list serves.
        """
        with self._holding():
            if time.monotonic() - self._fetched > self._stale_s:
                with suppress(ConsiliumError):
                    self._try_refresh()
            hub = self._membership.hub_participant
            return [entry for name, entry in self._entries.items() if name != hub]

    def seen_s(self, participant: ParticipantId) -> float | None:
        """Say how many seconds ago the hub heard of a member, on its word; None if it did not."""
        with self._lock:
            ago = self._seen.get(participant)
            return None if ago is None else ago + time.monotonic() - self._fetched

    def list_revoked(self) -> list[ParticipantId]:
        """List the members that are revoked and of whom that is not in our evidence yet.

        Fetches the list if it has become stale.

        Raises
        ------
        PeerError, IntegrityError
            As `key_of`.
        """
        with self._holding():
            if time.monotonic() - self._fetched > self._stale_s:
                self._refresh()
            revoked = [entry.identity for entry in self._entries.values() if not entry.admitted]
            fresh = [one for one in revoked if one.key.text not in self._seen_revoked]
        return [one.participant for one in fresh if not self._has_recorded(one)]

    def record_revoked(self, participant: ParticipantId) -> None:
        """Write into the evidence that a member was seen revoked."""
        with self._lock:
            key, issued = self._entries[participant].identity.key.text, self._issued
        with self._database.write() as tx:
            tx.record(REVOKED, participant, {"key": key, "list": issued})
        self._seen_revoked.add(key)

    def _has_recorded(self, one: Identity) -> bool:
        entries = self._database.evidence.entries(
            kind=REVOKED, subject=one.participant, limit=_MOST_PINS
        )
        found = any(entry.facts["key"] == one.key.text for entry in entries)
        if found:
            self._seen_revoked.add(one.key.text)
        return found

    def find_register(self) -> Register | None:
        """Return what the space's contract ids are made of; None while the hub is unknown."""
        with self._holding():
            if self._register is None:
                # An agreement is shown without its contract id rather than not at all.
                with suppress(ConsiliumError):
                    self._refresh()
            return self._register

    def accept_key(self, participant: ParticipantId, fingerprint: str) -> None:
        """Accept a changed key, on the word of a person who has asked the hospital.

        Raises
        ------
        StateError
            `link.key_not_shown` if the present key has another fingerprint.
        """
        with self._holding():
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
        key = entry.identity.key.text
        with self._database.write() as tx:
            tx.record(PINNED, participant, {"key": key, "accepted": True})
        self._pins[participant] = key

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
        """Take the hub's list, or leave evidence of why not and keep the one we had."""
        try:
            self._take_list()
        except ConsiliumError as error:
            if not isinstance(error, PeerError) or error.code == "link.hub_answer":
                self._keep(error, {}, about=self._membership.hub_participant)
            raise

    def _keep(self, refusal: ConsiliumError, facts: dict[str, Json], *, about: str) -> None:
        told: dict[str, Json] = {"code": refusal.code, "reason": refusal.public[:400], **facts}
        self._refused.append(_Refused(about=about, code=refusal.code, facts=told))

    def _take_list(self) -> None:
        # 1. The hub's own certificate, by the root; 2. its list, by its key;
        # 3. of now and not older than the last; 4. each entry, by the root.
        hub = self._membership.hub
        try:
            answer = self._fetch()
            self._fetched = time.monotonic()
            keeper = self._identify(str(answer["hub"]))
            told = verify_statement(str(answer["list"]), MEMBER_LIST, keeper.key)
            if keeper.name != HUB or told["space"] != self._membership.space:
                raise IntegrityError("link.untrusted_certificate", name=keeper.name)
            issued = str(told["issued"])
            self._check_date(issued)
            entries = dict(filter(None, map(self._read_entry, told["members"])))
            seen = {ParticipantId(who): float(ago) for who, ago in answer.get("seen", {}).items()}
            # A hub of an earlier release says nothing about contract ids.
            register = Register(**told.get("contract", {}))
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise PeerError("link.hub_answer", hub=hub, status=200) from error
        entries[keeper.participant] = Entry(identity=keeper, admitted=True, joined="")
        self._entries, self._issued, self._register = entries, issued, register
        self._seen = seen

    def _check_date(self, issued: str) -> None:
        if self._issued and read_time(issued) < read_time(self._issued) - _BACK:
            raise IntegrityError("link.list_older", shown=issued, had=self._issued)
        now = self._clock.now()
        if abs(read_time(issued) - now) > _OLDEST:
            raise IntegrityError("link.list_not_now", shown=issued[:40], now=write_time(now))

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

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Hold the list; what comes up for the evidence is written after letting it go.

        Whoever has the turn to write may ask for a key. To wait for the turn with
        the list in hand would be to wait for each other.
        """
        try:
            with self._lock:
                yield
        finally:
            self._write_refused()
            self._write_pins()

    def _write_refused(self) -> None:
        with self._lock:
            refused, self._refused = self._refused, []
        for one in refused:
            self._database.refusals.keep("members.refused", one.about, one.facts, rule=one.code)

    def _write_pins(self) -> None:
        """Write the keys pinned at first use; from within a turn to write, the next call does."""
        with self._lock:
            pins, self._unwritten = self._unwritten, {}
        if not pins:
            return
        try:
            with self._database.write() as tx:
                for participant, key in pins.items():
                    tx.record(PINNED, participant, {"key": key, "accepted": False})
        except BaseException as error:
            nested = isinstance(error, StateError) and error.code == "ledger.nested_write"
            with self._lock:
                if nested:
                    self._unwritten = pins | self._unwritten
                    return
                for participant in pins:
                    self._pins.pop(participant, None)
            raise


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
