"""Robust rules: one site, or a few, cannot carry the model where they like.

They judge a site by its update alone. A hospital whose patients truly differ
looks like an attacker to them, so each costs something without an attack, and
each needs updates that the hub sees one by one. Median, trimmed mean and Krum
give every site one voice: a number of cases is a site's own word.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from consilium.federation.aggregation.averaging import add_update, mean_update
from consilium.federation.aggregation.fairness import squared_length
from consilium.federation.aggregation.records import Contribution, Contributions, Rule
from consilium.federation.contract import Matrix
from consilium.federation.settings_schema import Setting
from consilium.models.weights import Arrays


def clip_updates(contributions: Contributions, *, max_norm: float) -> dict[Any, Contribution]:
    """Scale each update so that its L2 length over all arrays is at most the bound.

    Parameters
    ----------
    contributions : mapping of participant to Contribution
    max_norm : float
        The bound, in the unit of the weights; 0 takes the median of this
        round's lengths, the lower one of two, so that fewer than half of the
        sites cannot raise it above an honest length.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.

    Sources
    -------
    Sun, Kairouz, Suresh, McMahan, 2019, arXiv:1911.07963 (norm clipping).
    """
    lengths = {
        site: math.sqrt(squared_length(contributions[site].update)) for site in contributions
    }
    bound = max_norm or sorted(lengths.values())[(len(lengths) - 1) // 2]
    return {
        site: one if lengths[site] <= bound else _scale(one, bound / lengths[site])
        for site, one in sorted(contributions.items())
    }


def _scale(contribution: Contribution, factor: float) -> Contribution:
    update = {
        name: factor * array.astype(np.float64) for name, array in contribution.update.items()
    }
    return replace(contribution, update=update)


def middle_mean(contributions: Contributions, *, trim: int) -> dict[str, Matrix]:
    """Drop the `trim` lowest and highest values of every weight, and average the rest.

    The result lies within the values kept, to the last bit.

    Parameters
    ----------
    contributions : mapping of participant to Contribution
        More than 2 `trim`.
    trim : int
        0 or more. (K - 1) // 2 gives the coordinate median.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.

    Sources
    -------
    Yin, Chen, Ramchandran, Bartlett, ICML 2018, arXiv:1803.01498.
    """
    parts = [contributions[site].update for site in sorted(contributions)]
    middle: dict[str, Matrix] = {}
    for name in sorted(parts[0]):
        ranked = np.sort(np.stack([part[name].astype(np.float64) for part in parts]), axis=0)
        kept = ranked[trim : len(parts) - trim]
        mean = np.zeros(kept.shape[1:])
        for values in kept:
            mean += values / len(kept)
        middle[name] = np.clip(mean, kept[0], kept[-1])
    return middle


def krum_scores(contributions: Contributions, *, faulty: int) -> dict[Any, float]:
    """Return each site's sum of squared distances to its K - faulty - 2 nearest others.

    K(K - 1)/2 distances over all weights.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.

    Sources
    -------
    Blanchard, El Mhamdi, Guerraoui, Stainer, NIPS 2017, arXiv:1703.02757.
    """
    sites = sorted(contributions)
    apart: dict[Any, list[float]] = {site: [] for site in sites}
    for place, one in enumerate(sites):
        for other in sites[place + 1 :]:
            gap = _squared_gap(contributions[one].update, contributions[other].update)
            apart[one].append(gap)
            apart[other].append(gap)
    near = len(sites) - faulty - 2
    return {site: math.fsum(sorted(gaps)[:near]) for site, gaps in apart.items()}


def _squared_gap(one: Arrays, other: Arrays) -> float:
    with np.errstate(over="ignore"):
        gaps = {name: one[name].astype(np.float64) - other[name] for name in one}
    return squared_length(gaps)


def _clipped(contributions: Contributions, settings: Mapping[str, Any]) -> dict[str, Matrix]:
    """Average the clipped updates, by cases or one voice each."""
    clipped = clip_updates(contributions, max_norm=settings["max_norm"])
    if settings["weights"] == "equal":
        clipped = {site: replace(one, n=1) for site, one in clipped.items()}
    return mean_update(clipped)


def _median(contributions: Contributions, settings: Mapping[str, Any]) -> dict[str, Matrix]:
    """Take the median of every weight; between an even number the two middle ones' mean."""
    del settings
    return middle_mean(contributions, trim=(len(contributions) - 1) // 2)


def _trimmed(contributions: Contributions, settings: Mapping[str, Any]) -> dict[str, Matrix]:
    """Average every weight without as many extremes at either end as sites may be faulty."""
    return middle_mean(contributions, trim=settings["faulty_sites"])


def _krum(contributions: Contributions, settings: Mapping[str, Any]) -> dict[str, Matrix]:
    """Average the `keep` updates of lowest score; equal scores by the sites' order."""
    faulty = settings["faulty_sites"]
    keep = settings["keep"] or len(contributions) - faulty - 2
    scores = krum_scores(contributions, faulty=faulty)
    chosen = sorted(scores, key=lambda site: (scores[site], site))[:keep]
    return middle_mean({site: contributions[site] for site in chosen}, trim=0)


def _three(settings: Mapping[str, Any]) -> int:
    """Say that fewer than half can only be outvoted among three."""
    del settings
    return 3


def _least_clipped(settings: Mapping[str, Any]) -> int:
    """Say that a bound of one's own needs nobody, the median of lengths three."""
    return 1 if settings["max_norm"] else 3


def _least_trimmed(settings: Mapping[str, Any]) -> int:
    """Say that at least one value of each weight must be kept: 2f + 1."""
    return 2 * int(settings["faulty_sites"]) + 1


def _least_krum(settings: Mapping[str, Any]) -> int:
    """Say Blanchard's condition 2f + 3, and that only K - f - 2 updates may be kept."""
    faulty = int(settings["faulty_sites"])
    return max(2 * faulty + 3, faulty + 2 + int(settings["keep"]))


FAULTY = Setting(
    name="faulty_sites",
    kind="whole",
    default=1,
    least=1,
    most=499,
    meaning="How many sites may send anything at all without carrying the model away.",
)
_CLIPPED_SETTINGS = (
    Setting(
        name="max_norm",
        kind="number",
        default=0.0,
        least=0,
        most=1e9,
        meaning="Greatest length of an update; 0 takes the median of the round's lengths.",
    ),
    Setting(
        name="weights",
        kind="choice",
        default="cases",
        choices=("cases", "equal"),
        meaning="Sites weigh by their cases, or all the same.",
    ),
)
_KRUM_SETTINGS = (
    FAULTY,
    Setting(
        name="keep",
        kind="whole",
        default=1,
        least=0,
        most=998,
        meaning="How many updates are averaged: 1 is Krum, more is multi-Krum, 0 all it allows.",
    ),
)

ROBUST = (
    Rule(
        name="clipped",
        combine=_clipped,
        step=add_update,
        schema=_CLIPPED_SETTINGS,
        least_sites=_least_clipped,
    ),
    Rule(name="median", combine=_median, step=add_update, least_sites=_three),
    Rule(
        name="trimmed_mean",
        combine=_trimmed,
        step=add_update,
        schema=(FAULTY,),
        least_sites=_least_trimmed,
    ),
    Rule(
        name="krum",
        combine=_krum,
        step=add_update,
        schema=_KRUM_SETTINGS,
        least_sites=_least_krum,
    ),
)
