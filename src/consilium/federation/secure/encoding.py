"""Updates as whole numbers of a ring: floats cannot be masked, ring elements can.

A number x of a site with n cases becomes round(clip(x)·(n/W)·scale) modulo
2^bits, where W is the agreed greatest number of cases. One element more holds n
itself, so that the sum gives the weighted mean and nobody's own n. The scale
follows from the number of sites: the sum of all of them cannot overflow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from consilium.federation.contract import Matrix
from consilium.kernel.canonical import Json
from consilium.kernel.errors import InputError, IntegrityError
from consilium.models.weights import Arrays

Ring = npt.NDArray[np.unsignedinteger[Any]]
"""Elements modulo 2^32 or 2^64: little-endian unsigned, shape (n_parameters + 1,)."""

_EXACT = 1 << 52
"""Below this every whole number is a double, and so is every half."""
_SMALLEST, _GREATEST = 1e-9, 1e9


@dataclass(frozen=True, kw_only=True)
class FixedPoint:
    """How updates of at most `sites` sites are written as ring elements.

    Parameters
    ----------
    sites : int
        K, at least 1: so many encoded updates can be summed without overflow.
    clip : float
        Greatest magnitude of a coordinate, in the unit of the weights, 1e-9 to 1e9.
    max_cases : int
        W, at least 1: the greatest number of cases of a site. 1 for plain sums.
    bits : 32 or 64
        Of the ring. 32 costs as much as float32; 64 is for wide ranges.

    Raises
    ------
    InputError
        `secure.bad_encoding`.

    Discloses
    ---------
    Nothing: these are settings of the study.
    """

    sites: int
    clip: float
    max_cases: int = 1
    bits: Literal[32, 64] = 32

    def __post_init__(self) -> None:
        if self.bits not in (32, 64):
            raise InputError("secure.bad_encoding", reason="bits are 32 or 64")
        if not _SMALLEST <= self.clip <= _GREATEST:
            raise InputError("secure.bad_encoding", reason="clip is from 1e-9 to 1e9")
        if self.sites < 1 or self.max_cases < 1:
            raise InputError("secure.bad_encoding", reason="sites and max_cases are at least 1")
        if self.sites * self.max_cases > self._half:
            raise InputError("secure.bad_encoding", reason="the cases of all sites overflow")

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The ring's elements on the wire and in memory."""
        return np.dtype("<u4" if self.bits == 32 else "<u8")

    @property
    def _half(self) -> int:
        return (1 << (self.bits - 1)) - 1

    @cached_property
    def exponent(self) -> int:
        """The scale is 2 to this power: the greatest whose sums fit.

        K·⌈clip·scale⌉ ≤ 2^(bits-1) - 1, and clip·scale ≤ 2^52, where doubles
        still tell halves apart.
        """
        room = min(self._half // self.sites, _EXACT)
        found = math.floor(math.log2(room) - math.log2(self.clip))
        while math.ldexp(self.clip, found) > room:  # the logarithms were rounded
            found -= 1
        return found

    @property
    def largest(self) -> int:
        """Greatest magnitude of one encoded coordinate."""
        return math.ceil(math.ldexp(self.clip, self.exponent))

    def error_bound(self, *, contributors: int, cases: int) -> float:
        """Bound the rounding error of each coordinate of a decoded mean.

        Each site rounds by at most half a step: m/2 · 2^-exponent · W/Σn.

        Parameters
        ----------
        contributors, cases : int
            How many sites are in the sum, and their cases together; at least 1.
        """
        return math.ldexp(contributors / 2, -self.exponent) * self.max_cases / cases

    def encode(self, update: npt.NDArray[np.floating[Any]], *, cases: int) -> Ring:
        """Write one site's update.

        Parameters
        ----------
        update : array of shape (n_parameters,), float32 or float64
            Local weights minus global weights; coordinates beyond `clip` are
            set to it.
        cases : int
            From 1 to `max_cases`.

        Returns
        -------
        array of shape (n_parameters + 1,), uint32 or uint64
            The last element is `cases`.

        Raises
        ------
        InputError
            `secure.bad_update`.

        Discloses
        ---------
        Everything: the result is the update. It stays at the site until masked.
        """
        if update.ndim != 1 or not np.issubdtype(update.dtype, np.floating):
            raise InputError("secure.bad_update", reason="not one row of floats")
        if not np.isfinite(update).all():
            raise InputError("secure.bad_update", reason="not finite")
        if not 1 <= cases <= self.max_cases:
            raise InputError("secure.bad_update", reason=f"cases beyond 1 to {self.max_cases}")
        scaled = np.clip(update.astype(np.float64), -self.clip, self.clip)
        scaled *= math.ldexp(cases / self.max_cases, self.exponent)
        found = np.empty(update.size + 1, dtype=self.dtype)
        found[:-1] = np.rint(scaled, out=scaled).astype(np.int64).astype(self.dtype)
        found[-1] = cases
        return found

    def read(self, body: bytes) -> Ring:
        """Read ring elements as they travel; a view on `body`.

        Discloses
        ---------
        Nothing new: the same numbers in another form.
        """
        return np.frombuffer(body, dtype=self.dtype)

    def decode(self, total: Ring, *, contributors: int) -> tuple[Matrix, int]:
        """Read the weighted mean out of an unmasked sum.

        Parameters
        ----------
        total : array of shape (n_parameters + 1,), uint32 or uint64
            Sum of `contributors` encoded updates modulo 2^bits.
        contributors : int
            From 1 to `sites`.

        Returns
        -------
        array of shape (n_parameters,), float64
            Σ n_i x_i / Σ n_i over clipped updates, within `error_bound`.
        int
            Σ n_i.

        Raises
        ------
        IntegrityError
            `secure.bad_sum` when this cannot be such a sum: somebody did not
            follow the protocol, or masks are left in it.

        Discloses
        ---------
        The mean and the number of cases of all contributors together.
        """
        cases = int(total[-1])
        signed = total[:-1].view(f"<i{self.bits // 8}").astype(np.float64)
        high = float(contributors) * self.largest
        if not contributors <= cases <= contributors * self.max_cases:
            raise IntegrityError("secure.bad_sum", contributors=contributors)
        if signed.size and float(np.abs(signed).max()) > high:
            raise IntegrityError("secure.bad_sum", contributors=contributors)
        signed *= math.ldexp(self.max_cases / cases, -self.exponent)
        return signed, cases

    def as_document(self) -> dict[str, Json]:
        """Give the form that a plan's digest covers."""
        return {
            "sites": self.sites,
            "clip": self.clip,
            "maxCases": self.max_cases,
            "bits": self.bits,
        }


def flatten_arrays(update: Arrays) -> Matrix:
    """Lay arrays behind one another, names sorted: shape (n_parameters,), float64.

    Discloses
    ---------
    Everything: it is the update in another form, and stays at the site.
    """
    parts = [np.ravel(update[name]).astype(np.float64) for name in sorted(update)]
    return np.concatenate(parts) if parts else np.zeros(0)


def restore_arrays(row: Matrix, *, like: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """Cut a row into float64 arrays of the names and shapes of `like`.

    Raises
    ------
    InputError
        `secure.bad_update` when the sizes differ.

    Discloses
    ---------
    Nothing new: the same numbers in another form.
    """
    if row.size != sum(array.size for array in like.values()):
        raise InputError("secure.bad_update", reason="another size than the model")
    found, start = {}, 0
    for name in sorted(like):
        end = start + like[name].size
        found[name] = row[start:end].reshape(like[name].shape)
        start = end
    return found
