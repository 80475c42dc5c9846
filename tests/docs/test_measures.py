"""The page of measures names every one, its codes, and an example that runs."""

from __future__ import annotations

import re

from pages import ROOT, code, text_of

import consilium.measures as room
from consilium.kernel.errors import texts

PAGE = ROOT / "docs" / "measures.md"
RECORDS = {"Measurement", "measure_figures"}
"""What every other call gives or is made of; their docstrings tell of them."""


def is_told(word: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", code(PAGE)) is not None


def test_every_public_measure_is_told() -> None:
    names = {*room.__all__, *room.METRICS, *room.ON_REQUEST} - RECORDS
    assert sorted(name for name in names if not is_told(name)) == []


def test_every_code_of_the_room_is_told() -> None:
    codes = {one for one in texts() if one.startswith("measures.")}
    assert sorted(one for one in codes if not is_told(one)) == []


def test_the_example_runs() -> None:
    (example,) = re.findall(r"^```python\n(.+?)^```", text_of(PAGE), re.M | re.S)
    exec(compile(example, str(PAGE), "exec"), {})
