"""Secure sums at the gate: what it asks of whoever masks updates, and what it is told.

The gate judges an update before it is masked, since nobody can judge it
afterwards. How masks are made is not the gate's: `consilium.federation.secure`
does it, and the node puts the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

from consilium.gate.orders import Order, Study
from consilium.kernel.canonical import Digest, Json
from consilium.kernel.errors import DeniedError
from consilium.models.weights import Arrays

MASKED = "masked"
"""Name of the one array of a masked update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the hub asks a site in one step of a secure sum.

    `step` is `announce`, `share`, `deliver`, `confirm` or `reveal`; `round` and
    `model` (the digest of the weights that go in) name the sum; `message` is
    the hub's word, canonical JSON or empty.
    """

    step: str
    round: int
    model: Digest
    message: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SumPlace:
    """Which sum: the plan, the order under which it runs, the round and its model."""

    study: Study
    order: Order
    round: int
    model: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """An update under its masks.

    `vector` has shape (n_parameters + 1,), uint32 or uint64; `statement` is this
    hospital's signed word on it; `facts` go into the evidence.
    """

    vector: npt.NDArray[Any]
    statement: str
    facts: Mapping[str, Json]


class Sums(Protocol):
    """The hospital's part in secure sums."""

    def check(self, study: Study, *, cases: int) -> None:
        """Return if updates of this plan, with so many cases, can be masked here.

        Raises
        ------
        DeniedError, InputError
            With the rule or the flaw.
        """
        ...

    def answer(self, place: SumPlace, question: Question) -> bytes:
        """Answer one step of a sum.

        Raises
        ------
        DeniedError, InputError, IntegrityError, StateError
            With the rule or the flaw; nothing leaves then.
        """
        ...

    def mask(self, place: SumPlace, arrays: Arrays, *, cases: int) -> Masked:
        """Put an update that may leave under its masks, once."""
        ...


class NoSums:
    """Takes part in no secure sum: a gate that was given nothing else."""

    def check(self, study: Study, *, cases: int) -> None:  # noqa: ARG002
        """Refuse."""
        raise DeniedError("gate.cannot_sum", study=study.study)

    def answer(self, place: SumPlace, question: Question) -> bytes:  # noqa: ARG002
        """Refuse."""
        raise DeniedError("gate.cannot_sum", study=place.study.study)

    def mask(self, place: SumPlace, arrays: Arrays, *, cases: int) -> Masked:  # noqa: ARG002
        """Refuse."""
        raise DeniedError("gate.cannot_sum", study=place.study.study)
