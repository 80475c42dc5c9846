"""Markdown of the pages about a model: text made harmless, and tables.

Whatever came from elsewhere is escaped, so that a title cannot turn into markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|!])")


def escape(text: str) -> str:
    """Put text on one line, with every sign of markup escaped."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def table(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    """Write a table from a head and lines of as many cells; cells must be escaped."""
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in (head, rule, *lines))
