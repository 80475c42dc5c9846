"""Inclusion and consistency proofs of RFC 9162: made from O(log n) hashes, checked; pure.

A proof is made from *nodes*, roots of complete subtrees, which whoever holds
the log's tiles can read without the entries. It is checked by the algorithms
of the RFC, step by step as they stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consilium.kernel.errors import InputError, IntegrityError
from consilium.ledger.algorithms import SHA256, TreeHash

ReadNode = Callable[[int, int], bytes]
"""`read(level, index)`: the root over leaves `index << level` to `(index + 1) << level`."""

Proof = tuple[bytes, ...]


def range_root(begin: int, end: int, *, read: ReadNode, tree: TreeHash = SHA256) -> bytes:
    """Return the Merkle tree hash over the leaves from `begin` to before `end`.

    `begin` is a multiple of the greatest power of two that fits in, as every
    range is that a proof speaks of.
    """
    if begin == end:
        return tree.digest(b"")
    roots = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        roots.append(read(level, begin >> level))
        begin += 1 << level
    found = roots.pop()
    for left in reversed(roots):
        found = tree.node(left, found)
    return found


def prove_inclusion(index: int, size: int, *, read: ReadNode, tree: TreeHash = SHA256) -> Proof:
    """Prove that a leaf stands at `index` (from 0) in the tree of `size` (RFC 9162 §2.1.3.1).

    Raises
    ------
    InputError
        `ledger.no_proof` if the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise InputError("ledger.no_proof", seq=index + 1, size=size)
    found: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _left(end - begin)
        if index < middle:
            found.append(range_root(middle, end, read=read, tree=tree))
            end = middle
        else:
            found.append(range_root(begin, middle, read=read, tree=tree))
            begin = middle
    return tuple(reversed(found))


def prove_consistency(old: int, new: int, *, read: ReadNode, tree: TreeHash = SHA256) -> Proof:
    """Prove that the tree of size `new` begins with that of size `old` (RFC 9162 §2.1.4.1).

    From the empty tree, and from a tree to itself, there is nothing to prove.

    Raises
    ------
    InputError
        `ledger.no_proof` if `old` is greater than `new`.
    """
    if not 0 <= old <= new:
        raise InputError("ledger.no_proof", seq=old, size=new)
    if old in {0, new}:
        return ()
    found: list[bytes] = []
    begin, end, known = 0, new, True
    while old != end:
        middle = begin + _left(end - begin)
        if old <= middle:
            found.append(range_root(middle, end, read=read, tree=tree))
            end = middle
        else:
            found.append(range_root(begin, middle, read=read, tree=tree))
            begin, known = middle, False
    if not known:
        found.append(range_root(begin, end, read=read, tree=tree))
    return tuple(reversed(found))


def verify_inclusion(
    leaf: bytes,
    index: int,
    size: int,
    *,
    proof: Sequence[bytes],
    root: bytes,
    tree: TreeHash = SHA256,
) -> None:
    """Return if the leaf hash stands at `index` in the tree with this root (RFC 9162 §2.1.3.2).

    Raises
    ------
    IntegrityError
        `ledger.proof_fails`.
    """
    if not 0 <= index < size:
        raise IntegrityError("ledger.proof_fails", seq=index + 1)
    low, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            raise IntegrityError("ledger.proof_fails", seq=index + 1)
        if low & 1 or low == last:
            found = tree.node(each, found)
            while not low & 1 and low:
                low, last = low >> 1, last >> 1
        else:
            found = tree.node(found, each)
        low, last = low >> 1, last >> 1
    if last or found != root:
        raise IntegrityError("ledger.proof_fails", seq=index + 1)


def verify_consistency(
    old: int,
    new: int,
    *,
    proof: Sequence[bytes],
    roots: tuple[bytes, bytes],
    tree: TreeHash = SHA256,
) -> None:
    """Return if the tree with the second root begins with the first's (RFC 9162 §2.1.4.2).

    Raises
    ------
    IntegrityError
        `ledger.not_consistent`.
    """
    failed = IntegrityError("ledger.not_consistent", old=old, new=new)
    if old in {0, new}:
        trivial = roots[0] == (tree.digest(b"") if old == 0 else roots[1])
        if proof or not trivial or (new == 0 and roots[1] != roots[0]):
            raise failed
        return
    if not 0 < old < new or not proof:
        raise failed
    path = [roots[0], *proof] if old.bit_count() == 1 else list(proof)
    low, last = old - 1, new - 1
    while low & 1:
        low, last = low >> 1, last >> 1
    first = second = path[0]
    for each in path[1:]:
        if last == 0:
            raise failed
        if low & 1 or low == last:
            first, second = tree.node(each, first), tree.node(each, second)
            while not low & 1 and low:
                low, last = low >> 1, last >> 1
        else:
            second = tree.node(second, each)
        low, last = low >> 1, last >> 1
    if last or (first, second) != roots:
        raise failed


def _left(size: int) -> int:
    """Return the greatest power of two below `size`: how many leaves stand in the left half."""
    return 1 << ((size - 1).bit_length() - 1)
