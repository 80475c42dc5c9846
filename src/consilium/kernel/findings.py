"""Findings: what an examination saw, one place ("hop") after the other.

An examination never raises and never repairs. Each hop gives one finding with
its sentence and remedy in both languages; a hop that stands on one that failed
is skipped, so that the first failing hop is the one to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consilium.kernel.errors import ConsiliumError, texts

LANGUAGES = ("en", "zh")


class State(StrEnum):
    """How a hop was found."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was seen at one hop. Holds identifiers, counts and times, never a secret.

    Parameters
    ----------
    hop : str
        Where: `disk`, `proxy`, `engine` and so on.
    state : State
        How it was found.
    code : str
        Stable name of what was seen, with a page of its own.
    facts : dict
        What the sentences are filled with.
    en, zh : str
        What was seen, and the remedy.
    """

    hop: str
    state: State
    code: str
    facts: dict[str, Any]
    en: str
    zh: str

    def text(self, language: str) -> str:
        """Say it in `en` or `zh`."""
        return self.zh if language == "zh" else self.en

    def as_record(self) -> dict[str, Any]:
        """Give the finding as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How one hop is examined, and which hops must have been passed before."""

    hop: str
    run: Callable[[], Finding]
    needs: tuple[str, ...] = ()


def report(hop: str, code: str, **facts: Any) -> Finding:
    """Say that a hop is in order; the sentences are those of the code."""
    return _make(hop, code, State.OK, facts)


def report_warning(hop: str, code: str, **facts: Any) -> Finding:
    """Say that a hop works and needs attention."""
    return _make(hop, code, State.WARNING, facts)


def report_failure(hop: str, code: str, **facts: Any) -> Finding:
    """Say that a hop is at fault."""
    return _make(hop, code, State.FAILED, facts)


def report_skip(hop: str, code: str, **facts: Any) -> Finding:
    """Say that a hop could not be examined."""
    return _make(hop, code, State.SKIPPED, facts)


def report_error(hop: str, error: ConsiliumError) -> Finding:
    """Make a failed finding of an error, with the error's own sentences."""
    facts = {name: value for name, value in error.facts.items() if _is_plain(value)}
    en, zh = (error.text(language) for language in LANGUAGES)
    return Finding(hop=hop, state=State.FAILED, code=error.code, facts=facts, en=en, zh=zh)


def examine(checks: Sequence[Check]) -> Iterator[Finding]:
    """Examine hop by hop, in order."""
    bad: set[str] = set()
    for check in checks:
        missing = next((hop for hop in check.needs if hop in bad), "")
        found = report_skip(check.hop, "doctor.skipped", first=missing) if missing else _run(check)
        if found.state in {State.FAILED, State.SKIPPED}:
            bad.add(check.hop)
        yield found


def first_failure(findings: Sequence[Finding]) -> Finding | None:
    """Return the finding to look at first; None when nothing failed."""
    return next((one for one in findings if one.state is State.FAILED), None)


def _make(hop: str, code: str, state: State, facts: dict[str, Any]) -> Finding:
    en, zh = (str(texts()[code][language]).format(**facts) for language in LANGUAGES)
    return Finding(hop=hop, state=state, code=code, facts=facts, en=en, zh=zh)


def _run(check: Check) -> Finding:
    try:
        return check.run()
    except ConsiliumError as error:
        return report_error(check.hop, error)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
