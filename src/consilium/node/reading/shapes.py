"""Shapes that several answers share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from consilium.dataspace.sentences import Sentence
from consilium.kernel.identifiers import ParticipantId
from consilium.kernel.retelling import retell
from consilium.node.directory import HubDirectory
from consilium.web.paging import Shape

Record = dict[str, Any]
"""An object whose keys another page describes."""


class Said(Shape):
    """One sentence in both languages."""

    en: str
    zh: str


class Words(Said):
    """A code with its sentence in both languages."""

    code: str


class TermWords(Said):
    """What one term of an offer or agreement says."""

    term: str


class StudyEvent(Shape):
    """One line of what happened in a study; `facts` depend on `kind`."""

    id: int
    time: str
    kind: str
    facts: Record


def say(code: str, sentence: str = "", **facts: Any) -> Words:
    """Say a code of the house in both languages."""
    return Words(**retell(code, sentence, **facts))


def read_words(record: Mapping[str, Any] | None) -> Words | None:
    """Take words out of a record that may be absent."""
    if not record or not record.get("code"):
        return None
    return Words(code=record["code"], en=str(record["en"]), zh=str(record["zh"]))


def say_terms(sentences: Iterable[Sentence]) -> list[TermWords]:
    """Give terms in words."""
    return [TermWords(**asdict(one)) for one in sentences]


def titles_of(directory: HubDirectory) -> dict[ParticipantId, str]:
    """Give members' display names as they were told last."""
    found = directory.list_known()
    return {entry.identity.participant: entry.identity.title for entry in found}
