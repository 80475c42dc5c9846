"""The Merkle tree of RFC 9162, section 2.1, over leaves that only ever grow; pure.

An append keeps the tree's right edge (the *frontier*): one hash for every bit
that is set in the size. So adding a leaf and taking the root cost O(log n).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash an entry: SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree.

    Parameters
    ----------
    size : int
        Number of leaves, 0 or more.
    hashes : tuple of bytes
        Roots of the complete subtrees that the size is the sum of, the
        greatest first: as many as `size` has bits set.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """Return the edge of the tree with one more leaf hash."""
        hashes, size = list(self.hashes), self.size
        while size & 1:
            leaf = node_hash(hashes.pop(), leaf)
            size >>= 1
        return Frontier(self.size + 1, (*hashes, leaf))

    def root(self) -> bytes:
        """Return the Merkle tree hash, 32 bytes."""
        if not self.hashes:
            return EMPTY_ROOT
        *rest, root = self.hashes
        for left in reversed(rest):
            root = node_hash(left, root)
        return root

    def as_bytes(self) -> bytes:
        """Write the hashes one after another."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """Read what `as_bytes` wrote.

        Raises
        ------
        ValueError
            If the length does not fit the size.
        """
        if size < 0 or len(data) != size.bit_count() * HASH_BYTES:
            raise ValueError("the frontier does not fit the size")
        steps = range(0, len(data), HASH_BYTES)
        return cls(size, tuple(data[step : step + HASH_BYTES] for step in steps))
