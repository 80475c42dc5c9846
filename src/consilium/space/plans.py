"""What a space file says, as records: the hub, the hospitals, their datasets, the studies."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consilium.kernel.errors import NotFoundError
from consilium.kernel.identifiers import ParticipantId, participant_id
from consilium.ledger.jointokens import HUB

HUB_NAME = HUB
"""The hub's own short name; no hospital may take it."""
DAYS, COUNT, MAX_ROUNDS, MIN_COHORT = 365, 10, 100, 10
"""Terms where the file sets none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubPlan:
    """Where the hub listens. A port of 0 means: pick a free one."""

    host: str = "127.0.0.1"
    port: int = 0
    engine_port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsPlan:
    """What a hospital allows with a dataset; `recipients` are members' short names."""

    purposes: tuple[str, ...]
    recipients: tuple[str, ...]
    days: int = DAYS
    count: int = COUNT
    max_rounds: int = MAX_ROUNDS
    min_cohort: int = MIN_COHORT
    min_participants: int | None = None
    epsilon: float | None = None
    delta: float | None = None
    outputs: tuple[str, ...] = ()
    secure_aggregation: bool | None = None
    spatial: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPlan:
    """One table of one hospital.

    `schema` is the name of a built-in schema or the path of a TOML file.
    `public` says that the data are open to anyone; only then may they be
    pooled for comparison. `budget` may hold `epsilon` and `delta`, the privacy
    loss that all agreements on the dataset may cost together.
    """

    name: str
    title: str
    path: Path
    schema: str
    public: bool
    governance: dict[str, Any]
    terms: TermsPlan
    budget: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantPlan:
    """One hospital of the space; `location` is a country or region such as `CN-BJ`, or empty."""

    name: str
    title: str
    location: str = ""
    datasets: tuple[DatasetPlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """One study: who leads it, on which dataset of each hospital, and how it learns."""

    name: str
    title: str
    question: str
    purpose: str
    lead: str
    datasets: dict[str, str]
    recipe: str
    settings: dict[str, Any] = field(default_factory=dict)
    rule: str = "fedavg"
    rule_settings: dict[str, Any] = field(default_factory=dict)
    rounds: int
    quorum: int
    deadline_s: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpacePlan:
    """Everything the space file says."""

    name: str
    title: str
    hub: HubPlan
    participants: tuple[ParticipantPlan, ...]
    studies: tuple[StudyPlan, ...]

    def id_of(self, member: str) -> ParticipantId:
        """Give a member's identifier in this space."""
        return participant_id(self.name, member)

    def get_participant(self, name: str) -> ParticipantPlan:
        """Return the hospital of that short name; the file was checked, so it exists."""
        return next(each for each in self.participants if each.name == name)

    def get_dataset(self, member: str, name: str) -> DatasetPlan:
        """Return a hospital's dataset by its short name."""
        return next(each for each in self.get_participant(member).datasets if each.name == name)

    def get_study(self, name: str = "") -> StudyPlan:
        """Return a study by its short name, or the first.

        Raises
        ------
        NotFoundError
            `space.no_study`.
        """
        for study in self.studies:
            if name in ("", study.name):
                return study
        known = ", ".join(study.name for study in self.studies)
        raise NotFoundError("space.no_study", name=name, known=known)

    def is_public(self, study: StudyPlan) -> bool:
        """Say whether every dataset of a study is declared public."""
        return all(self.get_dataset(who, name).public for who, name in study.datasets.items())
