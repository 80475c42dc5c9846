"""The kinds of target by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from consilium.federation.evaluation.binary import Binary
from consilium.federation.evaluation.classes import Classes
from consilium.federation.evaluation.kind import TargetKind
from consilium.federation.evaluation.masks import Masks
from consilium.federation.evaluation.numbers import Numbers
from consilium.federation.evaluation.survival import Survival
from consilium.gate.orders import Target

_KINDS: Mapping[str, Callable[[Target], TargetKind]] = {
    "binary": lambda _target: Binary(),
    "classes": lambda target: Classes(count=len(target.classes)),
    "number": lambda _target: Numbers(),
    "survival": lambda _target: Survival(),
    "mask": lambda _target: Masks(),
}


def kind_of(target: Target) -> TargetKind:
    """Return how a target of a checked plan is judged.

    Discloses
    ---------
    Nothing.
    """
    return _KINDS[target.kind](target)
