"""What a transfer must know of a study: that it is signed, meant for us, and within the terms.

The plan itself belongs to the gate. Here only those of its fields are read on
which an agreement has something to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consilium.dataspace.policy import evaluate
from consilium.dataspace.records import Agreement
from consilium.dataspace.vocabulary import (
    ALGORITHM,
    COUNT,
    DELTA,
    EPSILON,
    MAX_ROUNDS,
    MIN_COHORT,
    MIN_PARTICIPANTS,
    MODEL,
    OUTPUT,
    PURPOSE,
    RECIPIENT,
    SECURE,
    SPATIAL,
    TIME,
    UNBOUNDED,
    read_moment,
    read_whole,
    read_word,
)
from consilium.kernel.canonical import Digest, digest_json
from consilium.kernel.errors import DeniedError, InputError, IntegrityError
from consilium.kernel.identifiers import StudyId
from consilium.ledger.keys import PublicKey
from consilium.ledger.statements import verify_statement

KIND = "study"
NOISY = "noisy"
"""What a plan says of its figures when everything that leaves carries noise."""
_LATER = frozenset({COUNT, MIN_COHORT, SPATIAL})
"""Judged at admission, where the study is counted, and cohort and places are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyClaims:
    """Those fields of a signed study that an agreement speaks of."""

    study: StudyId
    digest: Digest
    lead: str
    purpose: str
    rounds: int
    recipe: str
    expires: datetime
    sites: tuple[Mapping[str, Any], ...]


def verify_study(signed: str, agreement: Agreement, *, now: datetime) -> StudyClaims:
    """Check a signed study against the agreement under which it is to run.

    Plan: (1) the consumer signed it with the key of the agreement; (2) its lead
    is the consumer; (3) it names the provider, with its key, this agreement and
    its dataset; (4) it has not expired; (5) the terms allow purpose, rounds,
    recipe, quorum and end, and a model that is learnt from exact updates, or
    from noisy ones that cost what the plan says.

    Raises
    ------
    InputError
        `dataspace.bad_study`.
    DeniedError
        `dataspace.study_not_signed`, `dataspace.study_elsewhere`, or the code
        of the term that does not hold.

    Discloses
    ---------
    Nothing.
    """
    # 1. Signature.
    try:
        payload = verify_statement(signed, KIND, PublicKey.from_text(agreement.consumer_key))
    except IntegrityError as error:
        raise DeniedError("dataspace.study_not_signed", rule="signature") from error
    claims = _read_claims(payload)
    # 2. Lead.
    if claims.lead != agreement.consumer:
        raise DeniedError("dataspace.study_elsewhere", rule="lead")
    # 3. Place.
    ours = {
        "participant": agreement.provider,
        "agreement": agreement.id,
        "dataset": agreement.dataset,
        "key": agreement.provider_key,
    }
    if not any(all(site.get(name) == ours[name] for name in ours) for site in claims.sites):
        raise DeniedError("dataspace.study_elsewhere", rule="sites")
    # 4. Time of the plan.
    if claims.expires <= now:
        raise DeniedError("dataspace.outside_time", rule="expires")
    # 5. Terms. The plan must end within the agreement.
    facts = {
        PURPOSE: claims.purpose,
        TIME: claims.expires,
        MAX_ROUNDS: claims.rounds,
        RECIPIENT: claims.lead,
        ALGORITHM: claims.recipe,
        MIN_PARTICIPANTS: payload.get("quorum"),
        OUTPUT: MODEL,
        **_loss(payload.get("privacy")),
        SECURE: isinstance(payload.get("secure"), dict),
    }
    evaluate(agreement.policy, facts, later=_LATER).require()
    return claims


def _loss(privacy: object) -> dict[str, Any]:
    """Say what a plan claims to cost; the gate computes it before anything is opened."""
    if isinstance(privacy, dict) and privacy.get("figures") == NOISY:
        return {EPSILON: privacy.get("epsilon"), DELTA: privacy.get("delta")}
    return {EPSILON: UNBOUNDED, DELTA: 0}


def no_study(name: str) -> StudyClaims:
    """Stand in for the study that a conformance run does not have.

    Discloses
    ---------
    Nothing. No gate lets through what nobody has signed.
    """
    return StudyClaims(
        study=StudyId(name),
        digest=digest_json(None),
        lead="",
        purpose="",
        rounds=0,
        recipe="",
        expires=datetime.max.replace(tzinfo=UTC),
        sites=(),
    )


def _read_claims(payload: dict[str, Any]) -> StudyClaims:
    field = ""
    try:
        found: dict[str, Any] = {}
        for field, read in _READERS.items():
            found[field] = read(payload[field])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("dataspace.bad_study", field=field) from error
    return StudyClaims(
        study=StudyId(found["study"]),
        digest=digest_json(payload),
        lead=found["lead"],
        purpose=found["purpose"],
        rounds=found["rounds"],
        recipe=found["recipe"],
        expires=found["expires"],
        sites=found["sites"],
    )


def _read_sites(value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise ValueError("no list of sites")
    return tuple(value)


_READERS = {
    "study": read_word,
    "lead": read_word,
    "purpose": read_word,
    "rounds": read_whole,
    "recipe": lambda value: read_word(value["digest"]),
    "expires": read_moment,
    "sites": _read_sites,
}
