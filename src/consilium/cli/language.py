"""Which language the person at the terminal reads."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = ("CONSILIUM_LANG", "LC_ALL", "LC_MESSAGES", "LANG")


def language_of(environment: Mapping[str, str]) -> str:
    """Return `zh` or `en`: the first of the usual variables that is set decides."""
    told = next((environment[name] for name in _NAMES if environment.get(name)), "")
    return "zh" if told.lower().startswith("zh") else "en"
