"""Auditing a model before its release: by this hospital's patients, inside this node.

The model is one of our own, or lies in a folder that its lead gave us. What it
was trained on is known from the order that our gate admitted; the attack runs in
a process of its own on the same array file. What leaves is a signed verdict,
unless agreement or plan bound what may be told of a patient: then the figures
are shown here and nothing is signed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from consilium.dataspace.connector import Connector
from consilium.dataspace.expiry import check_time
from consilium.dataspace.records import Agreement, Dataset
from consilium.dataspace.store import find_dataset, get_agreement
from consilium.dataspace.vocabulary import METRICS
from consilium.federation.audits.hospital import AuditFigures
from consilium.federation.audits.release import METHOD
from consilium.gate.admission import check_not_revoked
from consilium.gate.arrays import ArrayFiles
from consilium.gate.orders import Order, Study, peek_study
from consilium.gate.outputs import check_output
from consilium.gate.store import find_newest_order
from consilium.kernel.canonical import Digest, Json, digest_json, digest_of, is_digest
from consilium.kernel.clock import write_time
from consilium.kernel.errors import (
    ConsiliumError,
    DeniedError,
    InputError,
    NotFoundError,
    StateError,
)
from consilium.ledger.keys import PublicKey
from consilium.models.passports import Passport, SiteRecord, read_passport, verify_passport
from consilium.models.verdicts import LIMIT, Verdict, conclude, sign_verdict
from consilium.node.answers import TaskShown
from consilium.node.attacking import AuditRequest, run_attack
from consilium.node.marking import Marker
from consilium.node.tasks import Report, Tasks, Work
from consilium.readers.schema import Schema

RunAttack = Callable[[AuditRequest, Report], AuditFigures]
LONGEST_STATEMENT = 1 << 20


class AuditWish(BaseModel):
    """How to audit: the folder of a model that is not ours, limit, reference models."""

    model_config = ConfigDict(extra="forbid")
    folder: str = ""
    limit: float = LIMIT
    references: int | None = None


class VerdictGiven(BaseModel):
    """A verdict that another hospital signed."""

    model_config = ConfigDict(extra="forbid")
    statement: str = Field(max_length=LONGEST_STATEMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What an audit stands on: the model, our part in it, and the data behind that."""

    passport: Passport
    weights: bytes
    site: SiteRecord
    signed: str
    study: Study
    agreement: Agreement
    dataset: Dataset

    @property
    def facts(self) -> dict[str, Json]:
        """Name the audit in the evidence log."""
        return {
            "passport": self.passport.digest,
            "weights": self.passport.weights,
            "agreement": self.agreement.id,
            "dataset": self.dataset.id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Audits models at one node.

    Attributes
    ----------
    models : Path
        The folder of the node's own models.
    min_cases : int
        Smallest count that may leave, of data that are not public.
    attack : callable
        Runs the attack; in a process of its own.
    """

    connector: Connector
    marker: Marker
    arrays: ArrayFiles
    models: Path
    min_cases: int
    attack: RunAttack = run_attack

    def plan(self, digest: str, wish: AuditWish) -> Work:
        """Check all that can be checked without opening the data; return the work.

        Raises
        ------
        InputError
            `node.audit_bad_limit`, `node.audit_not_ours`.
        NotFoundError
            `node.no_model`.
        StateError
            `node.audit_other_data`.
        DeniedError, IntegrityError
            What agreement, approvals and passport say.
        """
        if not 0.5 <= wish.limit <= 1.0:
            raise InputError("node.audit_bad_limit")
        ground = self._stand_on(digest, self._folder(wish))
        return lambda report: self._audit(ground, wish, report)

    def take_in(self, statement: str) -> dict[str, Any]:
        """Lay another hospital's verdict beside the passport that it is about.

        Raises
        ------
        NotFoundError
            `node.audit_not_led`.
        IntegrityError
            `ledger.bad_signature`, `models.other_verdict`.
        InputError
            `models.bad_verdict`, `ledger.not_a_statement`.
        """
        return self.marker.take_in(statement).as_record()

    def _audit(self, ground: Ground, wish: AuditWish, report: Report) -> dict[str, Any]:
        """Attack between two entries of evidence, then sign and mark, or keep it here."""
        database, study = self.connector.database, ground.study.study
        facts = ground.facts
        with database.write() as tx:
            tx.record("audit.began", study, {**facts, "limit": repr(wish.limit)})
        try:
            found = self._run(ground, wish, report)
        except ConsiliumError as error:
            with database.write() as tx:
                tx.record("audit.failed", study, {**facts, "code": error.code})
            raise
        verdict = self._conclude(ground, found, limit=wish.limit)
        withheld = _find_bound(ground)
        told: dict[str, Json] = {**facts, "verdict": digest_json(verdict.as_record())}
        told |= {"withheld": withheld} if withheld else {"outcome": verdict.outcome}
        with database.write() as tx:
            tx.record("audit.ended", study, told)
        statement = "" if withheld else sign_verdict(self.connector.key, verdict)
        is_marked = bool(statement) and ground.passport.issuer == self.connector.me
        if is_marked:
            self.marker.take_in(statement)
        record = verdict.as_record()
        return {**record, "statement": statement, "withheld": withheld, "marked": is_marked}

    def _run(self, ground: Ground, wish: AuditWish, report: Report) -> AuditFigures:
        with (
            self.arrays.open(ground.dataset.arrays) as arrays,
            _as_file(ground.weights) as weights,
        ):
            request = AuditRequest(
                study=ground.signed,
                facts=self._describe(ground.dataset),
                arrays=arrays,
                weights=weights,
                references=wish.references,
            )
            return self.attack(request, report)

    def _describe(self, dataset: Dataset) -> dict[str, Json]:
        """Say what the attack may know about the data, as a lease does."""
        columns: list[Json] = [
            {"name": one.name, "kind": one.kind, "categories": list(one.categories)}
            for one in Schema.from_record(dataset.schema).columns
        ]
        least = 1 if dataset.public else self.min_cases
        return {"participant": self.connector.me, "columns": columns, "min_cases": least}

    def _conclude(self, ground: Ground, found: AuditFigures, *, limit: float) -> Verdict:
        outcome, reason = conclude(found.attacks, limit=limit)
        return Verdict(
            passport=ground.passport.digest,
            weights=ground.passport.weights,
            study=ground.study.study,
            agreement=ground.agreement.id,
            participant=self.connector.me,
            method=METHOD,
            time=write_time(self.connector.clock.now()),
            members=found.members,
            others=found.others,
            references=found.references,
            limit=limit,
            attacks=found.attacks,
            outcome=outcome,
            reason=reason,
        )

    def _folder(self, wish: AuditWish) -> Path:
        return Path(wish.folder) if wish.folder else self.models

    def _stand_on(self, digest: str, folder: Path) -> Ground:
        """Find model, plan and data.

        Plan: (1) the model and its passport; (2) our part in it; (3) the plan
        that our gate admitted, whose lead signed the passport; (4) agreement and
        approvals are in force; (5) the data are those that the passport names.
        """
        # 1. Model.
        text, weights = _read_model(digest, folder)
        passport = read_passport(text)
        # 2. Our part.
        me = self.connector.me
        site = next((one for one in passport.sites if one.participant == me), None)
        if site is None or not site.rounds:
            raise InputError("node.audit_not_ours", digest=digest)
        with self.connector.database.read() as connection:
            # 3. Plan.
            row = find_newest_order(
                connection, agreement=site.agreement, study=passport.lineage.study
            )
            if row is None:
                raise InputError("node.audit_not_ours", digest=digest)
            signed = Order.from_json(row["body"].encode()).signed_study
            study = peek_study(signed)
            agreement = get_agreement(connection, site.agreement)
            lead = PublicKey.from_text(agreement.consumer_key)
            verify_passport(text, key=lead, weights=weights)
            place = study.find_site(me)
            if study.digest != passport.lineage.plan or place is None:
                raise InputError("node.audit_not_ours", digest=digest)
            # 4. Agreement.
            check_not_revoked(connection, agreement)
            dataset = find_dataset(connection, place.dataset)
        # 5. Data.
        if dataset is None or dataset.fingerprint != site.fingerprint:
            raise StateError("node.audit_other_data", digest=digest)
        check_time(agreement, dataset, now=self.connector.clock.now())
        return Ground(
            passport=passport,
            weights=weights,
            site=site,
            signed=signed,
            study=study,
            agreement=agreement,
            dataset=dataset,
        )


def auditing_router(auditor: Auditor, tasks: Tasks) -> APIRouter:
    """Make the routes of audits."""
    router = APIRouter(tags=["models"])

    @router.post("/models/{digest}/audit", response_model=TaskShown)
    def audit(digest: str, wish: AuditWish) -> dict[str, Any]:
        return tasks.begin("audit", auditor.plan(digest, wish)).as_record()

    @router.post("/verdicts")
    def verdict(given: VerdictGiven) -> dict[str, Any]:
        return auditor.take_in(given.statement)

    return router


def _find_bound(ground: Ground) -> str:
    """Return the code of what keeps an exact verdict here; empty where it may leave."""
    if ground.study.privacy is not None:
        return "node.audit_bound"
    try:
        check_output(ground.agreement, METRICS, is_summed=ground.study.secure is not None)
    except DeniedError as refusal:
        return refusal.code
    return ""


def _read_model(digest: str, folder: Path) -> tuple[str, bytes]:
    """Read a passport and its weights, which must be those of the digest."""
    if not is_digest(digest) or not folder.is_absolute():
        raise NotFoundError("node.no_model", digest=digest[:80])
    stem = folder / Digest(digest).removeprefix("sha256:")
    try:
        text = stem.with_suffix(".passport").read_text(encoding="ascii")
        weights = stem.with_suffix(".safetensors").read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError("node.no_model", digest=digest) from error
    if digest_of(weights) != digest:
        raise NotFoundError("node.no_model", digest=digest)
    return text, weights


def _as_file(data: bytes) -> BinaryIO:
    """Put bytes into a file without a name, to hand its descriptor on."""
    file = TemporaryFile()  # noqa: SIM115 (the caller closes it)
    file.write(data)
    file.flush()
    file.seek(0)
    return file
