"""What the pages tell people to type exists, and what can be typed is told somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer
from pages import (
    ERRORS,
    PROSE,
    READMES,
    ROOT,
    blocks,
    code,
    commands,
    named,
    spans,
    text_of,
)
from typer.main import get_command

from consilium.cli import DEMO, DOCTOR, NOUNS, build_app


def verbs() -> Iterator[tuple[str, ...]]:
    """List every command of the command line."""
    yield from ((DEMO,), (DOCTOR,))
    for noun in NOUNS:
        for each in import_module(f"consilium.cli.{noun}").app.registered_commands:
            assert each.callback is not None
            yield noun, each.name or each.callback.__name__.replace("_", "-")


def parse(words: list[str]) -> None:
    """Read a command line as the program would, without running it.

    Raises
    ------
    typer.TyperException
        When there is no such command, option or argument.
    """
    command = get_command(build_app(words[0]))
    context = command.make_context("consilium", list(words), resilient_parsing=True)
    rest = list(words)
    while isinstance(command, typer.core.TyperGroup):
        if len(rest) == 0:
            return  # a noun alone shows its verbs
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
        context = command.make_context(
            str(name), list(rest), parent=context, resilient_parsing=True
        )
    command.make_context("consilium", list(rest), parent=context.parent)


def wrong(text: str, *, whole: bool) -> dict[str, str]:
    """Say what is wrong with the commands in a text; within a sentence they need not be whole."""
    found = {}
    for words in commands(text, "consilium"):
        try:
            parse(words)
        except typer.TyperException as error:
            message = error.format_message()
            if whole or not re.match("Missing argument|Option .* requires an argument", message):
                found[" ".join(words)] = message
    return found


@pytest.mark.parametrize("page", PROSE, ids=named)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    assert wrong(blocks(page), whole=True) == {}
    assert wrong(spans(page), whole=False) == {}


def test_the_commands_of_the_errors_pages_exist() -> None:
    found = {named(page): wrong(code(page), whole=False) for page in ERRORS}
    assert {page: words for page, words in found.items() if words} == {}


@pytest.mark.parametrize("page", READMES, ids=named)
def test_the_targets_of_a_front_page_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.M)
    told = list(commands(code(page), "make"))
    assert told
    assert [words for words in told if words[0] not in targets] == []


def test_both_front_pages_tell_the_same_commands() -> None:
    def told(page: Path) -> set[tuple[str, ...]]:
        every = (*commands(code(page), "consilium"), *commands(code(page), "make"))
        return {tuple(words[:2]) for words in every}

    english, chinese = READMES
    assert told(english) == told(chinese)


@pytest.mark.parametrize("words", sorted(verbs()), ids=" ".join)
def test_every_command_is_told_on_some_page(words: tuple[str, ...]) -> None:
    told = f"consilium {' '.join(words)}"
    assert any(re.search(rf"{told}\b", code(page)) for page in PROSE), told
