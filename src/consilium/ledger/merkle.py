"""The Merkle tree of RFC 9162, section 2.1, over leaves that only ever grow; pure.

An append keeps the tree's right edge (the *frontier*): one hash for every bit
that is set in the size. So adding a leaf and taking the root cost O(log n).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from consilium.ledger.algorithms import HASH_BYTES, SHA256, TreeHash

leaf_hash = SHA256.leaf
"""Hash an entry of a log of the default kind: SHA-256(0x00 || data)."""
node_hash = SHA256.node
"""Hash two subtrees of a log of the default kind: SHA-256(0x01 || left || right)."""


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
    tree : TreeHash
        What the tree is hashed with.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()
    tree: TreeHash = SHA256

    def append(self, leaf: bytes) -> Frontier:
        """Return the edge of the tree with one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> Frontier:
        """Return the edge of the tree with these leaf hashes added in order."""
        hashes, size, digest = list(self.hashes), self.size, self.tree.digest
        for leaf in leaves:
            odd = size
            while odd & 1:
                leaf = digest(b"\x01" + hashes.pop() + leaf)
                odd >>= 1
            hashes.append(leaf)
            size += 1
        return Frontier(size, tuple(hashes), self.tree)

    def root(self) -> bytes:
        """Return the Merkle tree hash, 32 bytes."""
        if not self.hashes:
            return self.tree.digest(b"")
        *rest, root = self.hashes
        for left in reversed(rest):
            root = self.tree.node(left, root)
        return root

    def as_bytes(self) -> bytes:
        """Write the hashes one after another."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes, tree: TreeHash = SHA256) -> Frontier:
        """Read what `as_bytes` wrote.

        Raises
        ------
        ValueError
            If the length does not fit the size.
        """
        if size < 0 or len(data) != size.bit_count() * HASH_BYTES:
            raise ValueError("the frontier does not fit the size")
        steps = range(0, len(data), HASH_BYTES)
        return cls(size, tuple(data[step : step + HASH_BYTES] for step in steps), tree)
