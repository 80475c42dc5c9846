"""Secret draws: the randomness of privacy, which nobody outside the hospital can repeat.

A study's seed stands in its plan, so noise from it would hide nothing. These
draws come from a secret of one task, stretched by AES in counter mode: the same
secret gives the same draws, and without it they look like any others.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from consilium.kernel.canonical import canonical_bytes
from consilium.kernel.errors import StateError

Vector = npt.NDArray[np.float64]

SHORTEST = 16
"""Bytes of the shortest secret."""
_SUMMED = 4
"""Normal draws behind each one that is used."""


class NoiseSource:
    """Draws from a secret, in a fixed order.

    Parameters
    ----------
    secret : bytes
        At least `SHORTEST` bytes, known to this hospital alone.
    purpose : str
        What the draws are for; other purposes give other draws.
    number : int, optional
        Such as the round.

    Raises
    ------
    StateError
        `federation.no_secret`.
    """

    def __init__(self, secret: bytes, purpose: str, number: int = 0) -> None:
        if len(secret) < SHORTEST:
            raise StateError("federation.no_secret")
        key = hashlib.sha256(secret + canonical_bytes(["noise", purpose, number])).digest()
        self._stream = Cipher(AES256(key), CTR(bytes(16))).encryptor()

    def uniform(self, count: int) -> Vector:
        """Return numbers strictly between 0 and 1, on a grid of 2⁻⁵³.

        Discloses
        ---------
        Nothing.
        """
        words = np.frombuffer(self._stream.update(bytes(8 * count)), dtype="<u8")
        drawn: Vector = ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        return drawn

    def normal(self, count: int) -> Vector:
        """Return standard normal numbers.

        Each is the sum of four, halved: then its last digits do not tell which
        floating-point numbers can have led to it.

        Discloses
        ---------
        Nothing.

        Sources
        -------
        Box and Muller, 1958; Mironov, CCS 2012 (the attack); Holohan and Braghin, ESORICS 2021,
        arXiv:2107.10138 (the sum of several draws against it).
        """
        length = np.sqrt(-2.0 * np.log(self.uniform(_SUMMED * count)))
        drawn = length * np.cos(2.0 * np.pi * self.uniform(_SUMMED * count))
        found: Vector = drawn.reshape(_SUMMED, count).sum(axis=0) / 2.0
        return found

    def below(self, end: int) -> int:
        """Return a whole number from 0 to below `end`, each alike.

        Discloses
        ---------
        Nothing.
        """
        length = (end.bit_length() + 7) // 8 + 8
        most = (256**length // end) * end
        while True:
            drawn = int.from_bytes(self._stream.update(bytes(length)), "big")
            if drawn < most:
                return drawn % end
