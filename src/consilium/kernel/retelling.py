"""Saying a code in both languages when only its English sentence came along.

A hospital's refusal crosses to others as code and sentence. The sentence was
made of a template that we have too, so its facts can be read back out of it and
put into the template of the other language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from string import Formatter

from consilium.kernel.errors import texts

GAP = "…"
"""Stands for a fact that did not come along."""
_LONGEST = 1000


class _Gaps(dict[str, object]):
    def __missing__(self, _name: str) -> str:
        return GAP


def retell(code: str, sentence: str = "", **facts: object) -> dict[str, str]:
    """Say a code as a record: `code`, `en`, `zh`.

    Parameters
    ----------
    code : str
        One of ours, or one that only a newer release knows.
    sentence : str, optional
        The English sentence as it was said.
    **facts : object
        What is known besides; where nothing is known the sentence has a gap.
    """
    known = texts().get(code)
    if known is None:
        return {"code": code, "en": sentence or code, "zh": sentence or code}
    found = _Gaps({**facts, **_facts_in(str(known["en"]), sentence[:_LONGEST])})
    return {
        "code": code,
        "en": sentence or str(known["en"]).format_map(found),
        "zh": str(known["zh"]).format_map(found),
    }


def split_words(words: str) -> tuple[str, str]:
    """Split `code: sentence`, as a refusal crosses; without a code all is sentence."""
    code, colon, sentence = words.partition(": ")
    return (code, sentence) if colon and code in texts() else ("", words)


def _facts_in(template: str, sentence: str) -> Mapping[str, str]:
    found = _pattern(template).fullmatch(sentence) if sentence else None
    return found.groupdict() if found else {}


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts, seen = [], set[str]()
    for literal, name, _, _ in Formatter().parse(template):
        parts.append(re.escape(literal))
        if name and name.isidentifier():
            parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>.+?)")
            seen.add(name)
        elif name is not None:
            parts.append(".+?")
    return re.compile("".join(parts), re.DOTALL)
