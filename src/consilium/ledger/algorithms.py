"""The hash and signature functions that a log can be built with, by name.

A log is begun with one hash and one signature, says so in every checkpoint that
it signs, and never mixes. SHA-256 and Ed25519 are the default and what every
C2SP tool reads; SM3 (GB/T 32905) is there where the installed `cryptography`
offers it. SM2 has its place here and no implementation: no library that we
have signs with it. A name that is not here is refused, never guessed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from consilium.kernel.errors import InputError

HASH_BYTES = 32
"""Both hashes give 32 bytes, so that tiles and checkpoints have one form."""


@dataclass(frozen=True, slots=True)
class TreeHash:
    """How leaves and nodes of a tree are hashed (RFC 9162 §2.1.1).

    Parameters
    ----------
    name : str
        As checkpoints and exports write it.
    digest : callable
        Bytes to `HASH_BYTES` bytes.
    """

    name: str
    digest: Callable[[bytes], bytes]

    def leaf(self, data: bytes) -> bytes:
        """Hash an entry: H(0x00 || data)."""
        return self.digest(b"\x00" + data)

    def node(self, left: bytes, right: bytes) -> bytes:
        """Hash two subtrees: H(0x01 || left || right)."""
        return self.digest(b"\x01" + left + right)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _sm3(data: bytes) -> bytes:
    work = hashes.Hash(hashes.SM3())
    work.update(data)
    return work.finalize()


SHA256 = TreeHash("sha256", _sha256)
SM3 = TreeHash("sm3", _sm3)
ED25519 = "ed25519"

SIGNATURES = frozenset({ED25519})
"""Names of signatures; `sm2` will stand here once a library that we have offers it."""


def get_hash(name: str) -> TreeHash:
    """Return the hash of this name.

    Raises
    ------
    InputError
        `ledger.unknown_algorithm`.
    """
    found = _hashes().get(name)
    if found is None:
        raise InputError("ledger.unknown_algorithm", name=name[:40])
    return found


def check_signature(name: str) -> str:
    """Return the name if we know the signature.

    Raises
    ------
    InputError
        `ledger.unknown_algorithm`.
    """
    if name not in SIGNATURES:
        raise InputError("ledger.unknown_algorithm", name=name[:40])
    return name


@cache
def _hashes() -> dict[str, TreeHash]:
    found = {SHA256.name: SHA256}
    try:
        SM3.digest(b"")
    except UnsupportedAlgorithm:
        return found
    return found | {SM3.name: SM3}
