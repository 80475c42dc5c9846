"""Marking the models of this node: agreements that were revoked, and hospitals' verdicts.

The passports are files in the node's `models/` folder, revocations and verdicts
rows of its database. What both together call for and is not there yet is made:
the mark with its evidence in one transaction, then the file beside the passport
and the card. Done again it changes nothing, so it is done after every commit and
at every start, and no crash can leave a model unmarked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from consilium.dataspace.connector import Connector
from consilium.dataspace.records import Role
from consilium.dataspace.revoked import Revocation, list_revocations
from consilium.federation.store import get_study
from consilium.gate.orders import peek_study
from consilium.kernel.canonical import Json
from consilium.kernel.errors import IntegrityError, NotFoundError
from consilium.kernel.identifiers import AgreementId, StudyId
from consilium.ledger.files import write_atomic
from consilium.ledger.keys import PublicKey
from consilium.ledger.tables import METADATA
from consilium.models.card import write_card
from consilium.models.marks import (
    Mark,
    read_audit_mark,
    read_mark,
    read_marks,
    sign_audit_mark,
    sign_mark,
    split_marks,
    write_marks,
)
from consilium.models.passports import Passport, SiteRecord, read_passport
from consilium.models.verdicts import Verdict, read_verdict

MARKS = sa.Table(
    "model_marks",
    METADATA,
    sa.Column("passport", sa.Text, primary_key=True),
    sa.Column("agreement", sa.Text, primary_key=True),
    sa.Column("weights", sa.Text, nullable=False),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
)
"""Marks on the passports of this node, one for each revoked agreement of a model."""

AUDITS = sa.Table(
    "model_audits",
    METADATA,
    sa.Column("passport", sa.Text, primary_key=True),
    sa.Column("agreement", sa.Text, primary_key=True),
    sa.Column("study", sa.Text, nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
)
"""Marks that hold verdicts, the newest of each hospital's agreement on a model."""


