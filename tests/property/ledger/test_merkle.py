"""The frontier gives the root that the definition gives, and that another library gives."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from consilium.ledger.merkle import Frontier, leaf_hash, node_hash

ENTRIES = st.lists(st.binary(max_size=40), max_size=80)


def root_of(entries: list[bytes]) -> bytes:
    """Compute MTH as RFC 9162, section 2.1.1, defines it."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return leaf_hash(entries[0])
    split = 1 << ((len(entries) - 1).bit_length() - 1)
    return node_hash(root_of(entries[:split]), root_of(entries[split:]))


def frontier_of(entries: list[bytes]) -> Frontier:
    frontier = Frontier()
    for entry in entries:
        frontier = frontier.append(leaf_hash(entry))
    return frontier


@given(ENTRIES)
def test_the_root_is_that_of_the_definition(entries: list[bytes]) -> None:
    assert frontier_of(entries).root() == root_of(entries)


@settings(max_examples=30)
@given(ENTRIES.filter(bool))
def test_the_root_is_that_of_another_library(entries: list[bytes]) -> None:
    tree = InmemoryTree(algorithm="sha256")
    for entry in entries:
        tree.append_entry(entry)
    assert frontier_of(entries).root() == tree.get_root()


@given(ENTRIES)
def test_the_edge_can_be_put_away_and_taken_up_again(entries: list[bytes]) -> None:
    frontier = frontier_of(entries)
    assert len(frontier.hashes) == len(entries).bit_count()
    assert Frontier.from_bytes(frontier.size, frontier.as_bytes()) == frontier


@given(ENTRIES.filter(bool), st.data())
def test_any_other_entries_have_another_root(entries: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(entries) - 1))
    other = data.draw(st.binary(max_size=40).filter(lambda entry: entry != entries[place]))
    changed = [*entries[:place], other, *entries[place + 1 :]]
    assert frontier_of(changed).root() != frontier_of(entries).root()
    assert frontier_of(entries[:place]).root() != frontier_of(entries).root()
