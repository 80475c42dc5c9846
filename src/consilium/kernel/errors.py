"""The errors of the whole house, and the one place where their words are found.

Every error carries a stable code. The code names two sentences, English and
Chinese, in `kernel/texts/*.toml`; both say what happened and what to do. Those
sentences hold identifiers and counts only, so they may cross to a peer. What
else is known goes into `detail`, which stays in the local log.

::

    ConsiliumError
    ├── InputError       correct what you gave                  exit 2   HTTP 400
    ├── NotFoundError    name something that exists             exit 3   HTTP 404
    ├── DeniedError      a rule says no; `rule` names it        exit 4   HTTP 403
    ├── StateError       not in this state; `now`, `wanted`     exit 5   HTTP 409
    ├── PeerError        somebody else failed; `retryable`      exit 6   HTTP 502
    ├── IntegrityError   stop, and tell a person                exit 7   HTTP 500
    └── RecipeError      foreign training code failed           exit 8   HTTP 422
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import ClassVar


class ConsiliumError(Exception):
    """Something a caller can act on.

    Parameters
    ----------
    code : str
        Stable name such as `dataset.empty_file`; a key of the text tables.
    detail : str
        More for the local log. Never sent to a peer. Never a patient value.
    **facts : object
        What the sentences of the code are filled with: identifiers and counts.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    family: ClassVar[str] = "error"

    def __init__(self, code: str, *, detail: str = "", **facts: object) -> None:
        self.code = code
        self.detail = detail
        self.facts = facts
        super().__init__(self.public)

    @property
    def public(self) -> str:
        """The English sentence; may cross to a peer."""
        return self.text("en")

    def text(self, language: str) -> str:
        """Say the error in `en` or `zh`."""
        return str(texts()[self.code][language]).format(**self.facts)

    def as_record(self) -> dict[str, str]:
        """Give the form that crosses process borders: code, facts and both sentences."""
        return {"code": self.code, "en": self.text("en"), "zh": self.text("zh")}


class InputError(ConsiliumError):
    """The caller can correct what was given."""

    exit_code = 2
    http_status = 400
    family = "input"


class NotFoundError(ConsiliumError):
    """What was named does not exist here."""

    exit_code = 3
    http_status = 404
    family = "not_found"


class DeniedError(ConsiliumError):
    """A rule says no; the code's last word is the rule."""

    exit_code = 4
    http_status = 403
    family = "denied"

    @property
    def rule(self) -> str:
        """Name the rule that refused."""
        return str(self.facts.get("rule", self.code))


class StateError(ConsiliumError):
    """What was asked is not possible in this state; facts carry `now` and `wanted`."""

    exit_code = 5
    http_status = 409
    family = "state"


class PeerError(ConsiliumError):
    """Another process or participant failed or did not answer."""

    exit_code = 6
    http_status = 502
    family = "peer"

    def __init__(
        self, code: str, *, retryable: bool = True, detail: str = "", **facts: object
    ) -> None:
        self.retryable = retryable
        super().__init__(code, detail=detail, **facts)


class IntegrityError(ConsiliumError):
    """Something is not what it was signed to be; stop and tell a person."""

    exit_code = 7
    http_status = 500
    family = "integrity"


class RecipeError(ConsiliumError):
    """Training code failed; raised only by the boundary that runs it."""

    exit_code = 8
    http_status = 422
    family = "recipe"


FAMILIES: dict[str, type[ConsiliumError]] = {
    kind.family: kind
    for kind in (
        InputError,
        NotFoundError,
        DeniedError,
        StateError,
        PeerError,
        IntegrityError,
        RecipeError,
    )
}


@cache
def texts() -> dict[str, dict[str, str]]:
    """Read every sentence of the house, keyed by code.

    Each table holds `family`, `en`, `zh` and `why` (a paragraph for the
    error's page). A code is `room.word`; the room names the file.
    """
    found: dict[str, dict[str, str]] = {}
    for page in files("consilium.kernel").joinpath("texts").iterdir():
        if page.name.endswith(".toml"):
            room = tomllib.loads(page.read_text(encoding="utf-8"))
            found |= {
                f"{name}.{word}": entry
                for name, words in room.items()
                for word, entry in words.items()
            }
    return found


def error_from_record(
    record: Mapping[str, object], *, fallback: str = "kernel.remote"
) -> ConsiliumError:
    """Rebuild an error that another of our processes reported.

    The sentences are taken as sent, so a newer peer's code can still be shown.
    """
    code = str(record.get("code", fallback))
    family = FAMILIES.get(str(texts().get(code, {}).get("family", "")), PeerError)
    error = family.__new__(family)
    error.code, error.detail, error.facts = code, "", {}
    sentences = {"en": str(record.get("en", code)), "zh": str(record.get("zh", code))}
    error.text = sentences.__getitem__  # type: ignore[method-assign, assignment]
    if isinstance(error, PeerError):
        error.retryable = False
    Exception.__init__(error, sentences["en"])
    return error
