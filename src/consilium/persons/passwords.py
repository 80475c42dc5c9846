"""Passwords: made into hashes, and compared with them. Nothing else ever sees one.

Argon2id by its library; the cost is at or above what OWASP's Password Storage
Cheat Sheet asks for (19 MiB, 2 passes, 1 lane).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import NewType

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from consilium.kernel.errors import InputError

PasswordHash = NewType("PasswordHash", str)
"""Argon2id in its own text form: parameters, salt and hash."""
SHORTEST = 12
LONGEST = 256
_DIFFERENT = 5
"""Least number of different characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one guess costs: memory in KiB, and passes over it."""

    memory_kib: int = 46 * 1024
    passes: int = 2


USUAL = Cost()


def hash_password(password: str, *, name: str, cost: Cost = USUAL) -> PasswordHash:
    """Make the hash that is kept of a person's new password.

    Raises
    ------
    InputError
        `persons.weak_password` if it has fewer than 12 or more than 256
        characters, repeats a few only, or is the person's name.
    """
    plain = _plain(password)
    is_simple = len(set(plain)) < _DIFFERENT or plain.casefold() == name.casefold()
    if not SHORTEST <= len(plain) <= LONGEST or is_simple:
        raise InputError("persons.weak_password", least=SHORTEST, most=LONGEST)
    return PasswordHash(_hasher(cost).hash(plain))


def is_password(hashed: PasswordHash, password: str) -> bool:
    """Say whether a hash was made of this password; takes as long as it was made to cost."""
    try:
        return _hasher(USUAL).verify(hashed, _plain(password)[: LONGEST + 1])
    except VerifyMismatchError:
        return False


@cache
def nobodys_hash(cost: Cost = USUAL) -> PasswordHash:
    """Give a hash for whoever has none, so that an unknown name costs as much as a known one."""
    return PasswordHash(_hasher(cost).hash("nobody has this password"))


def _plain(password: str) -> str:
    """Write what was typed in one form: keyboards differ in how they compose letters."""
    return unicodedata.normalize("NFKC", password)


@cache
def _hasher(cost: Cost) -> PasswordHasher:
    return PasswordHasher(time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=1)
