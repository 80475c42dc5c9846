"""Marks: what became known about a model after its passport was signed.

A passport never changes. When an agreement that a model was trained under is
revoked, or a hospital has attacked the model before its release, the holder of
the passport signs a mark and lays it beside the passport. The mark holds the
revoker's or the hospital's own signed statement, so that nobody has to take the
holder's word for who said what, when and why. The model itself stays what it
is: what to do with it is for people to decide.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from consilium.kernel.canonical import Digest
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError
from consilium.kernel.identifiers import AgreementId, ParticipantId, StudyId
from consilium.ledger.files import write_atomic
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement
from consilium.models.passports import Passport, read_passport, verify_passport
from consilium.models.verdicts import Verdict, verify_verdict

KIND = "passport-mark"
AUDIT = "passport-audit"
SUFFIX = ".marks.json"
"""Marks lie beside `<weights>.passport` as `<weights>.marks.json`, a list of statements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An agreement of a model's lineage that was revoked.

    `passport` and `weights` are digests; `rounds` counts the rounds that the
    hospital's updates went into; `by`, `time` and `reason` are the revoker's,
    whose signed statement `statement` is.
    """

    passport: Digest
    weights: Digest
    study: StudyId
    agreement: AgreementId
    participant: ParticipantId
    rounds: int
    by: ParticipantId
    time: str
    reason: str
    statement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditMark:
    """A hospital's verdict on a model, taken in by the holder of its passport.

    `passport` is a digest; `key` is the hospital's public key as the study's
    plan pins it, under which `statement` holds `verdict`.
    """

    passport: Digest
    key: str
    statement: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A verified passport with the verified marks beside it."""

    passport: Passport
    marks: tuple[Mark, ...]
    audits: tuple[AuditMark, ...] = ()


def sign_mark(key: SigningKey, mark: Mark) -> str:
    """Sign a mark as the passport's issuer."""
    return sign_statement(key, KIND, asdict(mark))


def read_mark(text: str) -> Mark:
    """Read a mark without checking who signed it.

    Raises
    ------
    InputError
        `models.bad_mark`, `ledger.not_a_statement`.
    """
    return _read(peek_statement(text))


def verify_mark(text: str, *, key: PublicKey) -> Mark:
    """Read a mark that the holder of `key` signed.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature`.
    InputError
        `models.bad_mark`.
    """
    return _read(verify_statement(text, KIND, key))


def sign_audit_mark(key: SigningKey, passport: Passport, *, statement: str, by: PublicKey) -> str:
    """Sign a mark as the passport's issuer, if its verdict is the hospital's and on this model.

    Parameters
    ----------
    statement : str
        The signed verdict.
    by : PublicKey
        The hospital's.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature`, `models.other_verdict`.
    InputError
        `models.bad_verdict`.
    """
    _check_verdict(verify_verdict(statement, key=by), passport)
    facts = {"passport": passport.digest, "key": by.text, "statement": statement.strip()}
    return sign_statement(key, AUDIT, facts)


def is_audit_mark(text: str) -> bool:
    """Say whether a statement beside a passport is a verdict's mark; nothing is verified.

    Raises
    ------
    InputError
        `ledger.not_a_statement`.
    """
    return peek_statement(text).keys() == {"passport", "key", "statement"}


def read_audit_mark(text: str) -> AuditMark:
    """Read a verdict's mark without checking who signed it; the verdict's signature is checked.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature`: the verdict is not of the key that the mark names.
    InputError
        `models.bad_mark`, `models.bad_verdict`, `ledger.not_a_statement`.
    """
    return _read_audit(peek_statement(text))


def verify_audit_mark(text: str, *, key: PublicKey) -> AuditMark:
    """Read a verdict's mark that the holder of `key` signed; raises as `read_audit_mark`."""
    return _read_audit(verify_statement(text, AUDIT, key))


def marks_path(passport: Path) -> Path:
    """Name the file in which the marks of a passport's file lie."""
    return passport.with_suffix(SUFFIX)


