"""The list of attacks: each test says what the hub does, what refuses it and what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One row of the table in docs/trust.md."""

    name: str
    does: str
    refused_by: str
    evidence: str

    @property
    def row(self) -> str:
        return f"| {self.name} | {self.does} | `{self.refused_by}` | `{self.evidence}` |"


ATTACKS: dict[str, Attack] = {}


def attack(name: str, does: str, *, refused_by: str, evidence: str) -> Callable[[Test], Test]:
    """Enter a test into the list."""

    def enter(test: Test) -> Test:
        found = Attack(name=name, does=does, refused_by=refused_by, evidence=evidence)
        if ATTACKS.setdefault(name, found) != found:
            raise ValueError(f"two attacks are called {name}")
        return test

    return enter
