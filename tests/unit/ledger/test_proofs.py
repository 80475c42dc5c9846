"""Proofs against two independent implementations: the RFC's recursion, and pymerkle."""

import hashlib
from collections.abc import Callable

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from consilium.kernel.errors import InputError, IntegrityError
from consilium.ledger.algorithms import SHA256, TreeHash, get_hash
from consilium.ledger.proofs import (
    Proof,
    prove_consistency,
    prove_inclusion,
    range_root,
    verify_consistency,
    verify_inclusion,
)

ENTRIES = [f"entry {n}".encode() for n in range(70)]


def mth(entries: list[bytes]) -> bytes:
    """Compute MTH(D[n]) as RFC 9162 §2.1.1 defines it."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return hashlib.sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m: int, entries: list[bytes]) -> list[bytes]:
    """Compute PATH(m, D[n]) as RFC 9162 §2.1.3.1 defines it."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def subproof(m: int, entries: list[bytes], known: bool) -> list[bytes]:
    """Compute SUBPROOF(m, D[n], b) as RFC 9162 §2.1.4.1 defines it."""
    n = len(entries)
    if m == n:
        return [] if known else [mth(entries)]
    k = split(n)
    if m <= k:
        return [*subproof(m, entries[:k], known), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], False), mth(entries[:k])]


