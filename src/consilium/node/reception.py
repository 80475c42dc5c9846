"""The node's reception: recognises who speaks, and carries models out when they are released.

A person acts inside one transaction that looks the account up once more, so
that a role taken away a moment before does not count.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consilium.kernel.canonical import Digest, digest_of, is_digest
from consilium.kernel.clock import Clock
from consilium.kernel.errors import DeniedError, IntegrityError, NotFoundError, StateError
from consilium.ledger.database import Database, Transaction
from consilium.ledger.files import write_new
from consilium.models.passports import Passport, read_passport
from consilium.persons.accounts import recognise
from consilium.persons.approvals import EVIDENCE, MODEL, admit_export
from consilium.persons.passwords import USUAL, Cost
from consilium.persons.records import Person
from consilium.persons.roles import Action, may
from consilium.persons.settings import RULES, ApprovalSettings
from consilium.persons.store import get_person, is_anybody
from consilium.web.seats import Speaking

WEIGHTS = ".safetensors"
PASSPORT = ".passport"
PARTS = (WEIGHTS, PASSPORT, ".card.md", ".bom.json", ".marks.json")
"""The files of one model, in the order in which they are written; not each model has marks."""
_BASIC = "basic "


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """What persons need of a node.

    `models` is the folder of the node's own models, `cost` what a guess at a
    password costs.
    """

    database: Database
    clock: Clock
    settings: ApprovalSettings
    models: Path
    cost: Cost = USUAL

    def recognise(self, speaking: Speaking) -> Person:
        """Return who speaks: the session's person, else by a `Basic` header in UTF-8.

        Raises
        ------
        DeniedError
            `persons.no_first`, `persons.not_recognised`, `persons.locked`.
        """
        if speaking.seat is not None:
            return speaking.seat.person
        with self.database.read() as connection:
            if not is_anybody(connection):
                raise DeniedError("persons.no_first")
        name, password = _read_basic(speaking.authorization)
        return recognise(self.database, name, password, clock=self.clock, cost=self.cost)

    @contextmanager
    def acting(self, speaker: Person) -> Iterator[tuple[Transaction, Person]]:
        """Open the transaction in which somebody acts, with the account as it is now."""
        with self.database.write() as tx:
            yield tx, get_person(tx.connection, speaker.id)

    def require(self, person: Person, action: Action) -> None:
        """Refuse what none of a person's roles allows.

        Raises
        ------
        DeniedError
            `persons.not_allowed`.
        """
        if not may(person, action):
            raise DeniedError("persons.not_allowed", action=action)

    def list_passports(self) -> list[Passport]:
        """List the passports of the models that this node keeps, by the time they were made."""
        found = [read_passport(path.read_text("utf-8")) for path in self._passports()]
        return sorted(found, key=lambda one: one.created)

    def find_passport(self, digest: str) -> Passport:
        """Return the passport of one of our models.

        Raises
        ------
        NotFoundError
            `node.no_model`.
        """
        path = self._stem(digest).with_suffix(PASSPORT)
        if not path.is_file():
            raise NotFoundError("node.no_model", digest=digest[:80])
        return read_passport(path.read_text("utf-8"))

    def release_evidence(self, digest: Digest, speaking: Speaking) -> None:
        """Let an evidence export leave if the persons that the settings ask for released it.

        Raises
        ------
        DeniedError
            `persons.not_allowed`, `persons.not_released`, and what `recognise` says.

        Discloses
        ---------
        Nothing by itself; the export leaves next.
        """
        needed = RULES[self.settings.exports]
        if not needed:
            return
        with self.acting(self.recognise(speaking)) as (tx, person):
            admit_export(
                tx, kind=EVIDENCE, digest=digest, by=person, needed=needed, clock=self.clock
            )

    def export_model(self, digest: str, *, to: Path, speaker: Person) -> list[str]:
        """Write a released model into a folder: weights, passport, card, bill of materials.

        Raises
        ------
        NotFoundError
            `node.no_model`.
        DeniedError
            `persons.not_allowed`, `persons.not_released`.
        IntegrityError
            `models.other_weights` if the file is not what its name says.
        StateError
            `node.cannot_export`; nothing there is overwritten.

        Discloses
        ---------
        The model and its record, to whoever reads the folder.
        """
        passport = self.find_passport(digest)
        parts = self._read_parts(digest)
        stem = self._stem(digest).name
        wanted = [to / f"{stem}{suffix}" for suffix in parts]
        if not to.is_absolute() or any(path.exists() for path in wanted):
            raise StateError("node.cannot_export", path=str(to), now="taken", wanted="empty")
        with self.acting(speaker) as (tx, person):
            admit_export(
                tx,
                kind=MODEL,
                digest=digest,
                by=person,
                needed=RULES[self.settings.exports],
                clock=self.clock,
                study=passport.lineage.study,
            )
        try:
            to.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path, data in zip(wanted, parts.values(), strict=True):
                write_new(path, data)
        except OSError as error:
            raise StateError(
                "node.cannot_export", path=str(to), now="refused", wanted="written"
            ) from error
        return [str(path) for path in wanted]

    def _read_parts(self, digest: str) -> dict[str, bytes]:
        stem = self._stem(digest)
        parts = {
            suffix: path.read_bytes()
            for suffix in PARTS
            if (path := stem.with_suffix(suffix)).is_file()
        }
        if digest_of(parts.get(WEIGHTS, b"")) != digest:
            raise IntegrityError("models.other_weights", named=digest)
        return parts

    def _passports(self) -> list[Path]:
        return sorted(self.models.glob(f"*{PASSPORT}"))

    def _stem(self, digest: str) -> Path:
        if not is_digest(digest):
            raise NotFoundError("node.no_model", digest=digest[:80])
        return self.models / Digest(digest).removeprefix("sha256:")


def _read_basic(authorization: str) -> tuple[str, str]:
    """Read name and password; anything else is somebody unknown."""
    scheme, told = authorization[: len(_BASIC)], authorization[len(_BASIC) :]
    try:
        if scheme.lower() != _BASIC:
            raise ValueError("another scheme")
        text = base64.b64decode(told, validate=True).decode("utf-8")
    except (ValueError, binascii.Error) as error:
        raise DeniedError("persons.not_recognised") from error
    name, _, password = text.partition(":")
    return name, password
