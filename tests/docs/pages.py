"""The project's pages, and what can be read out of them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
PAGES = (*READMES, *sorted((ROOT / "docs").rglob("*.md")))
ERRORS = tuple(page for page in PAGES if page.parent.name == "errors")
PROSE = tuple(page for page in PAGES if page not in ERRORS)
"""What people read from beginning to end; the errors' pages are made by a script."""

_FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.M | re.S)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.M)


def named(page: Path) -> str:
    """Name a page as the failing test should."""
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def links(page: Path) -> list[str]:
    """List the links of a page, in order; those within code do not count."""
    return _LINK.findall(_FENCE.sub("", text_of(page)))


def anchors(page: Path) -> set[str]:
    """Give the anchors that a page's headings make."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(_FENCE.sub("", text_of(page)))
    }


def blocks(page: Path) -> str:
    """Give what stands in blocks of code."""
    return "\n".join(_FENCE.findall(text_of(page)))


def spans(page: Path) -> str:
    """Give what stands as code within sentences, a line for each piece."""
    return "\n".join(_CODE.findall(_FENCE.sub("", text_of(page))))


def code(page: Path) -> str:
    """Give everything that stands as code on a page."""
    return f"{blocks(page)}\n{spans(page)}"


def commands(text: str, program: str) -> Iterator[list[str]]:
    """Give the command lines in a text that begin with a program, as lists of words."""
    for line in text.splitlines():
        start = re.match(rf"(?:\$ )?(?:\.venv/bin/)?{program}(?= [a-z])", line.strip())
        if start is None or "─" in line:
            continue
        told = re.split(r" {2,}| #", line.strip()[start.end() :].strip())[0]
        yield shlex.split(told.replace("…", "x"))
