"""Marks: what became known about a model after its passport was signed.

A passport never changes. When an agreement that a model was trained under is
revoked, the holder of the passport signs a mark and lays it beside the
passport. The mark holds the revoker's own signed statement, so that nobody has
to take the holder's word for who ended the agreement, when and why. The model
itself stays what it is: what to do with it is for people to decide.
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
from consilium.models.passports import Passport, verify_passport

KIND = "passport-mark"
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
class Marked:
    """A verified passport with the verified marks beside it."""

    passport: Passport
    marks: tuple[Mark, ...]


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
    try:
        text = passport.read_text(encoding="ascii")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise NotFoundError("models.no_passport", file=passport.name) from error
    found = verify_passport(text, key=key, weights=weights)
    marks = tuple(verify_mark(one, key=key) for one in read_marks(passport))
    for mark in marks:
        if mark.passport != found.digest:
            raise IntegrityError("models.other_mark", agreement=mark.agreement)
    return Marked(passport=found, marks=marks)


def _read(record: dict[str, Any]) -> Mark:
    kinds = {item.name: int if item.name == "rounds" else str for item in fields(Mark)}
    right = record.keys() == kinds.keys() and all(
        type(record[name]) is kind for name, kind in kinds.items()
    )
    if not right:
        raise InputError("models.bad_mark")
    return Mark(**record)
