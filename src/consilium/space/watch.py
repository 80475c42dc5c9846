"""What a long run tells whoever watches: which stage, how far, of how many."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Stage(StrEnum):
    """The stages of a run, in order."""

    HUB = "hub"
    JOIN = "join"
    DATASETS = "datasets"
    AGREEMENTS = "agreements"
    ROUNDS = "rounds"
    EVALUATION = "evaluation"


Watch = Callable[[Stage, int, int], None]
"""Told the stage, how many of its steps are done, and of how many."""


def silent(stage: Stage, done: int, total: int) -> None:
    """Watch without a word."""
