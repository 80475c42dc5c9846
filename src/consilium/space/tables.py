"""The TOML files that a person writes for a space: opened, and every slip in them said in words.

A slip (a misspelt key, a number out of range) must not become a quiet default.
The strict reading is `kernel.tables`; here stand the sentences, each with file,
key and remedy.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from consilium.kernel.errors import InputError
from consilium.kernel.tables import Fault, Section, Slip

_CODES: dict[str, str] = {
    Fault.MISSING: "space.missing_key",
    Fault.UNKNOWN: "space.unknown_key",
    Fault.TEXT: "space.not_text",
    Fault.TEXTS: "space.not_texts",
    Fault.WHOLE: "space.not_whole",
    Fault.NUMBER: "space.not_number",
    Fault.FLAG: "space.not_flag",
    Fault.TABLE: "space.not_table",
    Fault.TABLES: "space.not_tables",
}


def open_tables(path: Path) -> Section:
    """Open a TOML file as the section that holds all others.

    Raises
    ------
    InputError
        `space.no_file`, `space.not_text_file` or `space.not_toml`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError("space.no_file", file=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError("space.not_text_file", file=path.name) from error
    try:
        return Section(tomllib.loads(text), refuse=partial(_refuse, path.name))
    except tomllib.TOMLDecodeError as error:
        raise InputError("space.not_toml", file=path.name, reason=str(error)) from error


def _refuse(file: str, slip: Slip) -> InputError:
    """Name file and key; an unknown key also gets the nearest known one."""
    facts: dict[str, Any] = dict(slip.facts)
    if slip.fault == Fault.UNKNOWN:
        near = get_close_matches(slip.key, facts["known"], n=1)
        facts["known"] = near[0] if near else ", ".join(sorted(facts["known"]))
    key = " › ".join(f"{step.key} {step.name}" if step.number else step.key for step in slip.way)
    return InputError(_CODES.get(slip.fault, slip.fault), file=file, key=key, **facts)
