"""The catalogue across hospitals: each member's kept for a while, searched in memory.

A search asks nobody: it looks through what the members told last. What is older
than a minute is fetched anew behind the searcher's back; whoever wants it
fresh says so and waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from consilium.dataspace.catalog import FieldShown, Listing, request_catalog
from consilium.dataspace.connector import Connector
from consilium.dataspace.records import Terms
from consilium.kernel.errors import ConsiliumError
from consilium.kernel.identifiers import ParticipantId
from consilium.node.directory import HubDirectory

LOG = logging.getLogger(__name__)
STALE_S = 60.0
"""So old a member's catalogue may become before it is fetched anew in the background."""
_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A member that did not answer when it was asked last, and why."""

    participant: ParticipantId
    title: str
    error: ConsiliumError


@dataclass(frozen=True)
class Entry:
    """A dataset of the catalogue, ready to be searched."""

    listing: Listing
    title: str

    @cached_property
    def place(self) -> tuple[str, str, str]:
        """Where it stands: by hospital, then by name."""
        return (self.title, self.listing.participant, self.listing.name)

    @cached_property
    def spoken(self) -> str:
        """Everything that a search can find it by, folded."""
        one = self.listing
        fields = (f"{column.name} {column.code} {column.modality}" for column in one.columns)
        classes = map(str, one.target.get("classes", ()))
        label = str(one.label.get("field", ""))
        texts = (self.title, one.participant, one.name, one.title, label, *classes, *fields)
        return "\n".join(texts).casefold()

    @cached_property
    def modalities(self) -> list[str]:
        """The modalities of its fields, each once, in their order."""
        return list(dict.fromkeys(column.modality for column in self.listing.columns))

    def prepare(self) -> None:
        """Make ready what every search looks at, so that none of them does."""
        _ = self.place, self.spoken, self.modalities

    @property
    def count(self) -> int | None:
        """Rows, as far as they are shown."""
        one = self.listing
        if one.n_train is None or one.n_test is None:
            return None
        return one.n_train + one.n_test


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    title: str
    entries: tuple[Entry, ...] = ()
    error: ConsiliumError | None = None
    asked: float = float("-inf")
    answered: float = float("-inf")


class Catalogue:
    """What all members offer to this hospital.

    Parameters
    ----------
    connector : Connector
        Asks the members.
    directory : HubDirectory
        Knows them.
    stale_s : float
        See `STALE_S`.
    """

    def __init__(
        self, connector: Connector, directory: HubDirectory, *, stale_s: float = STALE_S
    ) -> None:
        self._connector = connector
        self._directory = directory
        self._stale_s = stale_s
        self._members: dict[ParticipantId, _Member] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._sorted: list[Entry] | None = None

    @property
    def me(self) -> ParticipantId:
        """Who asks the members."""
        return self._connector.me

    def look(self, *, fresh: bool = False) -> None:
        """Make sure that every member was asked; wait only for those who never were.

        Discloses
        ---------
        To the members: that this hospital looks at their catalogues.
        """
        known = {
            entry.identity.participant: entry.identity.title
            for entry in self._directory.list_known()
            if entry.admitted
        }
        with self._lock:
            for gone in self._members.keys() - known.keys():
                del self._members[gone]
                self._sorted = None
            unasked = [who for who in known if fresh or who not in self._members]
            oldest = min((one.asked for one in self._members.values()), default=0.0)
        if unasked:
            with self._turn:
                self._ask({who: known[who] for who in unasked})
        elif time.monotonic() - oldest > self._stale_s:
            threading.Thread(target=self._renew, args=(known,), daemon=True).start()

    def list_entries(self) -> list[Entry]:
        """List every dataset, by hospital and name."""
        with self._lock:
            if self._sorted is None:
                found = (entry for one in self._members.values() for entry in one.entries)
                self._sorted = sorted(found, key=lambda entry: entry.place)
            return self._sorted

    def search(self, text: str, *, modality: str = "") -> list[Entry]:
        """List the datasets of which every word of a text is said somewhere."""
        words = text.casefold().split()
        return [
            entry
            for entry in self.list_entries()
            if all(word in entry.spoken for word in words)
            and (not modality or modality in entry.modalities)
        ]

    def find(self, participant: str, dataset: str) -> Entry | None:
        """Look for a dataset by its hospital and its name or identifier."""
        with self._lock:
            member = self._members.get(ParticipantId(participant))
        for entry in member.entries if member else ():
            if dataset in (entry.listing.name, entry.listing.dataset):
                return entry
        return None

    def list_silent(self) -> list[Silent]:
        """List the members that did not answer when they were asked last."""
        with self._lock:
            return [
                Silent(participant=who, title=one.title, error=one.error)
                for who, one in self._members.items()
                if one.error is not None
            ]

    def heard_s(self, participant: str) -> float | None:
        """Say how many seconds ago a member answered; None if it never did."""
        with self._lock:
            member = self._members.get(ParticipantId(participant))
        if member is None or member.answered == float("-inf"):
            return None
        return time.monotonic() - member.answered

    def count_of(self, participant: str) -> int:
        """Count the datasets that a member offers us."""
        with self._lock:
            member = self._members.get(ParticipantId(participant))
        return len(member.entries) if member else 0

    def _renew(self, known: dict[ParticipantId, str]) -> None:
        if self._turn.acquire(blocking=False):
            try:
                self._ask(known)
            except ConsiliumError as error:
                LOG.info("the catalogues are not fresh: %s", error.public)
            finally:
                self._turn.release()

    def _ask(self, wanted: dict[ParticipantId, str]) -> None:
        with ThreadPoolExecutor(max_workers=min(_AT_ONCE, len(wanted))) as pool:
            found = list(pool.map(self._ask_one, wanted.keys(), wanted.values()))
        with self._lock:
            self._members |= dict(zip(wanted, found, strict=True))
            self._sorted = None

    def keep(self, who: ParticipantId, title: str, listings: Sequence[Listing]) -> None:
        """Keep what a member has told just now."""
        with self._lock:
            self._members[who] = _answered(title, listings)
            self._sorted = None

    def _ask_one(self, who: ParticipantId, title: str) -> _Member:
        """Ask one member; of one that does not answer what it told before stays."""
        now = time.monotonic()
        try:
            listings = request_catalog(self._connector, who)
        except ConsiliumError as error:
            with self._lock:
                before = self._members.get(who, _Member(title=title))
            return replace(before, error=error, asked=now)
        return _answered(title, listings)


def _slim(listings: Sequence[Listing]) -> Iterator[Listing]:
    """Give listings that share what is equal, without what no search and no form looks at.

    Ten thousand whole ones are millions of objects, and Python's own tidying
    would stop everything for a third of a second to look through them.
    """
    columns: dict[FieldShown, FieldShown] = {}
    terms: dict[Terms, Terms] = {}
    tables: dict[str, dict[str, Any]] = {}
    nothing: dict[str, Any] = {}
    for one in listings:
        yield replace(
            one,
            columns=tuple(columns.setdefault(each, each) for each in one.columns),
            terms=terms.setdefault(one.terms, one.terms),
            label=tables.setdefault(repr(one.label), one.label),
            target=tables.setdefault(repr(one.target), one.target),
            governance=nothing,
            policy=nothing,
            classes=nothing,
        )


def _answered(title: str, listings: Sequence[Listing]) -> _Member:
    now = time.monotonic()
    entries = tuple(Entry(listing=one, title=title) for one in _slim(listings))
    for one in entries:
        one.prepare()
    return _Member(title=title, entries=entries, asked=now, answered=now)
