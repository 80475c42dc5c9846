"""Masks cancel in pairs, belong to one plan, and boxes open for one receiver."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from summing import named, planned

from consilium.federation.secure.masks import (
    add_mask,
    commit_seed,
    open_box,
    pair_seed,
    seal_box,
    self_seed,
)
from consilium.kernel.errors import IntegrityError

A, B, C = named(0), named(1), named(2)
PLAN = planned(4).digest
ONE, TWO = X25519PrivateKey.generate(), X25519PrivateKey.generate()
ONE_PUBLIC, TWO_PUBLIC = (key.public_key().public_bytes_raw() for key in (ONE, TWO))


@pytest.mark.parametrize("size", [0, 1, 5, 300_001])
@pytest.mark.parametrize("dtype", ["<u4", "<u8"])
def test_a_mask_is_the_cipher_stream_whatever_the_size(size: int, dtype: str) -> None:
    seed, vector = bytes(range(32)), np.arange(size).astype(dtype)
    masked = vector.copy()
    add_mask(masked, seed)
    stream = Cipher(AES256(seed), CTR(bytes(16))).encryptor().update(bytes(vector.nbytes))
    np.testing.assert_array_equal(masked - vector, np.frombuffer(stream, dtype))
    add_mask(masked, seed, negative=True)
    np.testing.assert_array_equal(masked, vector)


def test_both_sides_of_a_pair_derive_one_seed() -> None:
    ours = pair_seed(ONE, TWO_PUBLIC, plan=PLAN, pair=(A, B))
    assert ours == pair_seed(TWO, ONE_PUBLIC, plan=PLAN, pair=(B, A))
    assert len(ours) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"study": "urn:uuid:other"},
        {"segment": 2},
        {"attempt": 2},
        {"round": 2},
        {"model": "sha256:" + "b" * 64},
        {"size": 6},
        {"encoding": {"clip": 2.0}},
    ],
    ids=str,
)
def test_no_seed_is_derived_twice(change: dict[str, object]) -> None:
    other = planned(4, **change).digest
    seeds = {
        derived
        for plan in (PLAN, other)
        for derived in (
            pair_seed(ONE, TWO_PUBLIC, plan=plan, pair=(A, B)),
            pair_seed(ONE, TWO_PUBLIC, plan=plan, pair=(A, C)),
            self_seed(bytes(32), plan=plan, site=A),
            self_seed(bytes(32), plan=plan, site=B),
        )
    }
    assert len(seeds) == 8
    assert commit_seed(bytes(32), plan=PLAN, site=A) != commit_seed(bytes(32), plan=other, site=A)


def test_a_box_opens_for_its_receiver_alone() -> None:
    box = seal_box(b"text", own=ONE, peer=TWO_PUBLIC, plan=PLAN, way=(A, B))
    assert open_box(box, own=TWO, peer=ONE_PUBLIC, plan=PLAN, way=(A, B)) == b"text"
    other = planned(4, round=2).digest
    changed = bytes([box[0] ^ 1]) + box[1:]
    for data, plan, way in (
        (box, PLAN, (B, A)),
        (box, PLAN, (C, B)),
        (box, other, (A, B)),
        (changed, PLAN, (A, B)),
    ):
        with pytest.raises(IntegrityError, match="do not open"):
            open_box(data, own=TWO, peer=ONE_PUBLIC, plan=plan, way=way)
    with pytest.raises(IntegrityError, match="do not open"):
        open_box(box, own=X25519PrivateKey.generate(), peer=ONE_PUBLIC, plan=PLAN, way=(A, B))


def test_a_key_of_low_order_is_refused() -> None:
    with pytest.raises(IntegrityError, match="no honest site"):
        pair_seed(ONE, bytes(32), plan=PLAN, pair=(A, B))
