"""Shamir's secret sharing: any t of K shares give a secret, fewer tell nothing.

Over the field of the prime 2^256 + 297, which holds every 32-byte secret.
Arithmetic is not constant in time: shares are handled within one process, and
each secret lives for one round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from consilium.kernel.errors import InputError

PRIME = (1 << 256) + 297
SECRET_BYTES = 32
SHARE_BYTES = 33

Draw = Callable[[int], bytes]
"""Gives so many random bytes; `secrets.token_bytes` everywhere but in tests."""

_DRAWN_BYTES = 48
"""A coefficient's bytes before reduction: 2^-127 from uniform."""


def split_secret(
    secret: bytes, *, threshold: int, points: Sequence[int], draw: Draw
) -> dict[int, bytes]:
    """Share a secret among points.

    Parameters
    ----------
    secret : bytes
        32 of them.
    threshold : int
        t, at least 1: so many shares give the secret back.
    points : sequence of int
        Distinct, from 1; at least `threshold` of them.
    draw : callable
        Source of randomness.

    Returns
    -------
    dict of int to bytes
        33 bytes for each point: the value there of a random polynomial of
        degree t - 1 whose constant term is the secret.

    Raises
    ------
    InputError
        `secure.bad_share`.

    Discloses
    ---------
    Fewer than `threshold` shares: nothing. As many: the secret.

    Sources
    -------
    Shamir, Communications of the ACM 22(11), 1979 (doi 10.1145/359168.359176).
    """
    if len(secret) != SECRET_BYTES or not 1 <= threshold <= len(points):
        raise InputError("secure.bad_share")
    if len(set(points)) != len(points) or min(points) < 1:
        raise InputError("secure.bad_share")
    drawn = [int.from_bytes(draw(_DRAWN_BYTES), "big") % PRIME for _ in range(threshold - 1)]
    polynomial = [int.from_bytes(secret, "big"), *drawn]
    return {point: _value(polynomial, point).to_bytes(SHARE_BYTES, "big") for point in points}


def weights_at_zero(points: Sequence[int]) -> dict[int, int]:
    """Give Lagrange's weights: the secret is the sum of weight times share.

    Discloses
    ---------
    Nothing: it depends on the points alone.
    """
    found = {}
    for point in points:
        over, under = 1, 1
        for other in points:
            if other != point:
                over = over * other % PRIME
                under = under * (other - point) % PRIME
        found[point] = over * pow(under, -1, PRIME) % PRIME
    return found


def join_shares(shares: Mapping[int, bytes], *, weights: Mapping[int, int]) -> bytes:
    """Return the secret of which these are shares, if there are enough of them.

    Whether it is the right one only a commitment can tell.

    Parameters
    ----------
    shares : mapping of int to bytes
        A share for each point of `weights`.
    weights : mapping of int to int
        From `weights_at_zero`.

    Raises
    ------
    InputError
        `secure.bad_share` when the result is no 32 bytes: shares were wrong.

    Discloses
    ---------
    The secret, to whoever holds so many shares.
    """
    values = {point: int.from_bytes(shares[point], "big") for point in weights}
    found = sum(weight * values[point] for point, weight in weights.items()) % PRIME
    if found >> (8 * SECRET_BYTES) or any(value >= PRIME for value in values.values()):
        raise InputError("secure.bad_share")
    return found.to_bytes(SECRET_BYTES, "big")


def _value(polynomial: Sequence[int], point: int) -> int:
    found = 0
    for coefficient in reversed(polynomial):
        found = (found * point + coefficient) % PRIME
    return found
