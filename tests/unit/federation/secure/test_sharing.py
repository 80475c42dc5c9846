"""Shamir's shares: enough give the secret, fewer give nothing."""

from __future__ import annotations

import secrets
from contextlib import suppress
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilium.federation.secure.sharing import (
    PRIME,
    SHARE_BYTES,
    join_shares,
    split_secret,
    weights_at_zero,
)
from consilium.kernel.errors import InputError


@given(secret=st.binary(min_size=32, max_size=32), data=st.data())
@settings(max_examples=50)
def test_any_threshold_of_shares_gives_the_secret(secret: bytes, data: st.DataObject) -> None:
    points = data.draw(st.lists(st.integers(1, 1000), min_size=1, max_size=12, unique=True))
    threshold = data.draw(st.integers(1, len(points)))
    shares = split_secret(secret, threshold=threshold, points=points, draw=secrets.token_bytes)
    chosen = data.draw(st.permutations(points))[:threshold]
    assert all(len(share) == SHARE_BYTES for share in shares.values())
    assert join_shares(shares, weights=weights_at_zero(chosen)) == secret


def test_shares_are_those_of_the_published_formula() -> None:
    # Shamir 1979: q(x) = a0 + a1·x mod p, here with a1 = 2^320 mod p.
    shares = split_secret(
        bytes(31) + b"\x07", threshold=2, points=[1, 5], draw=lambda n: b"\x01".ljust(n, b"\0")
    )
    slope = pow(2, 8 * 47, PRIME)
    assert [int.from_bytes(shares[x], "big") for x in (1, 5)] == [
        (7 + slope * x) % PRIME for x in (1, 5)
    ]


def test_one_share_too_few_fits_every_secret() -> None:
    # Whatever the secret, some missing share explains it: nothing is told about it.
    shares = split_secret(bytes(32), threshold=3, points=[1, 2, 3], draw=secrets.token_bytes)
    weights = weights_at_zero([1, 2, 3])
    for wanted in (0, 1, 2**256 - 1):
        held = sum(weights[x] * int.from_bytes(shares[x], "big") for x in (1, 2))
        missing = (wanted - held) * pow(weights[3], -1, PRIME) % PRIME
        explained = shares | {3: missing.to_bytes(SHARE_BYTES, "big")}
        assert join_shares(explained, weights=weights) == wanted.to_bytes(32, "big")


def test_too_few_shares_do_not_give_the_secret() -> None:
    secret = secrets.token_bytes(32)
    shares = split_secret(secret, threshold=3, points=[1, 2, 3, 4], draw=secrets.token_bytes)
    for chosen in combinations(shares, 2):
        with suppress(InputError):
            assert join_shares(shares, weights=weights_at_zero(chosen)) != secret


@pytest.mark.parametrize(
    ("length", "threshold", "points"),
    [(31, 1, [1]), (32, 0, [1]), (32, 3, [1, 2]), (32, 2, [1, 1]), (32, 1, [0])],
)
def test_impossible_sharings_are_refused(length: int, threshold: int, points: list[int]) -> None:
    with pytest.raises(InputError, match="cannot be shared"):
        split_secret(bytes(length), threshold=threshold, points=points, draw=secrets.token_bytes)


def test_a_share_beyond_the_field_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be shared"):
        join_shares({1: b"\xff" * SHARE_BYTES}, weights=weights_at_zero([1]))
