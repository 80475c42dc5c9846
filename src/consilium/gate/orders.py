"""Orders: what a hospital is asked to admit, and how it knows who asks.

A *study* is the lead's signed plan. An *order* adds only what a segment of it
needs: number, attempt, first round and the starting model, which must be the
signed start or a round that a quorum of sites countersigned. So the hub, which
writes orders, can delay a study but not widen it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from consilium.gate.plain import bad, from_plain, to_plain
from consilium.kernel.canonical import Digest, canonical_bytes, digest_of, read_json
from consilium.kernel.clock import read_time
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import AgreementId, DatasetId, ParticipantId, StudyId
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.statements import peek_statement, sign_statement, verify_statement

LARGEST_ORDER = 4 * 1024 * 1024
KINDS = ("number", "category", "image", "signal")
TARGETS = ("binary", "classes", "number", "survival", "mask")
TABLE = "table"
"""Modality of a column that names none."""
MOST_ROUNDS = 100_000
RANGES = {"rounds": (1, MOST_ROUNDS), "seed": (0, 2**53 - 1), "deadline_s": (0.1, 86_400)}
"""Least and greatest values of a plan's numbers, both allowed."""
LONGEST_AXIS = 65_536
MOST_CLASSES = 1_000
LONGEST_WORDS = 400
"""Letters of a plan's title, purpose and names."""
_AXES = {"number": (0, 0), "category": (0, 0), "image": (3, 3), "signal": (2, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldNeed:
    """One field that a study requires of every site that has its modality.

    `kind` is one of `KINDS`. `shape` is (height, width, channels) of an image,
    (length, channels) of a signal, empty for a column of the table.
    """

    name: str
    kind: str
    unit: str = ""
    categories: tuple[str, ...] = ()
    modality: str = TABLE
    shape: tuple[int, ...] = ()

    @property
    def is_column(self) -> bool:
        """Say whether the field is a column of the table."""
        return self.kind in ("number", "category")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a model of the study predicts: one of `TARGETS`.

    `classes` names the classes of the kind `classes`, in the order of their
    index; `unit` belongs to a number, or to the time of a survival target.
    """

    kind: str = "binary"
    classes: tuple[str, ...] = ()
    unit: str = ""


BINARY = Target()
"""A label that is yes or no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeRef:
    """A recipe by name, version and the digest of its installed files."""

    name: str
    version: str
    digest: Digest
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One hospital's place in a study: its agreement, its dataset and its pinned key.

    `lacks` names the study's modalities that this hospital does not have.
    """

    participant: ParticipantId
    agreement: AgreementId
    dataset: DatasetId
    key: str  # Ed25519 public key, base64url without padding
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayNeed:
    """Name and shape of one array of the study's model; updates must have the same."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The lead's plan. Everything a hospital must know before it says yes.

    `rounds` is at least 1; `quorum` at least 2 unless the study has one site;
    `deadline_s` bounds one round; times are ISO 8601 in UTC. `layout` holds the
    model's arrays, so that the plan's signature also bounds what an update can
    carry; without it a site keeps all updates to the layout of its first one.
    """

    study: StudyId
    space: str
    title: str
    question: str
    purpose: str
    lead: ParticipantId
    recipe: RecipeRef
    features: tuple[FieldNeed, ...]
    label: str
    rule: str  # aggregation rule by name
    rule_settings: dict[str, Any] = field(default_factory=dict)
    start: Digest  # of the starting model's bytes
    rounds: int
    quorum: int
    deadline_s: float
    seed: int
    sites: tuple[Invitation, ...]
    created: str
    expires: str
    layout: tuple[ArrayNeed, ...] = ()
    target: Target = BINARY

    def as_json(self) -> bytes:
        """Write the canonical bytes that the lead signs and everyone fingerprints."""
        return canonical_bytes(to_plain(self))

    @property
    def digest(self) -> Digest:
        """Fingerprint of the plan."""
        return digest_of(self.as_json())

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities of the study's fields, each once, in their order."""
        return tuple(dict.fromkeys(need.modality for need in self.features))

    def find_site(self, participant: ParticipantId) -> Invitation | None:
        """Return a participant's place in the study, or `None` if it has none."""
        return next((site for site in self.sites if site.participant == participant), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One segment of a study, as the hub asks for it.

    `signed_study` is the lead's signed statement of the study. `countersigned`
    holds the sites' signed statements (kind `round`) over the model that the
    segment starts from; empty when it starts from `Study.start`. `segment` and
    `attempt` count from 1, and the pair never goes back; `first_round` is
    between 1 and one past the last round (then only the evaluation is left).
    """

    signed_study: str
    segment: int
    attempt: int
    first_round: int
    start: Digest
    countersigned: tuple[str, ...] = ()

    def as_json(self) -> bytes:
        """Write canonical bytes; the same order always gives the same bytes."""
        return canonical_bytes(to_plain(self))

    @property
    def digest(self) -> Digest:
        """Fingerprint of the order."""
        return digest_of(self.as_json())

    @classmethod
    def from_json(cls, data: bytes) -> Order:
        """Read what `as_json` wrote.

        Raises
        ------
        InputError
            `gate.bad_order` when a field is missing, doubled, unknown or out of range.
        """
        if len(data) > LARGEST_ORDER:
            raise bad("order", "is too large")
        order = from_plain(cls, _json(data))
        _within(order.segment, "segment", 1, 1_000_000)
        _within(order.attempt, "attempt", 1, 1_000_000)
        _within(order.first_round, "first_round", 1, MOST_ROUNDS + 1)
        return order


def study_from_json(data: bytes) -> Study:
    """Read what `Study.as_json` wrote.

    Raises
    ------
    InputError
        `gate.bad_order` when a field is missing, doubled, unknown or out of range.
    """
    return check_study(from_plain(Study, _json(data)))


def sign_study(key: SigningKey, study: Study) -> str:
    """Sign a plan as its lead. A plan that could not be read back is refused."""
    study_from_json(study.as_json())
    return sign_statement(key, "study", cast("dict[str, Any]", to_plain(study)))


@lru_cache(maxsize=16)
def peek_study(signed: str) -> Study:
    """Read a signed plan without checking the signature: only to learn whose key to ask for.

    The latest plans are remembered: one of a thousand hospitals takes a fifth
    of a second to read, and every hospital's every task asks for it.

    Raises
    ------
    InputError
        `gate.bad_order`, or `ledger.not_a_statement`.
    """
    return study_from_json(canonical_bytes(peek_statement(signed)))


def verify_study(signed: str, *, key: PublicKey) -> Study:
    """Read a signed plan whose lead holds `key`.

    Raises
    ------
    IntegrityError
        `ledger.bad_signature` when somebody else signed it.
    InputError
        `gate.bad_order`.
    """
    return study_from_json(canonical_bytes(verify_statement(signed, "study", key)))


def check_study(study: Study) -> Study:
    """Return the plan if its values are possible; see `Study` for the ranges.

    Raises
    ------
    InputError
        `gate.bad_order` naming the field.
    """
    # 1. Numbers.
    for name, (low, high) in RANGES.items():
        _within(getattr(study, name), name, low, high)
    # 2. Sites: each hospital, agreement and key once; a quorum that can be met.
    _within(len(study.sites), "sites", 1, 1_000)
    for part in ("participant", "agreement", "key"):
        _distinct((getattr(site, part) for site in study.sites), f"sites.{part}")
    _within(study.quorum, "quorum", min(2, len(study.sites)), len(study.sites))
    for site in study.sites:
        _check_key(site.key)
    # 3. Columns and the model's arrays.
    _check_features(study)
    _check_target(study.target)
    _check_lacks(study)
    _distinct((array.name for array in study.layout), "layout.name")
    for array in study.layout:
        _within(len(array.shape), "layout.shape", 0, 8)
        for length in array.shape:
            _within(length, "layout.shape", 0, 2**40)
    # 4. Words and times.
    for name in ("space", "title", "purpose", "label", "rule"):
        _within(len(getattr(study, name)), name, 1, LONGEST_WORDS)
    if _time(study.created, "created") >= _time(study.expires, "expires"):
        raise bad("expires", "is not after its creation")
    return study


def _check_features(study: Study) -> None:
    _within(len(study.features), "features", 1, 10_000)
    _distinct((need.name for need in study.features), "features.name")
    if study.label in {need.name for need in study.features}:
        raise bad("label", "is also a feature")
    for need in study.features:
        for name in ("name", "modality"):
            _within(len(getattr(need, name)), f"features.{name}", 1, 200)
        if need.kind not in KINDS:
            raise bad("features.kind", f"is none of {', '.join(KINDS)}")
        _within(len(need.shape), "features.shape", *_AXES[need.kind])
        for length in need.shape:
            _within(length, "features.shape", 1, LONGEST_AXIS)
        _distinct(need.categories, "features.categories")
        if (need.kind == "category") != bool(need.categories):
            raise bad("features.categories", "does not fit the kind")


def _check_target(target: Target) -> None:
    if target.kind not in TARGETS:
        raise bad("target.kind", f"is none of {', '.join(TARGETS)}")
    _distinct(target.classes, "target.classes")
    several = target.kind == "classes"
    _within(len(target.classes), "target.classes", *((2, MOST_CLASSES) if several else (0, 0)))


def _check_lacks(study: Study) -> None:
    """Each hospital lacks modalities of the study only, and not all; somebody has each."""
    known = set(study.modalities)
    for site in study.sites:
        _distinct(site.lacks, "sites.lacks")
        if not set(site.lacks) < known:
            raise bad("sites.lacks", "leaves nothing, or names what the study does not ask for")
    if set.intersection(*(set(site.lacks) for site in study.sites)):
        raise bad("sites.lacks", "leaves a modality that no hospital has")


def _check_key(text: str) -> None:
    try:
        PublicKey.from_text(text)
    except InputError as error:
        raise bad("sites.key", "is not a public key") from error


def _json(data: bytes) -> Any:
    try:
        return read_json(data)
    except (InputError, UnicodeDecodeError) as error:
        raise bad("order", "is not JSON with each key once") from error


def _within(value: float, name: str, low: float, high: float) -> None:
    if not low <= value <= high:
        raise bad(name, f"is not between {low} and {high}")


def _distinct(values: Iterable[str], name: str) -> None:
    listed = list(values)
    if len(set(listed)) != len(listed):
        raise bad(name, "stands twice")


def _time(text: str, name: str) -> Any:
    try:
        return read_time(text)
    except ValueError as error:
        raise bad(name, "is not a time") from error
