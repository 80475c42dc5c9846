"""The national checklist is whole, shows commands, and marks what was not read."""

from __future__ import annotations

import re

from pages import ROOT, commands, text_of
from test_commands import wrong

PAGE = ROOT / "docs" / "tc609.md"
FUNCTIONS = [*(f"P{number}" for number in range(1, 8)), *(f"C{number}" for number in range(1, 6))]


def rows() -> dict[str, list[str]]:
    """Give each function's cells."""
    lines = re.findall(r"^\| ([PC]\d) \|(.+)\|$", text_of(PAGE), re.M)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in lines}


def test_every_function_of_platform_and_connector_stands_once() -> None:
    listed = re.findall(r"^\| ([PC]\d) \|", text_of(PAGE), re.M)
    assert listed == FUNCTIONS


def test_each_function_names_commands_that_exist() -> None:
    for name, cells in rows().items():
        spans = "\n".join(re.findall("`([^`]+)`", cells[2]))
        assert list(commands(spans, "consilium")), name
        assert wrong(spans, whole=False) == {}, name


def test_each_row_says_what_is_there_and_what_is_not_in_both_languages() -> None:
    for name, cells in rows().items():
        assert len(cells) == 6, name
        assert cells[1] in {"●", "◐", "○"}, name
        for cell in (cells[0], cells[3], cells[4]):
            assert re.search("[a-z]", cell), (name, cell)
            assert re.search("[\u4e00-\u9fff]", cell), (name, cell)


def test_each_row_is_marked_as_quoted_at_second_hand() -> None:
    assert {cells[5] for cells in rows().values()} == {"[P]"}
    page = text_of(PAGE)
    assert "**not been read**" in page
    assert "**未阅读**" in page