def write_marks(passport: Path, statements: Sequence[str]) -> None:
    """Lay signed marks beside a passport's file, in place of those that lie there."""
    body = json.dumps(list(statements), indent=1).encode() + b"\n"
    write_atomic(marks_path(passport), body)


def read_marks(passport: Path) -> list[str]:
    """Return the signed marks beside a passport's file; none if there is no such file.

    Raises
    ------
    InputError
        `models.bad_mark`: the file is none of ours.
    """
    try:
        found = json.loads(marks_path(passport).read_bytes())
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise InputError("models.bad_mark") from error
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InputError("models.bad_mark")
    return found


def verify_marked(passport: Path, *, key: PublicKey, weights: bytes | None = None) -> Marked:
    """Verify a passport's file together with the marks beside it.

    Parameters
    ----------
    key : PublicKey
        The issuer's.
    weights : bytes, optional
        As for `verify_passport`.

    Raises
    ------
    NotFoundError
        `models.no_passport`.
    IntegrityError
        `ledger.bad_signature`, `models.other_weights`; `models.other_mark` when
        a mark belongs to another passport.
    InputError
        `models.bad_passport`, `models.bad_mark`.
    """
    found = verify_passport(_read_text(passport), key=key, weights=weights)
    revoked, audited = split_marks(read_marks(passport))
    marks = tuple(verify_mark(one, key=key) for one in revoked)
    for mark in marks:
        if mark.passport != found.digest:
            raise IntegrityError("models.other_mark", agreement=mark.agreement)
    audits = tuple(verify_audit_mark(one, key=key) for one in audited)
    for audit in audits:
        if audit.passport != found.digest:
            raise IntegrityError("models.other_mark", agreement=audit.verdict.agreement)
        _check_verdict(audit.verdict, found)
    return Marked(passport=found, marks=marks, audits=audits)


def read_marked(passport: Path) -> Marked:
    """Read a passport's file with the marks beside it: to show them, not to rely on.

    Raises
    ------
    NotFoundError
        `models.no_passport`.
    InputError
        `models.bad_passport`, `models.bad_mark`, `models.bad_verdict`.
    IntegrityError
        `ledger.bad_signature`: a verdict is not of the key that its mark names.
    """
    found = read_passport(_read_text(passport))
    revoked, audited = split_marks(read_marks(passport))
    return Marked(
        passport=found,
        marks=tuple(map(read_mark, revoked)),
        audits=tuple(map(read_audit_mark, audited)),
    )


def split_marks(statements: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the statements beside a passport: of revoked agreements, and of verdicts."""
    audits = [one for one in statements if is_audit_mark(one)]
    return [one for one in statements if one not in audits], audits


def _read_text(passport: Path) -> str:
    try:
        return passport.read_text(encoding="ascii")
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError) as error:
        raise NotFoundError("models.no_passport", file=passport.name) from error


def _check_verdict(verdict: Verdict, passport: Passport) -> None:
    """Refuse a verdict on another model, or of a hospital that the passport does not name."""
    places = {(site.participant, site.agreement) for site in passport.sites}
    right = (verdict.passport, verdict.weights, verdict.study) == (
        passport.digest,
        passport.weights,
        passport.lineage.study,
    )
    if not right or (verdict.participant, verdict.agreement) not in places:
        raise IntegrityError("models.other_verdict", participant=verdict.participant)


def _read_audit(record: dict[str, Any]) -> AuditMark:
    names = ("passport", "key", "statement")
    if record.keys() != set(names) or not all(isinstance(record[name], str) for name in names):
        raise InputError("models.bad_mark")
    verdict = verify_verdict(record["statement"], key=PublicKey.from_text(record["key"]))
    return AuditMark(**record, verdict=verdict)


def _read(record: dict[str, Any]) -> Mark:
    kinds = {item.name: int if item.name == "rounds" else str for item in fields(Mark)}
    right = record.keys() == kinds.keys() and all(
        type(record[name]) is kind for name, kind in kinds.items()
    )
    if not right:
        raise InputError("models.bad_mark")
    return Mark(**record)
