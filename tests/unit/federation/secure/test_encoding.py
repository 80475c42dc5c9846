"""Updates as ring elements: exact bounds, no overflow at any number of sites."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilium.federation.secure.encoding import FixedPoint, flatten_arrays, restore_arrays
from consilium.kernel.errors import InputError, IntegrityError

FORMS = st.builds(
    FixedPoint,
    sites=st.integers(1, 1000),
    clip=st.floats(1e-9, 1e9),
    max_cases=st.integers(1, 2_000_000),
    bits=st.sampled_from([32, 64]),
)


@given(form=FORMS)
@settings(max_examples=50)
def test_the_greatest_update_of_every_site_together_does_not_overflow(form: FixedPoint) -> None:
    signs = np.array([form.clip, -form.clip, 0.0])
    one = form.encode(signs, cases=form.max_cases)
    total = one * form.dtype.type(form.sites)
    mean, cases = form.decode(total, contributors=form.sites)
    np.testing.assert_allclose(mean, signs, rtol=form.sites / form.largest)
    assert cases == form.sites * form.max_cases


@given(form=FORMS)
@settings(max_examples=50)
def test_the_scale_is_the_greatest_that_fits(form: FixedPoint) -> None:
    room = min(((1 << (form.bits - 1)) - 1) // form.sites, 1 << 52)
    assert form.largest <= room < math.ldexp(form.clip, form.exponent + 1)


@given(form=FORMS, seed=st.integers(0, 1000), contributors=st.integers(1, 8))
@settings(max_examples=50)
def test_a_decoded_mean_is_within_its_error_bound(
    form: FixedPoint, seed: int, contributors: int
) -> None:
    contributors = min(contributors, form.sites)
    drawn = np.random.default_rng(seed)
    updates = drawn.uniform(-2 * form.clip, 2 * form.clip, (contributors, 7))
    cases = drawn.integers(1, form.max_cases + 1, contributors)
    parts = [form.encode(row, cases=int(n)) for row, n in zip(updates, cases, strict=True)]
    total = np.sum(parts, axis=0, dtype=form.dtype)
    mean, n = form.decode(total, contributors=contributors)
    plain = np.average(np.clip(updates, -form.clip, form.clip), axis=0, weights=cases)
    bound = form.error_bound(contributors=contributors, cases=n)
    assert n == cases.sum()
    assert np.abs(mean - plain).max() <= bound + 1e-12 * form.clip


def test_a_known_update_has_known_elements() -> None:
    form = FixedPoint(sites=4, clip=1.0, max_cases=2)
    assert form.exponent == 28  # 4 · 2^28 < 2^31 - 1 < 4 · 2^29
    found = form.encode(np.array([0.5, -1.0, 7.0]), cases=1)
    assert found.tolist() == [2**26, 2**32 - 2**27, 2**27, 1]
    assert found.dtype == np.dtype("<u4")


@pytest.mark.parametrize(
    "given",
    [
        {"bits": 16},
        {"clip": 0.0},
        {"clip": math.nan},
        {"clip": math.inf},
        {"sites": 0},
        {"max_cases": 0},
        {"max_cases": 2**31},
    ],
    ids=str,
)
def test_an_encoding_that_could_overflow_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="cannot be encoded"):
        FixedPoint(**{"sites": 4, "clip": 1.0} | given)


@pytest.mark.parametrize(
    ("row", "cases"),
    [
        (np.array([np.nan]), 1),
        (np.array([np.inf]), 1),
        (np.array([1]), 1),
        (np.zeros((1, 1)), 1),
        (np.zeros(1), 0),
        (np.zeros(1), 11),
    ],
    ids=str,
)
def test_what_nobody_could_check_once_masked_is_refused_before(row: Any, cases: int) -> None:
    with pytest.raises(InputError, match="cannot be masked"):
        FixedPoint(sites=4, clip=1.0, max_cases=10).encode(row, cases=cases)


def test_noise_is_not_taken_for_a_sum() -> None:
    form = FixedPoint(sites=4, clip=1.0, max_cases=10)
    noise = np.random.default_rng(42).integers(0, 2**32, 50, dtype=np.uint32)
    for cases in (int(noise[-1]), 20):
        noise[-1] = cases
        with pytest.raises(IntegrityError, match="no sum"):
            form.decode(noise, contributors=3)


def test_arrays_lie_behind_one_another_by_name_and_come_back() -> None:
    arrays = {"w": np.arange(6.0).reshape(2, 3), "b": np.array([9.0]), "e": np.zeros((0, 2))}
    row = flatten_arrays(arrays)
    assert row.tolist() == [9, 0, 1, 2, 3, 4, 5]
    back = restore_arrays(row, like=arrays)
    assert all(np.array_equal(back[name], array) for name, array in arrays.items())
    assert flatten_arrays({}).size == 0
    with pytest.raises(InputError, match="another size"):
        restore_arrays(row[1:], like=arrays)
