"""Which arrays of a model all hospitals share, and which stay at each.

FedBN shares all but the normalisation layers, FedPer all but the head. An
array's name tells: `hidden1.norm.scale` has the parts hidden1, norm and scale.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from consilium.models.weights import Arrays

NORMALISATION = frozenset({"norm"})
"""What stays at each hospital under FedBN."""
HEAD = frozenset({"head"})
"""What stays at each hospital under FedPer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A model in two: the arrays that leave in updates, and those that never do."""

    shared: Arrays
    local: Arrays

    @property
    def whole(self) -> Arrays:
        """The model put together again."""
        return {**self.shared, **self.local}


def split_arrays(arrays: Arrays, local: Collection[str]) -> Split:
    """Split a model by the parts of its arrays' names.

    Parameters
    ----------
    arrays : mapping of str to array
        The whole model.
    local : collection of str
        Parts of names, whole between dots, such as `norm`.

    Discloses
    ---------
    Nothing by itself. Of a split update only `shared` may be sent: running
    means and variances tell of the hospital's own cases.

    Sources
    -------
    Li et al., ICLR 2021, arXiv:2102.07623 (FedBN); Arivazhagan et al., 2019,
    arXiv:1912.00818 (FedPer).
    """
    stays = {name for name in arrays if not set(name.split(".")).isdisjoint(local)}
    return Split(
        shared={name: arrays[name] for name in sorted(arrays) if name not in stays},
        local={name: arrays[name] for name in sorted(stays)},
    )
