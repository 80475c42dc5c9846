"""Governance as data: under which approval, consent and filing a dataset is held, and until when.

What must be known before a dataset can be offered is a table of readers, and
what ends by itself is a second, shorter one. The catalogue, the gate and the
node's timer ask the same function, so none of them can go on a day longer than
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from consilium.dataspace.vocabulary import read_moment, read_word
from consilium.kernel.clock import read_time, write_time
from consilium.kernel.errors import InputError

LEVELS = ("identified", "direct-identifiers-removed", "re-identification-bounded", "anonymous")
"""Levels of de-identification, from none to the strongest.

Names and numbers of the patients are there; they are gone; what could still
single a patient out has been coarsened and its risk was assessed; nobody can
be found again by any reasonable means.
"""


def _time(value: Any) -> str:
    return write_time(read_moment(value))


def _yes_or_no(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def _level(value: Any) -> str:
    if value not in LEVELS:
        raise ValueError("not one of the levels")
    return str(value)


GOVERNANCE: Mapping[str, Callable[[Any], Any]] = {
    "ethics_approval": read_word,
    "ethics_expires": _time,
    "consent_basis": read_word,
    "deidentification": read_word,
    "retention": read_word,
    "human_genetic_resources": _yes_or_no,
    "owner": read_word,
    "contact": read_word,
}
"""What must be known of a dataset before it can be offered, and how each is read.

Ethics approval (identifier and end, ISO 8601), basis of consent, what was done
to de-identify, retention in words, whether the rules on human genetic resources
apply, who owns it and whom to ask.
"""
FURTHER: Mapping[str, Callable[[Any], Any]] = {
    "deidentification_level": _level,
    "genetic_resources_filing": read_word,
    "genetic_resources_expires": _time,
    "retention_ends": _time,
}
"""What may be said besides: the level reached, the filing (备案) under the rules on
human genetic resources with its end, and the end of retention as a moment."""
ENDS = ("ethics_expires", "genetic_resources_expires", "retention_ends")
"""The fields after whose moment nothing may be computed any more."""


def check_governance(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the governance fields, each of its kind.

    A filing needs its end and an end its filing, and neither may stand where
    the rules on human genetic resources are said not to apply.

    Raises
    ------
    InputError
        `dataspace.bad_governance` naming the field that is missing, unknown, of
        another kind or in contradiction with the others.

    Discloses
    ---------
    Nothing.
    """
    for name in record:
        if name not in GOVERNANCE and name not in FURTHER:
            raise InputError("dataspace.bad_governance", field=name)
    given = {**GOVERNANCE, **{name: read for name, read in FURTHER.items() if name in record}}
    found: dict[str, Any] = {}
    for name, read in given.items():
        try:
            found[name] = read(record[name])
        except (KeyError, ValueError, TypeError) as error:
            raise InputError("dataspace.bad_governance", field=name) from error
    _check_filing(found)
    return found


def expired(governance: Mapping[str, Any], now: datetime) -> str:
    """Say which approval, filing or retention has run out; empty while all of them last.

    Parameters
    ----------
    governance : mapping
        What `check_governance` gave. Records made before a field existed do
        not have it, and then it ends nothing.
    now : datetime
        Aware. The moment of the end itself is still within.

    Returns
    -------
    str
        A name of `ENDS`, the first that has run out, or empty.

    Discloses
    ---------
    Nothing.
    """
    for name in ENDS:
        if name in governance and now > read_time(governance[name]):
            return name
    return ""


def _check_filing(found: Mapping[str, Any]) -> None:
    filing, end = "genetic_resources_filing", "genetic_resources_expires"
    for name, other in ((filing, end), (end, filing)):
        if name in found and (other not in found or not found["human_genetic_resources"]):
            raise InputError(
                "dataspace.bad_governance", field=other if other not in found else name
            )
