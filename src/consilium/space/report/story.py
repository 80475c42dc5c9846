"""What the report tells besides the figures: who took part, on which terms, with what proof."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One hospital of the study; `public` says that its data are declared open."""

    id: str
    title: str
    dataset: str
    public: bool
    lead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsLine:
    """What one hospital agreed to, as it stands in the signed agreement.

    `not_after` is ISO 8601; `count`, `max_rounds` and `min_cohort` are null
    where the agreement sets no such bound.
    """

    provider: str
    agreement: str
    purposes: tuple[str, ...]
    not_after: str
    count: int | None
    max_rounds: int | None
    min_cohort: int | None
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLine:
    """One member's evidence log: entries, and whether it was proved whole just now.

    `witnessed` says that it also fits a checkpoint that the hub had kept.
    """

    member: str
    entries: int
    verified: bool
    witnessed: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything the report needs that is not a figure of the result record."""

    space: str
    title: str
    question: str
    purpose: str
    members: tuple[Member, ...]
    terms: tuple[TermsLine, ...]
    evidence: tuple[EvidenceLine, ...]
    home: str
    created: str
    version: str
