"""The proof: every line of the table has a bar, and a run that broke off goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks import engine_bars, proof
from benchmarks.bars import Bar, Measured
from benchmarks.commands import FailedError

WANTED = {
    "1": ("exit 0, ≤ 300 s", "≤ 60 s"),
    "2": ("green", "green, ≤ 120 s", "green", "≤ 720 s"),
    "3": (".685 ± .05", ".726 ± .03", "≥ .79", "≥ .80"),
    "4": ("all pass",),
    "5": ("all pass",),
    "6": ("all pass",),
    "7": ("median ≤ 0.3 s", "worst ≤ 5 s", "worst ≤ 3 s"),
    "8": ("≤ 300 MB", "≤ 250 MB", "≤ 600 MB"),
    "9": (),
    "crashes": ("all pass",),
}
"""The table that asks for the figures, line by line."""


def make_bar(
    name: str, measure: Callable[[bool], Measured] | None = None, *, long: bool = False
) -> Bar:
    def usual(quick: bool) -> Measured:
        return Measured(figure="7 s", met=True)

    return Bar(
        row="1",
        name=name,
        wanted="≤ 9 s",
        command="a | b",
        measure=measure or usual,
        long=long,
    )


@pytest.mark.parametrize("row", WANTED)
def test_every_line_of_the_table_has_its_bars(row: str) -> None:
    found = [bar.wanted for bar in engine_bars.bars() if bar.row == row]
    assert found
    assert set(WANTED[row]) <= set(found)


def test_bars_have_names_of_their_own_and_commands() -> None:
    bars = engine_bars.bars()
    assert len({bar.name for bar in bars}) == len(bars)
    assert all(bar.command and bar.wanted for bar in bars)


def test_a_quick_run_leaves_the_longest_bars_out() -> None:
    bars = [make_bar("short"), make_bar("long", long=True)]
    assert [bar.name for bar in proof.chosen(bars, words=[], quick=True)] == ["short"]
    assert len(proof.chosen(bars, words=[], quick=False)) == 2


def test_a_bar_is_chosen_by_its_row_or_a_word_of_its_name() -> None:
    bars = engine_bars.bars()
    assert {bar.row for bar in proof.chosen(bars, words=["8"], quick=True)} == {"8"}
    assert [bar.name for bar in proof.chosen(bars, words=["canaries"], quick=True)] == [
        "planted canaries in all that crosses or is kept"
    ]


def test_a_run_that_broke_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    measured = []

    def note(name: str) -> Callable[[bool], Measured]:
        def measure(quick: bool) -> Measured:
            measured.append(name)
            if measured == ["first", "second"]:
                raise KeyboardInterrupt
            return Measured(figure="1", met=True)

        return measure

    progress = tmp_path / "engine.jsonl"
    bars = [make_bar(name, note(name)) for name in ("first", "second")]
    with pytest.raises(KeyboardInterrupt):
        proof.measure_all(bars, area="engine", quick=False, progress=progress)
    found = proof.measure_all(bars, area="engine", quick=False, progress=progress)
    assert measured == ["first", "second", "second"]
    assert [each.bar for each in found] == ["first", "second"]
    assert not progress.exists()


def test_what_cannot_be_measured_is_a_missed_bar_that_says_why() -> None:
    def fail(quick: bool) -> Measured:
        raise FailedError("no such tests: tests/elsewhere\nlast words")

    found = proof.measure(make_bar("one", fail), area="engine", quick=False)
    assert (found.met, found.failed) == (False, True)
    assert found.figure == "failed: no such tests: tests/elsewhere"
    assert found.details == "last words"
    assert proof.line(found).startswith("MISSED")


def test_a_quick_result_never_takes_the_place_of_a_full_one(tmp_path: Path) -> None:
    file, bars = tmp_path / "engine.jsonl", [make_bar("one"), make_bar("two")]
    full = proof.measure(bars[0], area="engine", quick=False)
    quick = [proof.measure(bar, area="engine", quick=True) for bar in bars]
    proof.keep(file, [full], order=bars)
    proof.keep(file, quick, order=bars)
    assert [(each.bar, each.quick) for each in proof.read(file)] == [("one", False), ("two", True)]


def test_the_page_shows_figure_bar_and_command_of_each_finding(tmp_path: Path) -> None:
    bar = make_bar("one", lambda _: Measured(figure="7 s", met=False, details="row by row"))
    proof.keep(
        tmp_path / "engine.jsonl", [proof.measure(bar, area="engine", quick=True)], order=[bar]
    )
    page = proof.page(tmp_path)
    assert "## engine" in page
    assert "| ✗ | 1 | one | 7 s | ≤ 9 s | `a \\| b` |" in page
    assert "(quick)" in page
    assert "### one\n\n```\nrow by row\n```" in page
