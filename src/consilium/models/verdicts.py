"""Verdicts: what a hospital found when it attacked a model that its patients trained.

The hospital signs figures over all its patients together, never about one. The
outcome follows from the figures by one rule, which whoever reads a verdict
applies again: so no signature makes an audit `passed` whose control failed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from consilium.kernel.canonical import Digest, canonical_bytes
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import AgreementId, ParticipantId, StudyId
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement

KIND = "model-audit"
LEAKS, PASSED, INCONCLUSIVE = "leaks", "passed", "inconclusive"
CONTROL_FAILED, TOO_FEW = "control_failed", "too_few_patients"
LIMIT = 0.6
"""An area above it is a leak, unless the auditor says otherwise; 0.5 is guessing."""
LEAST_CONTROL = 0.9
"""The attack's area where it must succeed."""
MANY_TIMES = 3.0
"""A rate of found members this many times the false accusations is a leak, its interval too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What one attack found: areas and rates within [0, 1], with 95 % intervals over patients.

    `auc` is the chance that a training patient looks more like one than a
    patient never trained on does; 0.5 is guessing. `tpr` is the share of
    training patients found while a share `fpr` of the others is accused; both
    are None where the others are too few to measure it. `control` is the area
    that the same attack reached on a model that learnt by heart.
    """

    name: str
    auc: float
    auc_low: float
    auc_high: float
    fpr: float | None
    tpr: float | None
    tpr_low: float | None
    tpr_high: float | None
    control: float

    @property
    def controlled(self) -> bool:
        """Say whether the attack succeeded where it must."""
        return self.control >= LEAST_CONTROL

    def finds(self, limit: float) -> bool:
        """Say whether the attack tells training patients apart, beyond chance and limit."""
        found = self.fpr is not None and self.tpr_low is not None
        many = found and (self.tpr_low or 0.0) > MANY_TIMES * (self.fpr or 0.0)
        return many or (self.auc_low > 0.5 and self.auc > limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a hospital says of a model: counts are of patients.

    `passport` and `weights` are digests; `members` were trained on, `others`
    never were. `references` counts the models trained for comparison, `method`
    names the attacks' version, `reason` says why nothing could be concluded.
    """

    passport: Digest
    weights: Digest
    study: StudyId
    agreement: AgreementId
    participant: ParticipantId
    method: str
    time: str
    members: int
    others: int
    references: int
    limit: float
    attacks: tuple[Attack, ...]
    outcome: str
    reason: str

    def as_record(self) -> dict[str, Any]:
        """Give plain JSON: what is signed."""
        return asdict(self) | {"attacks": [asdict(one) for one in self.attacks]}


def conclude(attacks: Sequence[Attack], *, limit: float) -> tuple[str, str]:
    """Return the outcome and, where nothing can be concluded, the reason.

    A leak that an attack shows is one, whatever its control did. Else `passed`
    asks that every attack's control succeeded and that its interval ends at or
    below the limit.

    Examples
    --------
    >>> conclude((), limit=0.6)
    ('inconclusive', 'control_failed')
    """
    if any(one.finds(limit) for one in attacks):
        return LEAKS, ""
    if not attacks or not all(one.controlled for one in attacks):
        return INCONCLUSIVE, CONTROL_FAILED
    if any(one.auc_high > limit for one in attacks):
        return INCONCLUSIVE, TOO_FEW
    return PASSED, ""


def sign_verdict(key: SigningKey, verdict: Verdict) -> str:
    """Sign a verdict as the hospital whose patients it is about; one that is none is refused.

    Raises
    ------
    InputError
        `models.bad_verdict`.
    """
    record = verdict.as_record()
    _read(record)
    return sign_statement(key, KIND, record)


def read_verdict(text: str) -> Verdict:
    """Read a verdict without checking who signed it.

    Raises
    ------
    InputError
        `models.bad_verdict`, `ledger.not_a_statement`.
    """
    return _read(peek_statement(text.strip()))


def verify_verdict(text: str, *, key: PublicKey) -> Verdict:
    """Read a verdict that the holder of `key` signed.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature`.
    InputError
        `models.bad_verdict`.
    """
    return _read(verify_statement(text.strip(), KIND, key))


def _read(record: Mapping[str, Any]) -> Verdict:
    """Read what `as_record` gave, if its figures are possible and its outcome follows from them."""
    try:
        attacks = tuple(Attack(**one) for one in record["attacks"])
        verdict = Verdict(**{**record, "attacks": attacks})
        sound = _is_sound(verdict) and (
            canonical_bytes(verdict.as_record()) == canonical_bytes(dict(record))
        )
    except (TypeError, KeyError, ValueError) as error:
        raise InputError("models.bad_verdict") from error
    if not sound:
        raise InputError("models.bad_verdict")
    return verdict


def _is_sound(verdict: Verdict) -> bool:
    texts = ("passport", "weights", "study", "agreement", "participant", "method", "time")
    counts = (verdict.members, verdict.others, verdict.references)
    shares = [verdict.limit]
    for attack in verdict.attacks:
        found = {item.name: getattr(attack, item.name) for item in fields(attack)}
        if not isinstance(found.pop("name"), str):
            return False
        shares += [value for value in found.values() if value is not None]
    return (
        all(isinstance(getattr(verdict, name), str) for name in texts)
        and all(type(count) is int and count >= 0 for count in counts)
        and all(_is_share(share) for share in shares)
        and conclude(verdict.attacks, limit=verdict.limit) == (verdict.outcome, verdict.reason)
    )


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0.0 <= value <= 1.0
