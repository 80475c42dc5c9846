"""The terms, the privacy budget and the place of a hospital, as a space file writes them."""

from __future__ import annotations

from consilium.dataspace.vocabulary import OUTPUTS
from consilium.kernel.identifiers import is_location
from consilium.kernel.tables import Section
from consilium.space.plans import COUNT, DAYS, MAX_ROUNDS, MIN_COHORT, TermsPlan

GREATEST = 1_000_000
_LEAST_EPSILON, _GREATEST_EPSILON = 1e-6, 1e6
_GREATEST_DELTA = 0.5


def read_terms(section: Section) -> TermsPlan:
    """Read `[terms]`; a key that is left out of the second half is no term at all.

    Raises
    ------
    ConsiliumError
        What the section's refusals are made into.
    """
    epsilon, delta = _loss(section)
    plan = TermsPlan(
        purposes=section.lines("purposes"),
        recipients=section.lines("recipients"),
        days=section.whole("days", low=1, high=3650, default=DAYS),
        count=section.whole("count", low=1, high=GREATEST, default=COUNT),
        max_rounds=section.whole("max_rounds", low=1, high=GREATEST, default=MAX_ROUNDS),
        min_cohort=section.whole("min_cohort", low=1, high=GREATEST, default=MIN_COHORT),
        min_participants=(
            section.whole("min_participants", low=1, high=1_000)
            if section.has("min_participants")
            else None
        ),
        epsilon=epsilon,
        delta=delta,
        outputs=_outputs(section),
        secure_aggregation=(
            section.flag("secure_aggregation") if section.has("secure_aggregation") else None
        ),
        spatial=_places(section),
    )
    section.end()
    return plan


def read_budget(section: Section) -> dict[str, float]:
    """Read `[budget]`: the dataset's own privacy budget; empty if the node's usual one holds."""
    epsilon, delta = _loss(section)
    section.end()
    both = {"epsilon": epsilon, "delta": delta}
    return {name: value for name, value in both.items() if value is not None}


def read_location(section: Section) -> str:
    """Read a hospital's `location`: a country or a region of one, empty if not given."""
    location = section.line("location", default="")
    if location and not is_location(location):
        raise section.refuse("space.bad_location", "location", name=location)
    return location


def _loss(section: Section) -> tuple[float | None, float | None]:
    epsilon = delta = None
    if section.has("epsilon"):
        epsilon = section.number("epsilon", low=_LEAST_EPSILON, high=_GREATEST_EPSILON)
    if section.has("delta"):
        delta = section.number("delta", low=0, high=_GREATEST_DELTA)
    return epsilon, delta


def _outputs(section: Section) -> tuple[str, ...]:
    found = section.lines("outputs") if section.has("outputs") else ()
    for one in found:
        if one not in OUTPUTS:
            known = ", ".join(OUTPUTS)
            raise section.refuse("space.unknown_name", "outputs", name=one, known=known)
    return found


def _places(section: Section) -> tuple[str, ...]:
    found = section.lines("spatial") if section.has("spatial") else ()
    for one in found:
        if not is_location(one):
            raise section.refuse("space.bad_location", "spatial", name=one)
    return found
