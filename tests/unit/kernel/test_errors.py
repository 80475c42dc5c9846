"""The errors of the whole house."""

import ast
from pathlib import Path

import pytest

import consilium
from consilium.kernel.errors import (
    FAMILIES,
    ConsiliumError,
    InputError,
    PeerError,
    error_from_record,
    texts,
)

SOURCE = Path(consilium.__file__).parent


def raised_codes() -> list[tuple[str, str, str]]:
    """Find `XError("room.word", ...)` in the source: file, class, code."""
    classes = {kind.__name__ for kind in FAMILIES.values()}
    return [
        (path.name, call.func.id, str(call.args[0].value))
        for path in SOURCE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in classes
        and call.args
        and isinstance(call.args[0], ast.Constant)
    ]


def test_every_raised_code_has_its_sentences_and_its_family() -> None:
    wrong = [
        (file, name, code)
        for file, name, code in raised_codes()
        if FAMILIES.get(texts().get(code, {}).get("family", "")) is None
        or FAMILIES[texts()[code]["family"]].__name__ != name
    ]
    assert not wrong


@pytest.mark.parametrize("code", sorted(texts()))
def test_every_code_says_what_happened_in_both_languages(code: str) -> None:
    entry = texts()[code]
    assert {"family", "en", "zh", "why"} <= set(entry)
    assert entry["en"].rstrip().endswith((".", "!", "?", "`."))
    assert any("\u4e00" <= letter <= "\u9fff" for letter in entry["zh"])


def test_an_error_says_itself_in_english_and_chinese() -> None:
    error = InputError("kernel.bad_name", name="Ä")
    assert "'Ä'" in error.public
    assert "小写字母" in error.text("zh")
    assert str(error) == error.public


def test_an_error_survives_the_way_through_another_process() -> None:
    sent = PeerError("kernel.remote", retryable=True, detail="never sent")
    back = error_from_record(sent.as_record())
    assert isinstance(back, PeerError)
    assert (back.public, back.text("zh"), back.detail) == (sent.public, sent.text("zh"), "")
    assert not back.retryable


def test_an_unknown_code_of_a_newer_peer_is_still_shown() -> None:
    back = error_from_record({"code": "future.thing", "en": "Do this.", "zh": "请这样做。"})
    assert isinstance(back, ConsiliumError)
    assert back.public == "Do this."
