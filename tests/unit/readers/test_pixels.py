"""Pictures as arrays: sizes, signals, likeness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from consilium.readers.likeness import NEAR, Copies, count_copies, count_near
from consilium.readers.pixels import (
    UnfitError,
    difference_hash,
    fill_up,
    fit_signal,
    grey_of,
    inner_size,
)
from consilium.readers.records import Field


def image(*shape: int, fit: str = "pad") -> Field:
    return Field(name="x", kind="image", shape=shape, fit=fit)


def signal(*shape: int, fit: str = "pad") -> Field:
    return Field(name="x", kind="signal", shape=shape, fit=fit)


@given(st.tuples(st.integers(1, 5000), st.integers(1, 5000)))
def test_a_picture_keeps_its_proportions_and_touches_a_side(size: tuple[int, int]) -> None:
    height, width = inner_size(size, image(96, 128, 1))
    assert height <= 96
    assert width <= 128
    assert height == 96 or width == 128
    assert inner_size(size, image(96, 128, 1, fit="stretch")) == (96, 128)


def test_what_is_filled_up_stands_in_the_middle() -> None:
    whole = fill_up(np.full((2, 4, 1), 7, dtype=np.uint8), image(4, 8, 1))
    assert whole[1:3, 2:6].min() == 7
    assert whole.sum() == 7 * 8


def test_a_signal_is_cut_filled_or_stretched() -> None:
    ramp = np.arange(6.0)[:, None]
    assert fit_signal(ramp, signal(4, 1))[:, 0].tolist() == [0, 1, 2, 3]
    assert fit_signal(ramp[:, 0], signal(8, 1))[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 0, 0]
    stretched = fit_signal(ramp, signal(11, 1, fit="stretch"))[:, 0]
    assert stretched.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((5, 2)), "wrong_channels"),
        (np.zeros((0, 1)), "wrong_channels"),
        (np.array([1.0, np.nan]), "unreadable"),
        (np.array([1.0, 1e300]), "unreadable"),
    ],
    ids=["channels", "empty", "nan", "huge"],
)
def test_a_signal_that_cannot_be_used_says_why(values: np.ndarray, reason: str) -> None:
    with pytest.raises(UnfitError) as caught:
        fit_signal(values, signal(5, 1))
    assert caught.value.reason == reason


@given(
    arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]))
    )
)
def test_any_picture_has_a_hash_that_brightness_does_not_change(picture: np.ndarray) -> None:
    found = difference_hash(grey_of(picture))
    assert found.shape == (4,)
    dimmed = difference_hash(grey_of(picture) * 0.5)
    assert np.array_equal(found, dimmed)


def test_pictures_of_noise_are_far_from_one_another_and_near_copies_are_near() -> None:
    generator = np.random.default_rng(0)
    pictures = generator.uniform(0, 255, size=(20, 64, 64))
    hashes = np.stack([difference_hash(one) for one in pictures])
    again = np.stack(
        [difference_hash(one + generator.normal(0, 0.5, one.shape)) for one in pictures]
    )
    bits = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2)
    assert bits[~np.eye(20, dtype=bool)].min() > 4 * NEAR
    assert np.bitwise_count(hashes ^ again).sum(axis=1).max() <= NEAR


@given(
    arrays.arrays(
        np.uint64, st.tuples(st.integers(1, 60), st.just(4)), elements=st.integers(0, 2**14 - 1)
    ),
    st.data(),
)
def test_near_copies_are_those_that_comparing_all_pairs_finds(
    hashes: np.ndarray, data: st.DataObject
) -> None:
    part = data.draw(arrays.arrays(np.int8, len(hashes), elements=st.sampled_from([0, 1])))
    near = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(axis=2) <= NEAR
    before = np.tril(near, -1).any(axis=1)
    leak = (near & (part[:, None] == 1) & (part[None] == 0)).any(axis=1)
    found = count_near(hashes, part, progress=lambda *_: None)
    assert found == Copies(all=int(before.sum()), held_out=int(leak.sum()))


def test_copies_of_the_same_bytes_are_counted_once_each() -> None:
    digests = np.array([b"a" * 32, b"b" * 32, b"a" * 32, b"a" * 32], dtype="S32").view("V32")
    part = np.array([0, 0, 1, 0], dtype=np.int8)
    assert count_copies(digests, part) == Copies(all=2, held_out=1)
