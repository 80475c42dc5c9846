"""The Merkle tree against published values."""

import hashlib

import pytest

from consilium.ledger.merkle import Frontier, leaf_hash

# The test tree of Certificate Transparency (RFC 6962 reference implementation).
LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_the_tree_has_the_published_roots() -> None:
    frontier = Frontier()
    assert frontier.root() == hashlib.sha256(b"").digest()
    for leaf, root in zip(LEAVES, ROOTS, strict=True):
        frontier = frontier.append(leaf_hash(bytes.fromhex(leaf)))
        assert frontier.root().hex() == root


def test_the_frontier_is_read_back() -> None:
    frontier = Frontier()
    for number in range(21):
        assert Frontier.from_bytes(frontier.size, frontier.as_bytes()) == frontier
        frontier = frontier.append(leaf_hash(bytes([number])))


@pytest.mark.parametrize(("size", "length"), [(0, 32), (1, 0), (3, 32), (3, 63), (-1, 32)])
def test_a_frontier_that_does_not_fit_the_size_is_refused(size: int, length: int) -> None:
    with pytest.raises(ValueError, match="fit"):
        Frontier.from_bytes(size, bytes(length))
