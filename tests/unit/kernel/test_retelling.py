"""Sentences that came in one language are said in both."""

from __future__ import annotations

import pytest

from consilium.kernel.errors import StateError, texts
from consilium.kernel.retelling import retell, split_words


def test_the_facts_of_an_english_sentence_are_said_in_chinese_too() -> None:
    error = StateError("study.too_few_sites", ready=1, invited=4, quorum=3)
    assert retell(error.code, error.public) == error.as_record()


def test_facts_that_did_not_come_along_leave_gaps() -> None:
    told = retell("study.too_few_sites", ready=2)
    assert "Only 2 of the … invited" in told["en"]
    assert "只有 2 家" in told["zh"]


def test_a_code_of_a_newer_release_is_shown_as_it_came() -> None:
    assert retell("new.code", "Something.") == {"code": "new.code"} | dict.fromkeys(
        ("en", "zh"), "Something."
    )


def test_a_sentence_that_was_cut_off_is_still_said_in_both_languages() -> None:
    whole = StateError("study.too_few_sites", ready=1, invited=4, quorum=3).public
    told = retell("study.too_few_sites", whole[:40])
    assert told["en"] == whole[:40]
    assert told["zh"]


@pytest.mark.parametrize("code", sorted(texts()))
def test_every_sentence_can_be_retold_without_its_facts(code: str) -> None:
    told = retell(code)
    assert told["en"]
    assert told["zh"]


def test_a_refusal_is_split_into_code_and_sentence() -> None:
    assert split_words("study.unknown: There is none.") == ("study.unknown", "There is none.")
    assert split_words("engine: EXECUTION_EXCEPTION") == ("", "engine: EXECUTION_EXCEPTION")
