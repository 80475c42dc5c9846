"""Passports: the signed record of a model, from whose data it came and how it did there.

A model without its history cannot be judged by a clinic. The passport names the
weights by digest, the study and agreements they came from, every dataset by
fingerprint, and how the model did on each hospital's own held-out patients,
beside the rows it must be compared with. The lead signs it; anyone with the
lead's key can check it against the weights, offline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from consilium.kernel.canonical import (
    Digest,
    Json,
    canonical_bytes,
    digest_of,
    is_digest,
    read_json,
)
from consilium.kernel.errors import InputError, IntegrityError
from consilium.kernel.identifiers import AgreementId, ParticipantId, StudyId
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement

KIND = "passport"
RESEARCH_ONLY = "Research use. Not a medical device; not for decisions about single patients."
NO_NOISE = "No differential privacy was applied; updates were bounded in shape and number only."
NOISE = (
    "Each training patient is hidden by noise at the epsilon and delta said under privacy; "
    "inputs are scaled by the declared ranges."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One field that the model reads; `categories` in the order of their index.

    `shape` is (height, width, channels) of an image, (length, channels) of a
    signal, empty for a column.
    """

    name: str
    kind: str
    unit: str = ""
    categories: tuple[str, ...] = ()
    modality: str = "table"
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What the model is and does: recipe, inputs, label and array shapes.

    `recipe_digest` is that of the installed recipe's files; `family` is for
    people, such as `logistic regression`. `classes` are in the order of their
    index, where the model tells several apart; `unit` is that of a number or a time.
    """

    task: str
    family: str
    recipe: str
    recipe_version: str
    recipe_digest: Digest
    settings: dict[str, Any]
    inputs: tuple[Input, ...]
    label: str
    arrays: dict[str, tuple[int, ...]]
    classes: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where the model comes from. `plan` is the signed study's digest, `start` the first model's.

    `parents` are the models it was grown from; none when it started fresh.
    """

    study: StudyId
    plan: Digest
    title: str
    question: str
    purpose: str
    lead: ParticipantId
    rule: str
    rounds: int
    seed: int
    start: Digest
    parents: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRecord:
    """One hospital's part, and how the models did on its own held-out patients.

    `fingerprint` names the dataset as its catalogue does. `rounds` counts the
    rounds that the hospital's updates went into. `rows` holds, by candidate
    (`federated`, `recalibrated`, `fine_tuned`, `personalised`, `local`,
    `majority`) and metric, a figure with `value`, `low`, `high`, `n` and
    `reason`. `reply` is the digest of the signed reply statement that the
    figures were taken from; empty when the hospital
    gave none, and then there are no rows.
    """

    participant: ParticipantId
    agreement: AgreementId
    fingerprint: Digest
    n_train: int | None
    n_test: int | None
    rounds: int
    rows: dict[str, Any] = field(default_factory=dict)
    chosen: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passport:
    """The record that the lead signs.

    `weights` is the digest of the safetensors file. `privacy` is empty when no
    privacy budget was spent. `intended_use` and `limitations` are for people.
    """

    weights: Digest
    name: str
    capability: Capability
    lineage: Lineage
    sites: tuple[SiteRecord, ...]
    issuer: ParticipantId
    created: str
    privacy: dict[str, Any] = field(default_factory=dict)
    intended_use: str = RESEARCH_ONLY
    limitations: tuple[str, ...] = (NO_NOISE,)

    def as_record(self) -> dict[str, Any]:
        """Give plain JSON: what is signed."""
        plain: Any = read_json(canonical_bytes(_plain(asdict(self))))
        return dict(plain)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Passport:
        """Read what `as_record` gave, and nothing else.

        Raises
        ------
        InputError
            `models.bad_passport` when a field is missing, unknown or misshapen.
        """
        try:
            passport = _read(record)
            digests = [passport.weights, passport.lineage.plan, passport.lineage.start]
            sound = all(map(is_digest, digests))
            same = canonical_bytes(passport.as_record()) == canonical_bytes(dict(record))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise InputError("models.bad_passport") from error
        if not sound or not same:
            raise InputError("models.bad_passport")
        return passport

    @property
    def digest(self) -> Digest:
        """Fingerprint of the record."""
        return digest_of(canonical_bytes(self.as_record()))


def sign_passport(key: SigningKey, passport: Passport) -> str:
    """Sign a passport as its issuer; a record that could not be read back is refused."""
    record = passport.as_record()
    Passport.from_record(record)
    return sign_statement(key, KIND, record)


def read_passport(text: str) -> Passport:
    """Read a passport without checking who signed it: to show it, or to find whose key to ask for.

    Raises
    ------
    InputError
        `models.bad_passport`, `ledger.not_a_statement`.
    """
    return Passport.from_record(peek_statement(text.strip()))


def verify_passport(text: str, *, key: PublicKey, weights: bytes | None = None) -> Passport:
    """Read a passport that the holder of `key` signed, and compare it with the weights.

    Parameters
    ----------
    text : str
        The signed statement.
    key : PublicKey
        The issuer's.
    weights : bytes, optional
        The model's file; without it only the signature is checked.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature`; `models.other_weights` when the file is not the
        one that the passport names.
    InputError
        `models.bad_passport`.
    """
    passport = Passport.from_record(verify_statement(text.strip(), KIND, key))
    if weights is not None and digest_of(weights) != passport.weights:
        raise IntegrityError("models.other_weights", named=passport.weights)
    return passport


def figure(site: SiteRecord, row: str, metric: str) -> Mapping[str, Any] | None:
    """Return one figure of a site's rows if it is there and defined."""
    found = site.rows.get(row, {}).get(metric)
    return found if found and found.get("value") is not None else None


def _plain(value: Any) -> Json:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    plain: Json = value
    return plain


def _read(record: Mapping[str, Any]) -> Passport:
    found = dict(record)
    ability = dict(found["capability"])
    ability["inputs"] = tuple(
        Input(**one | {name: tuple(one[name]) for name in ("categories", "shape")})
        for one in ability["inputs"]
    )
    ability["classes"] = tuple(ability["classes"])
    ability["arrays"] = {name: tuple(shape) for name, shape in ability["arrays"].items()}
    lineage = dict(found["lineage"])
    lineage["parents"] = tuple(lineage["parents"])
    found["capability"] = Capability(**ability)
    found["lineage"] = Lineage(**lineage)
    found["sites"] = tuple(SiteRecord(**site) for site in found["sites"])
    found["limitations"] = tuple(found["limitations"])
    if set(found) != {item.name for item in fields(Passport)}:
        raise KeyError("fields")
    return Passport(**found)
