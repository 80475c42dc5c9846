"""Tables at the terminal speak Chinese: every word of ours has its row."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from consilium.cli.printing import show_record, show_rows
from consilium.cli.words import ZH, Plain, say

FILES = sorted((Path(__file__).parents[3] / "src" / "consilium" / "cli").glob("*.py"))
SHOWING = {"show_rows", "show_record", "show_processes", "show_process", "show_step"}


def words_of(file: Path) -> Iterator[str]:
    """Find what a file hands to a table: titles, columns, what is said of nothing."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    named = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        if getattr(call.func, "id", "") not in SHOWING:
            continue
        given = [*call.args, *(word.value for word in call.keywords if word.arg == "empty")]
        for one in given:
            value = named.get(one.id, one) if isinstance(one, ast.Name) else one
            parts = value.elts if isinstance(value, ast.Tuple) else [value]
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value.rstrip("#").strip()


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_every_word_of_a_table_has_its_chinese(file: Path) -> None:
    assert {word for word in words_of(file) if word and word not in ZH} == set()


def test_the_search_for_words_finds_them() -> None:
    found = {word for file in FILES for word in words_of(file)}
    assert {"Agreements", "contract id", "No agreement yet.", "Hospitals", "spent"} <= found


def test_a_table_is_shown_in_the_language_of_the_reader(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONSILIUM_LANG", "zh")
    show_rows("Agreements", ("state", Plain("time#")), [("x", 1)])
    show_record("Node", {"ready": True, "unheard-of": 1})
    show_rows("Agreements", ("state",), [], empty="No agreement yet.")
    shown = capsys.readouterr().out
    for word in ("合约", "状态", "time", "节点", "就绪", "是", "unheard-of", "尚无合约。"):
        assert word in shown
    assert "时间" not in shown, "a name from the data is no word of ours"


def test_english_stands_for_itself() -> None:
    assert say("Agreements", "en") == "Agreements"
