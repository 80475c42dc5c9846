"""From what a person writes to what a node takes: terms and study drafts.

People name hospitals by short names and time by days; the node wants
identifiers and moments. It turns recipes' names into their digests itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from consilium.federation.registry import installed_recipes
from consilium.gate.statistics import NAME as STATISTICS
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.identifiers import ParticipantId, participant_id
from consilium.space.plans import StudyPlan, TermsPlan

_DRAFT = (
    "title", "question", "purpose", "recipe", "settings", "rule", "rule_settings", "privacy",
    "rounds", "quorum", "deadline_s", "seed", "secure", "modalities", "subgroups",
)  # fmt: skip
_OPTIONAL = (
    "min_participants", "epsilon", "delta", "outputs", "secure_aggregation", "spatial",
)  # fmt: skip


def terms_record(
    terms: TermsPlan, *, space: str, recipes: Collection[str], clock: Clock
) -> dict[str, Any]:
    """Write terms as a node takes them.

    Parameters
    ----------
    terms : TermsPlan
        With short names and days.
    space : str
        The space that the names belong to.
    recipes : collection of str
        Recipes to allow, by name, besides statistics; every installed one if empty.
    clock : Clock
        From when the days count.
    """
    record: dict[str, Any] = {
        "purposes": list(terms.purposes),
        "not_after": write_time(clock.now() + timedelta(days=terms.days)),
        "count": terms.count,
        "max_rounds": terms.max_rounds,
        "min_cohort": terms.min_cohort,
        "recipients": [full_id(name, space=space) for name in terms.recipients],
        "algorithms": sorted({*(recipes or installed_recipes()), STATISTICS}),
    }
    further = {name: getattr(terms, name) for name in _OPTIONAL}
    return record | {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in further.items()
        if value not in (None, ())
    }


def draft_record(study: StudyPlan, *, space: str) -> dict[str, Any]:
    """Write a study's plan as its lead's node takes it."""
    kept = asdict(study)
    invite = [
        {"participant": full_id(member, space=space), "dataset": dataset}
        for member, dataset in study.datasets.items()
    ]
    return {key: kept[key] for key in _DRAFT} | {
        "invite": invite,
        "subgroups": list(study.subgroups),
    }


def full_id(name: str, *, space: str) -> ParticipantId:
    """Return a participant's identifier; one that is given in full stays as it is."""
    return ParticipantId(name) if ":" in name else participant_id(space, name)
