"""FLTrust: updates are believed as far as they point where a trusted one points.

The root is a participant whose data are known to be clean: the lead, or the
hospital that curated a small set for this purpose. Any number of the others
may be faulty; if the root is, so is the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from consilium.federation.aggregation.averaging import add_update
from consilium.federation.aggregation.records import Contributions, Rule
from consilium.federation.contract import Matrix
from consilium.federation.modules import is_lacking
from consilium.federation.settings_schema import Setting
from consilium.kernel.errors import InputError
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays


def trusted_update(
    contributions: Contributions, *, root: ParticipantId
) -> tuple[dict[str, Matrix], dict[ParticipantId, float]]:
    """Return FLTrust's combined update, and each site's trust score.

    With Δ₀ the root's update and T_i = max(0, cos(Δ_i, Δ₀)):
    Δ = Σ T_i (‖Δ₀‖ / ‖Δ_i‖) Δ_i / Σ T_i. The root's own T is 1, so it takes part
    as one site among the others. An array of a modality's encoder is averaged
    over the sites that have the modality. Cases do not count: their number is a
    site's own word.

    Parameters
    ----------
    contributions : mapping of participant to Contribution
        One of them the root's.
    root : ParticipantId
        Whose update is the reference.

    Returns
    -------
    update : dict of str to array, float64
        No longer than the root's update; zeros where the root did not move.
    scores : dict of participant to float
        From 0, not believed, to 1.

    Raises
    ------
    InputError
        `federation.no_root` when the root sent nothing this round.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out. The hub
    must see every update by itself.

    Sources
    -------
    Cao, Fang, Liu, Gong, NDSS 2021, arXiv:2012.13995. There the server trains
    the reference on about 100 clean samples of its own and takes no part in the
    mean; here a hospital does, since the hub has no data.
    """
    if root not in contributions:
        raise InputError("federation.no_root", rule="fltrust", root=root)
    sites = sorted(contributions)
    parts = {site: _direction(contributions[site].update) for site in sites}
    reference, length = parts[root]
    scores = {site: max(0.0, _product(parts[site][0], reference)) for site in sites}
    combined: dict[str, Matrix] = {}
    for name in sorted(reference):
        mean, total = np.zeros(reference[name].shape), 0.0
        for site in sites:
            if not is_lacking(name, contributions[site].lacks):
                mean += scores[site] * parts[site][0][name]
                total += scores[site]
        combined[name] = mean * (length / total) if total else mean
    return combined, scores


def _direction(update: Arrays) -> tuple[dict[str, Matrix], float]:
    """Return the update at length 1, and its length over all arrays; zeros stay zeros."""
    exact = {name: update[name].astype(np.float64) for name in sorted(update)}
    greatest = max((float(np.max(np.abs(a), initial=0.0)) for a in exact.values()), default=0.0)
    if not greatest:
        return exact, 0.0
    # Divided by the greatest number first, so that no square overflows.
    scaled = {name: array / greatest for name, array in exact.items()}
    length = math.sqrt(_product(scaled, scaled))
    return {name: array / length for name, array in scaled.items()}, length * greatest


def _product(one: Arrays, other: Arrays) -> float:
    return math.fsum(float(np.sum(one[name] * other[name])) for name in sorted(one))


def _fltrust(contributions: Contributions, settings: Mapping[str, Any]) -> dict[str, Matrix]:
    return trusted_update(contributions, root=ParticipantId(settings["root"]))[0]


_SETTINGS = (
    Setting(
        name="root",
        kind="text",
        default="",
        meaning="The participant of the study whose update is the reference.",
    ),
)

FLTRUST = (
    Rule(
        name="fltrust",
        combine=_fltrust,
        step=add_update,
        schema=_SETTINGS,
        site_settings=("root",),
    ),
)
