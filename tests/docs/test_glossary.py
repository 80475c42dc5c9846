"""One word, one meaning: the glossary names each word once, and the house keeps to it."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from pages import ROOT, text_of

ROW = re.compile(r"^\| (?!Word |---)(.+?) \| (.+?) \| (.+?) \|$", re.M)
OTHERS = {"证据": "存证", "训练方案": "配方", "合同": "合约"}
"""Chinese words that people might write, and the glossary's own."""


def rows() -> list[tuple[str, str, str]]:
    found = ROW.findall(text_of(ROOT / "docs" / "glossary.md"))
    assert len(found) > 20
    return [(word, chinese, meaning) for word, chinese, meaning in found]


def words(cell: str) -> list[str]:
    return [word.strip() for word in re.split("[,、]", cell)]


def test_each_word_stands_once_in_alphabetical_order() -> None:
    listed = [word for row in rows() for word in words(row[0])]
    assert [word for word, times in Counter(listed).items() if times > 1] == []
    firsts = [words(row[0])[0] for row in rows()]
    assert firsts == sorted(firsts)


def test_each_chinese_word_stands_once() -> None:
    listed = [word for row in rows() for word in words(row[1])]
    assert [word for word, times in Counter(listed).items() if times > 1] == []


def test_each_row_says_what_the_word_means() -> None:
    assert [row for row in rows() if not all(cell.strip() for cell in row)] == []


@pytest.mark.parametrize("other", sorted(OTHERS))
def test_interface_and_errors_use_the_glossarys_chinese_word(other: str) -> None:
    assert OTHERS[other] in {word for row in rows() for word in words(row[1])}
    pages = [
        path
        for kind in ("*.py", "*.toml", "*.md")
        for folder in (ROOT / "src", ROOT / "docs", ROOT)
        for path in (folder.glob(kind) if folder == ROOT else folder.rglob(kind))
    ]
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted({*pages})
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if other in line
    ]
    assert found == []
