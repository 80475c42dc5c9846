"""The console's words: both languages complete, none missing, none left over, none in the code."""

from __future__ import annotations

import re

import pytest
from sources import LANGUAGES, SOURCE, calls, code_files, said_nearby, words

_LETTERS = re.compile(r"[A-Za-z]{2,}|[\u4e00-\u9fff]")
_CHINESE = re.compile(r"[\u4e00-\u9fff]+")
_HOLE = re.compile(r"\{\{(\w+)\}\}")
_JSX_TEXT = re.compile(r"(?<![=\-])>([^<>{}=;()]+)(?=</|\{|<[A-Za-z])")
_ATTRIBUTE = re.compile(
    r'\b(aria-label|alt|title|placeholder|label|help|hint|subtitle|verb)="([^"]+)"'
)
_CODE = re.compile(r"&&|\?\s*[\"`]|^\s*[,:\])]|:\s*$")
"""What stands between two tags and is no text: the rest of an expression."""
NAMES = {"Consilium", "会诊"}
"""What is the same in every language: the product's own name."""
READING = {"src/screens/connect/guess.ts"}
"""Files whose Chinese is looked for in a hospital's table, never shown."""


def test_both_languages_have_the_same_words() -> None:
    zh, en = (set(words(language)) for language in LANGUAGES)
    assert zh ^ en == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_empty(language: str) -> None:
    assert [key for key, text in words(language).items() if not text.strip()] == []


def test_both_languages_fill_the_same_holes() -> None:
    zh, en = (words(language) for language in LANGUAGES)
    # A count may stay unsaid: "Due tomorrow" has one form, a plural chooses by it.
    differing = {
        key
        for key in set(zh) & set(en)
        if (set(_HOLE.findall(zh[key])) ^ set(_HOLE.findall(en[key]))) - {"count"}
    }
    assert differing == set()


def test_every_word_that_the_code_asks_for_exists() -> None:
    known = words("zh")
    missing = [
        f"{call.path}: {' or '.join(call.screens)} {call.pattern}"
        for call in calls()
        if not any(call.is_met_by(screen, key) for screen, key in known)
    ]
    assert missing == []


def test_every_word_is_asked_for() -> None:
    nearby = said_nearby()
    unused = [
        f"{screen}: {key}"
        for screen, key in words("zh")
        # A place may have its name before its screen stands in the table.
        if screen != "places"
        and not any(call.is_met_by(screen, key) for call in calls())
        and key not in nearby.get(screen, ())
    ]
    assert unused == []


def test_english_words_hold_no_chinese() -> None:
    mixed = [
        key
        for key, text in words("en").items()
        if _CHINESE.search(text)
        and key not in {("shell", "otherLanguage"), ("settings", "chinese")}
    ]
    assert mixed == []


def test_no_text_stands_in_the_code() -> None:
    found = []
    for path, text in code_files().items():
        if path.endswith(".tsx"):
            shown = _JSX_TEXT.findall(text) + [value for _, value in _ATTRIBUTE.findall(text)]
            found += [
                f"{path}: {one.strip()}"
                for one in shown
                if _LETTERS.search(one) and not _CODE.search(one) and one.strip() not in NAMES
            ]
        if path not in READING:
            found += [f"{path}: {one}" for one in _CHINESE.findall(text) if one not in NAMES]
    assert found == []


def test_every_screen_of_the_table_has_a_file() -> None:
    table = code_files()["src/routes.tsx"]
    screens = re.findall(r'import\("\./screens/(\w+)"\)', table)
    assert screens
    assert [one for one in screens if not (SOURCE / "screens" / f"{one}.tsx").exists()] == []
