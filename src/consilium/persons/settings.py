"""The room's section of the settings: where a person's word is wanted."""

from __future__ import annotations

from dataclasses import dataclass

POLICY, PERSON, TWO_PERSONS = "policy", "person", "two persons"
RULES = {POLICY: 0, PERSON: 1, TWO_PERSONS: 2}
"""How many different persons each rule asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalSettings:
    """Which steps wait for one or two persons; `policy` waits for nobody.

    `agreements` are requests for an agreement on what we offer, `studies`
    requests to open a study under one, `exports` what a person carries out of
    the home. `due_hours` is how long an item may wait before it is overdue,
    `release_days` how long a release stays good.
    """

    agreements: str = POLICY
    studies: str = POLICY
    exports: str = TWO_PERSONS
    due_hours: int = 72
    release_days: int = 30
