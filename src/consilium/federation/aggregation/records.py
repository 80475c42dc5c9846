"""What a rule is given, what it gives back, and what makes a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consilium.federation.contract import Matrix
from consilium.federation.settings_schema import Setting
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import Arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One site's update and the number of cases behind it (at least 1).

    `loss` is the site's mean training loss under the weights it was given,
    `None` where it said none; only rules with `needs_loss` look at it. `lacks`
    are the modalities that the site does not have, from the signed plan.
    """

    update: Arrays
    n: int
    loss: float | None = None
    lacks: tuple[str, ...] = ()


Contributions = Mapping[ParticipantId, Contribution]
"""One round's contributions by site; their order does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregated:
    """The next model and the rule's memory for the round after."""

    model: dict[str, Matrix]
    state: dict[str, Matrix]


Combine = Callable[[Contributions, Mapping[str, Any]], dict[str, Matrix]]
"""From the sites' updates and the settings to one update, float64."""

Step = Callable[[Arrays, Arrays, Arrays, Mapping[str, Any]], Aggregated]
"""From model, combined update, state and settings to the next model and state."""

LeastSites = Callable[[Mapping[str, Any]], int]
"""From the settings to the number of sites below which the rule promises nothing."""


def one_site(settings: Mapping[str, Any]) -> int:
    """Say that a rule works from one site upwards.

    Discloses
    ---------
    Nothing: it sees settings, no data.
    """
    del settings
    return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A named way to the next model: combine the updates into one, then step with it."""

    name: str
    combine: Combine
    step: Step
    schema: tuple[Setting, ...] = ()
    least_sites: LeastSites = one_site
    needs_loss: bool = False