def reader(
    entries: list[bytes], *, tree: TreeHash = SHA256, reads: list[tuple[int, int]] | None = None
) -> Callable[[int, int], bytes]:
    """Give the nodes of a tree that is held in memory."""
    levels = [[tree.leaf(entry) for entry in entries]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([tree.node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])

    def read(level: int, index: int) -> bytes:
        if reads is not None:
            reads.append((level, index))
        return levels[level][index]

    return read


def test_every_inclusion_proof_is_that_of_the_rfc() -> None:
    read = reader(ENTRIES)
    for size in range(1, len(ENTRIES) + 1):
        root = range_root(0, size, read=read)
        assert root == mth(ENTRIES[:size])
        for index in range(size):
            proof = prove_inclusion(index, size, read=read)
            assert list(proof) == path(index, ENTRIES[:size])
            leaf = SHA256.leaf(ENTRIES[index])
            verify_inclusion(leaf, index, size, proof=proof, root=root)


def test_every_consistency_proof_is_that_of_the_rfc() -> None:
    read = reader(ENTRIES)
    roots = [mth(ENTRIES[:size]) for size in range(len(ENTRIES) + 1)]
    for new in range(1, len(ENTRIES) + 1):
        for old in range(new + 1):
            proof = prove_consistency(old, new, read=read)
            if old:
                assert list(proof) == subproof(old, ENTRIES[:new], True)
            verify_consistency(old, new, proof=proof, roots=(roots[old], roots[new]))


def test_pymerkle_agrees() -> None:
    oracle = InmemoryTree(algorithm="sha256")
    for entry in ENTRIES:
        oracle.append_entry(entry)
    read = reader(ENTRIES)
    for size in (1, 2, 3, 7, 8, 31, 64, 70):
        root = oracle.get_root(size)
        assert range_root(0, size, read=read) == root
        for index in range(0, size, 5):
            leaf, *steps = oracle.prove_inclusion(index + 1, size).path
            assert list(prove_inclusion(index, size, read=read)) == steps
            verify_inclusion(leaf, index, size, proof=steps, root=root)
        for old in range(1, size, 3):
            theirs, before = oracle.prove_consistency(old, size), range_root(0, old, read=read)
            pymerkle.verify_consistency(before, root, theirs, prior_size=old, later_size=size)
            ours = prove_consistency(old, size, read=read)
            verify_consistency(old, size, proof=ours, roots=(oracle.get_root(old), root))


@given(
    size=st.integers(1, 70),
    index=st.integers(0, 69),
    place=st.integers(0, 7),
    bit=st.integers(0, 255),
)
def test_a_changed_inclusion_proof_fails(size: int, index: int, place: int, bit: int) -> None:
    index %= size
    read = reader(ENTRIES)
    proof, root = prove_inclusion(index, size, read=read), range_root(0, size, read=read)
    leaf = SHA256.leaf(ENTRIES[index])
    cases: list[tuple[bytes, int, int, Proof]] = [
        (leaf, index, size, (*proof, root)),
        (flip(leaf, bit), index, size, proof),
        (leaf, size, size, proof),
        (leaf, -1, size, proof),
    ]
    if proof:
        at = place % len(proof)
        cases.append((leaf, index, size, (*proof[:at], flip(proof[at], bit), *proof[at + 1 :])))
        cases.append((leaf, index, size, proof[:-1]))
    for shown, where, of, steps in cases:
        with pytest.raises(IntegrityError):
            verify_inclusion(shown, where, of, proof=steps, root=root)


@given(
    new=st.integers(2, 70), old=st.integers(1, 69), place=st.integers(0, 7), bit=st.integers(0, 255)
)
def test_a_changed_consistency_proof_fails(new: int, old: int, place: int, bit: int) -> None:
    old = 1 + old % (new - 1)
    read = reader(ENTRIES)
    roots = (range_root(0, old, read=read), range_root(0, new, read=read))
    proof = prove_consistency(old, new, read=read)
    at = place % len(proof)
    changed = (*proof[:at], flip(proof[at], bit), *proof[at + 1 :])
    cases: list[tuple[int, int, Proof, tuple[bytes, bytes]]] = [
        (old, new, changed, roots),
        (old, new, proof[:-1], roots),
        (old, new, (*proof, proof[0]), roots),
        (old, new, proof, (flip(roots[0], bit), roots[1])),
        (old, new, proof, (roots[0], flip(roots[1], bit))),
        (new, old, proof, roots),
    ]
    for first, second, steps, ends in cases:
        with pytest.raises(IntegrityError):
            verify_consistency(first, second, proof=steps, roots=ends)


def test_a_log_is_consistent_with_nothing_and_with_itself_alone() -> None:
    read = reader(ENTRIES)
    empty, full = mth([]), range_root(0, 70, read=read)
    assert prove_consistency(0, 70, read=read) == prove_consistency(70, 70, read=read) == ()
    verify_consistency(0, 70, proof=(), roots=(empty, full))
    verify_consistency(70, 70, proof=(), roots=(full, full))
    verify_consistency(0, 0, proof=(), roots=(empty, empty))
    wrong = [(70, 70, (empty, full)), (0, 70, (full, full)), (0, 0, (empty, full))]
    for old, new, roots in wrong:
        with pytest.raises(IntegrityError):
            verify_consistency(old, new, proof=(), roots=roots)


def test_a_proof_needs_few_reads() -> None:
    size = 1 << 20

    def read(level: int, index: int) -> bytes:
        reads.append((level, index))
        return bytes(32)

    reads: list[tuple[int, int]] = []
    for index in (0, size // 2, size - 2):
        reads.clear()
        prove_inclusion(index, size - 1, read=read)
        assert len(reads) <= 2 * 20
        reads.clear()
        prove_consistency(index + 1, size - 1, read=read)
        assert len(reads) <= 3 * 20


@pytest.mark.parametrize(("index", "size"), [(5, 5), (-1, 5), (0, 0)])
def test_a_place_beyond_the_log_cannot_be_proved(index: int, size: int) -> None:
    with pytest.raises(InputError):
        prove_inclusion(index, size, read=reader(ENTRIES))
    with pytest.raises(InputError):
        prove_consistency(6, 5, read=reader(ENTRIES))


def test_proofs_of_a_tree_of_another_hash_are_its_own() -> None:
    tree = get_hash("sm3")
    read = reader(ENTRIES, tree=tree)
    root = range_root(0, 70, read=read, tree=tree)
    proof = prove_inclusion(9, 70, read=read, tree=tree)
    verify_inclusion(tree.leaf(ENTRIES[9]), 9, 70, proof=proof, root=root, tree=tree)
    with pytest.raises(IntegrityError):
        verify_inclusion(SHA256.leaf(ENTRIES[9]), 9, 70, proof=proof, root=root)


def flip(data: bytes, bit: int) -> bytes:
    found = bytearray(data)
    found[bit // 8] ^= 1 << bit % 8
    return bytes(found)
