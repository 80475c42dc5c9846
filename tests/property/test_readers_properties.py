"""What holds for any schema text, any split and any cell."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.model_selection import train_test_split

from consilium.kernel.errors import InputError
from consilium.readers.intake import take_in
from consilium.readers.open_data import schema_text
from consilium.readers.records import IntakeRequest, Split
from consilium.readers.schema import Schema
from consilium.readers.split import count_sides, hold_out

pytestmark = pytest.mark.slow

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def patients(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    numbers = draw(st.lists(st.integers(0, 15), min_size=4, max_size=80))
    dense = {number: place for place, number in enumerate(dict.fromkeys(numbers))}
    group = np.array([dense[number] for number in numbers], dtype=np.int64)
    y = draw(arrays.arrays(np.int8, len(numbers), elements=st.sampled_from([0, 1])))
    return y, group


@given(patients(), st.integers(0, 2**32 - 1), st.floats(0.1, 0.9), st.booleans())
def test_no_patient_stands_on_both_sides(
    drawn: tuple[np.ndarray, np.ndarray], seed: int, share: float, stratify: bool
) -> None:
    y, group = drawn
    split = Split(train_size=None, held_out=share, seed=seed, stratify=stratify)
    if 0 in count_sides(int(group.max()) + 1, split):
        with pytest.raises(InputError, match="complete rows"):
            hold_out(y, group, split)
        return
    part, _ = hold_out(y, group, split)
    assert set(group[part == 0]).isdisjoint(group[part == 1])
    assert set(part) == {0, 1}
    assert np.array_equal(part, hold_out(y, group, split)[0])


@given(
    arrays.arrays(np.int8, st.integers(4, 120), elements=st.sampled_from([0, 1])),
    st.integers(0, 2**32 - 1),
    st.floats(0.05, 0.95),
)
def test_rows_are_drawn_as_scikit_learn_draws_them(y: np.ndarray, seed: int, share: float) -> None:
    try:
        part, stratified = hold_out(y, None, Split(train_size=share, seed=seed))
    except InputError:
        return
    _, expected = train_test_split(
        np.arange(y.size), train_size=share, random_state=seed, stratify=y if stratified else None
    )
    assert np.array_equal(np.flatnonzero(part), np.sort(expected))


@given(st.data())
def test_a_damaged_schema_is_refused_in_our_words_or_still_whole(data: st.DataObject) -> None:
    record = Schema.from_toml(schema_text("heart-disease")).as_record()
    table = data.draw(
        st.sampled_from(
            [record, record["source"], record["label"], record["split"], *record["fields"]]
        )
    )
    key = data.draw(st.sampled_from(sorted(table)) | st.text(max_size=8))
    table[key] = data.draw(JSON)
    schema = schema_or_refusal(record)
    if isinstance(schema, Schema):
        assert Schema.from_record(schema.as_record()) == schema
    else:
        assert schema.startswith("readers.schema_")


@given(st.text(max_size=200))
def test_any_text_that_is_no_schema_is_refused_in_our_words(text: str) -> None:
    with pytest.raises(InputError) as caught:
        Schema.from_toml(text)
    assert caught.value.code.startswith("readers.schema_")


CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=12
) | st.sampled_from(
    [
        "1e400",
        "-inf",
        "nan",
        "0x1",
        "1_0",
        "  7 ",
        "-9",
        "?",
        '"',
        "''",
        ",",
        "\n",
        "1,5",
        "٣",
        "１",
    ]
)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8))
def test_any_cell_is_counted_once_and_never_told(cells: list[tuple[str, str]]) -> None:
    schema = """
    [source]
    missing_marks = ["?"]
    [label]
    field = "y"
    rule = "== 1"
    [[fields]]
    name = "x"
    kind = "number"
    range = [0, 100]
    [[fields]]
    name = "c"
    kind = "category"
    categories = ["a", "1", "0x1"]
    [[fields]]
    name = "y"
    kind = "number"
    """
    text = io.StringIO()
    table = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writerow(["x", "c", "y"])
    plain = [("7", "a")] * 40
    for place, pair in enumerate([*plain, *cells]):
        table.writerow([*pair, place % 2])
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "t.csv"
        source.write_text(text.getvalue(), encoding="utf-8", newline="")
        request = IntakeRequest(
            source=source, schema=schema, out=Path(folder) / "out", memory_mb=64
        )
        result = take_in(request, progress=lambda _step, _done: None)
        with np.load(result.arrays, allow_pickle=False) as found:
            x = found["x"]
    report = result.quality
    assert report["rows"]["read"] == 40 + len(cells)
    assert report["rows"]["complete"] == len(x) == sum(map(is_plain, cells)) + 40
    assert np.isfinite(x).all()


def schema_or_refusal(record: dict[str, object]) -> Schema | str:
    """Read a schema, or give the code of its refusal."""
    try:
        return Schema.from_record(record)
    except InputError as error:
        return error.code


def is_plain(pair: tuple[str, str]) -> bool:
    """Say by other means whether a row has a number and a known category."""
    number, category = (cell.strip(" \t\r\n\u00a0\u3000") for cell in pair)
    try:
        fine = np.isfinite(float(number)) and "_" not in number and number.isascii()
    except ValueError:
        fine = False
    try:
        known = float(category) == 1 and "_" not in category and category.isascii()
    except ValueError:
        known = False
    return bool(fine and (known or category in ("a", "0x1")))
