"""HTML from small pieces: everything is escaped unless it was built here.

The report shows names and titles that people typed into files, so no text
reaches the page except through `tag`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

_VOID = frozenset({"br", "input", "meta", "line", "rect", "circle", "path", "polyline", "polygon"})


class Html(str):
    """Text that is already HTML."""

    __slots__ = ()


class Words(NamedTuple):
    """The same words in English and Chinese."""

    en: str
    zh: str


Piece = str | Words
"""What can stand inside a tag: `Html` as it is, other text escaped, words in both languages."""


def tag(name: str, /, *inside: Piece, **attributes: str | float | bool | None) -> Html:
    """Build one element.

    Parameters
    ----------
    name : str
        The element's name.
    *inside : Piece
        Its content.
    **attributes
        A trailing underscore is dropped and others become hyphens (`class_`,
        `aria_label`); None and False leave the attribute out, True sets it bare.
    """
    opened = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}"
    if name in _VOID and not inside:
        return Html(f"{opened}/>" if name not in {"br", "input", "meta"} else f"{opened}>")
    return Html(f"{opened}>{join(inside)}</{name}>")


def join(pieces: Iterable[Piece]) -> Html:
    """Put pieces one after another."""
    return Html("".join(_render(piece) for piece in pieces))


def both(words: Words) -> Html:
    """Write words as two elements, of which the page's style shows one."""
    return Html(
        tag("span", words.en, class_="en", lang="en")
        + tag("span", words.zh, class_="zh", lang="zh-CN")
    )


def plain(words: Words) -> str:
    """Write words as one text in both languages, for attributes that no style can switch."""
    return words.en if words.en == words.zh else f"{words.en} / {words.zh}"


def _render(piece: Piece) -> str:
    if isinstance(piece, Words):
        if piece.en != piece.zh:
            return both(piece)
        piece = piece.en
    return piece if isinstance(piece, Html) else escape(piece, quote=False)


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
