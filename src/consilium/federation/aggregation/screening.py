"""The screened median: what lies far outside is left out, of the rest the median is taken.

A median alone keeps every site, also one that always sends the opposite: each
weight then takes the value next to the middle, on the attacker's side. Where
honest hospitals differ, that drift adds up over the rounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from consilium.federation.aggregation.averaging import add_update
from consilium.federation.aggregation.fairness import squared_length
from consilium.federation.aggregation.records import Contributions, Rule
from consilium.federation.aggregation.robust import FAULTY, middle_mean
from consilium.federation.contract import Matrix
from consilium.federation.settings_schema import Setting
from consilium.kernel.identifiers import ParticipantId


def screened_sites(
    contributions: Contributions, *, faulty: int, reach: float
) -> list[ParticipantId]:
    """Return the sites that stay, sorted.

    A site is left out when its update lies farther from the median of every
    weight than `reach` times the median of these distances; of several such,
    the `faulty` farthest.

    Parameters
    ----------
    contributions : mapping of participant to Contribution
        More than 3 `faulty`.
    faulty : int
        The most sites that may be left out, 1 or more.
    reach : float
        1 or more; the greater, the fewer are left out.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.
    """
    sites = sorted(contributions)
    middle = middle_mean(contributions, trim=(len(sites) - 1) // 2)
    far: dict[ParticipantId, float] = {}
    for site in sites:
        update = contributions[site].update
        with np.errstate(over="ignore"):
            gap = {name: update[name].astype(np.float64) - middle[name] for name in middle}
        far[site] = math.sqrt(squared_length(gap))
    bound = reach * sorted(far.values())[(len(sites) - 1) // 2]
    outside = sorted((site for site in sites if far[site] > bound), key=lambda site: -far[site])
    left_out = set(outside[:faulty])
    return [site for site in sites if site not in left_out]


def _screened(contributions: Contributions, settings: Mapping[str, Any]) -> dict[str, Matrix]:
    """Take the median of every weight over the sites that stay."""
    stay = screened_sites(contributions, faulty=settings["faulty_sites"], reach=settings["reach"])
    return middle_mean({site: contributions[site] for site in stay}, trim=(len(stay) - 1) // 2)


def _least(settings: Mapping[str, Any]) -> int:
    """Say that among those who stay the faulty must be fewer than half: 3f + 1."""
    return 3 * int(settings["faulty_sites"]) + 1


SCREENING = (
    Rule(
        name="screened_median",
        combine=_screened,
        step=add_update,
        schema=(
            FAULTY,
            Setting(
                name="reach",
                kind="number",
                default=3.0,
                least=1,
                most=1000,
                meaning="Left out is who is farther from the median than so many times the usual.",
            ),
        ),
        least_sites=_least,
    ),
)