class Marker:
    """Marks the models of one node.

    Parameters
    ----------
    connector : Connector
        Whose revocations, and whose key signs.
    models : Path
        The folder with the passports.
    """

    def __init__(self, connector: Connector, models: Path) -> None:
        self._connector = connector
        self._models = models
        self._read: dict[Path, Passport] = {}

    def mark(self) -> int:
        """Mark what calls for it and is unmarked; return how many marks are new.

        Raises
        ------
        InputError
            `models.bad_passport`, `models.bad_mark`: a file in the folder is none of ours.
        """
        with self._connector.database.read() as connection:
            revoked = list_revocations(connection, role=Role.CONSUMER)
            audited = set(connection.execute(sa.select(AUDITS.c.passport)).scalars())
        if not revoked and not audited:
            return 0
        by_agreement = {one.agreement: one for one in revoked}
        return sum(self._mark_one(path, by_agreement, audited) for path in self._passports())

    def take_in(self, statement: str) -> Verdict:
        """Lay a hospital's verdict beside the passport that it is about; the newest one counts.

        Raises
        ------
        NotFoundError
            `node.audit_not_led`: no such model, or no such study, was led here.
        IntegrityError
            `ledger.bad_signature`, `models.other_verdict`.
        InputError
            `models.bad_verdict`, `ledger.not_a_statement`.
        """
        verdict = read_verdict(statement)
        path = self._models / f"{verdict.weights.removeprefix('sha256:')}.passport"
        if path not in self._passports():
            raise NotFoundError("node.audit_not_led", digest=verdict.weights[:80])
        passport, connector = self._passport(path), self._connector
        with connector.database.write() as tx:
            by = self._key_of(tx.connection, passport, verdict)
            mark = sign_audit_mark(connector.key, passport, statement=statement, by=by)
            place = {"passport": passport.digest, "agreement": verdict.agreement}
            tx.execute(sa.delete(AUDITS).filter_by(**place))
            tx.execute(sa.insert(AUDITS).values(**place, study=verdict.study, statement=mark))
            facts: dict[str, Json] = {**place, "by": verdict.participant, "time": verdict.time}
            tx.record("passport.audited", verdict.study, {**facts, "outcome": verdict.outcome})
        self._lay_out(path, passport)
        return verdict

    def _key_of(self, connection: sa.Connection, passport: Passport, verdict: Verdict) -> PublicKey:
        """Return the hospital's key as the study's plan pins it."""
        signed = get_study(connection, passport.lineage.study)["signed"]
        place = peek_study(signed).find_site(verdict.participant)
        if place is None:
            raise IntegrityError("models.other_verdict", participant=verdict.participant[:80])
        return PublicKey.from_text(place.key)

    def _passports(self) -> list[Path]:
        return sorted(self._models.glob("*.passport")) if self._models.is_dir() else []

    def _mark_one(
        self, path: Path, revoked: dict[AgreementId, Revocation], audited: set[str]
    ) -> int:
        passport = self._passport(path)
        sites = [site for site in passport.sites if site.agreement in revoked]
        if not sites and passport.digest not in audited:
            return 0
        with self._connector.database.read() as connection:
            known = _list_marked(connection, passport)
        fresh = [site for site in sites if site.agreement not in known]
        for site in fresh:
            self._sign(passport, site, revoked[site.agreement])
        self._lay_out(path, passport)
        return len(fresh)

    def _passport(self, path: Path) -> Passport:
        if path not in self._read:
            self._read[path] = read_passport(path.read_text(encoding="ascii"))
        return self._read[path]

    def _sign(self, passport: Passport, site: SiteRecord, ended: Revocation) -> None:
        """Write one mark with its evidence."""
        mark = Mark(
            passport=passport.digest,
            weights=passport.weights,
            study=passport.lineage.study,
            agreement=site.agreement,
            participant=site.participant,
            rounds=site.rounds,
            by=ended.by,
            time=ended.time,
            reason=ended.reason,
            statement=ended.statement,
        )
        statement = sign_mark(self._connector.key, mark)
        row = {"passport": mark.passport, "agreement": mark.agreement}
        row |= {"weights": mark.weights, "study": mark.study, "statement": statement}
        with self._connector.database.write() as tx:
            tx.execute(sa.insert(MARKS).values(**row))
            facts = {"passport": mark.passport, "agreement": mark.agreement, "by": mark.by}
            tx.record("passport.marked", mark.study, {**facts, "time": mark.time})

    def _lay_out(self, path: Path, passport: Passport) -> None:
        """Write marks and card beside the passport, unless they lie there already."""
        with self._connector.database.read() as connection:
            statements = _list_statements(connection, passport)
        if read_marks(path) == statements:
            return
        revoked, audited = split_marks(statements)
        card = write_card(
            passport,
            marks=[read_mark(one) for one in revoked],
            audits=[read_audit_mark(one) for one in audited],
        )
        write_atomic(path.with_suffix(".card.md"), card.encode())
        write_marks(path, statements)


def list_marks(connection: sa.Connection, study: StudyId) -> list[dict[str, Any]]:
    """List the marks on a study's model, as people are shown them."""
    query = (
        sa.select(MARKS.c.statement)
        .where(MARKS.c.study == study)
        .order_by(MARKS.c.passport, MARKS.c.agreement)
    )
    marks = [read_mark(text) for text in connection.execute(query).scalars()]
    shown = ("agreement", "participant", "by", "time", "reason", "rounds")
    return [{name: getattr(mark, name) for name in shown} for mark in marks]


def _list_marked(connection: sa.Connection, passport: Passport) -> set[str]:
    query = sa.select(MARKS.c.agreement).where(MARKS.c.passport == passport.digest)
    return set(connection.execute(query).scalars())


def _list_statements(connection: sa.Connection, passport: Passport) -> list[str]:
    """Return what stands beside a passport: revoked agreements, then verdicts."""
    found: list[str] = []
    for table in (MARKS, AUDITS):
        query = (
            sa.select(table.c.statement)
            .where(table.c.passport == passport.digest)
            .order_by(table.c.agreement)
        )
        found += connection.execute(query).scalars()
    return found
