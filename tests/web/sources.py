"""The console's source, as the tests read it: files without comments, words, calls for words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "web" / "src"
BUNDLE = ROOT / "src" / "consilium" / "web" / "bundle"
LANGUAGES = ("zh", "en")

_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", re.S)
_ASKING = re.compile(r'const (\w+) = useWords\("(\w+)"\)')
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_TEMPLATE = re.compile(r"`([^`]*)`")
_COMPARED = re.compile(r'[!=]==\s*"[^"]*"|"[^"]*"\s*[!=]==')
_HOLE = re.compile(r"\$\{[^}]*\}")
_PLURAL = re.compile(r"_(zero|one|two|few|many|other)$")
_PLACES = "routes.tsx"
"""The table of screens names words of `places` without asking for them."""

_ROLES = "src/api/types.ts"
"""Lists the roles, whose words are asked for by what the node names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A word that the code asks for; a `pattern` where part of its key is computed."""

    path: str
    screens: tuple[str, ...]
    pattern: str

    def is_met_by(self, screen: str, key: str) -> bool:
        """Say whether a word is one that this asks for."""
        return screen in self.screens and re.fullmatch(self.pattern, key) is not None


def named(path: Path) -> str:
    return path.relative_to(ROOT / "web").as_posix()


@cache
def code_files() -> dict[str, str]:
    """Give every file of code by its name, without its comments."""
    paths = sorted([*SOURCE.rglob("*.tsx"), *SOURCE.rglob("*.ts")])
    kept = [path for path in paths if ".test." not in path.name]
    return {named(path): _COMMENT.sub("", path.read_text(encoding="utf-8")) for path in kept}


@cache
def words(language: str) -> dict[tuple[str, str], str]:
    """Give every word of a language by screen and key; forms of a plural are one key."""
    found = {}
    for path in sorted((SOURCE / "words" / language).glob("*.json")):
        for key, text in _flat(json.loads(path.read_text(encoding="utf-8"))):
            found[path.stem, _PLURAL.sub("", key)] = text
    return found


def _flat(table: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


@cache
def calls() -> tuple[Call, ...]:
    """List every word that the code asks for."""
    return tuple(call for path, text in code_files().items() for call in _calls(path, text))


def _calls(path: str, text: str) -> Iterator[Call]:
    askers: dict[str, list[str]] = {}
    for name, screen in _ASKING.findall(text):
        askers.setdefault(name, []).append(screen)
    for name, screens in askers.items():
        for found in re.finditer(rf"\b{name}\(", text):
            given = _COMPARED.sub("", _first_argument(text, found.end()))
            for pattern in _patterns(given):
                yield Call(path=path, screens=tuple(screens), pattern=pattern)
    if path.endswith(_PLACES):
        for word in re.findall(r'word: "(\w+)"', text):
            yield Call(path=path, screens=("places",), pattern=re.escape(word))


def _patterns(given: str) -> Iterator[str]:
    for template in _TEMPLATE.findall(given):
        yield ".+".join(re.escape(piece) for piece in _HOLE.split(template))
    for word in _STRING.findall(_TEMPLATE.sub("", given)):
        yield re.escape(word)


def _first_argument(text: str, start: int) -> str:
    depth = 0
    for place in range(start, len(text)):
        letter = text[place]
        if depth == 0 and letter in ",)":
            return text[start:place]
        depth += (letter in "([{") - (letter in ")]}")
    return text[start:]


@cache
def said_nearby() -> dict[str, frozenset[str]]:
    """Give, for each screen, every text in the files that ask for its words.

    A key may be handed on in a variable; then it stands somewhere in such a file.
    """
    found: dict[str, set[str]] = {}
    for text in code_files().values():
        strings = set(_STRING.findall(text)) | set(re.findall(r"\b(\w+):", text))
        for _, screen in _ASKING.findall(text):
            found.setdefault(screen, set()).update(strings)
    found["roles"].update(_STRING.findall(code_files()[_ROLES]))
    return {screen: frozenset(strings) for screen, strings in found.items()}
