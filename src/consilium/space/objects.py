"""A record's JSON objects, read strictly: figures that may be null, and the one sentence.

The reading itself is `kernel.tables`. What is absent or null is a figure that
is not defined; keys that nobody asks for are a newer node's and do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping

from consilium.kernel.errors import IntegrityError
from consilium.kernel.tables import Fault, Section, Slip, is_number


def open_record(source: object) -> Section:
    """Open the object that holds all others.

    Raises
    ------
    IntegrityError
        `space.bad_record`, as everything that is read from it.
    """
    if not isinstance(source, Mapping):
        raise IntegrityError("space.bad_record", key="the record")
    return Section(source, refuse=_refuse)


def read_figure(source: Section, key: str) -> float | None:
    """Read a finite number or null; absent means null."""
    return None if is_null(source, key) else source.number(key)


def read_figures(source: Section, key: str) -> tuple[float, ...]:
    """Read a list of finite numbers, leaving out what is null."""
    values = source.take(key)
    if not isinstance(values, list | tuple):
        raise source.refuse(Fault.NUMBER, key)
    known = [value for value in values if value is not None]
    if not all(map(is_number, known)):
        raise source.refuse(Fault.NUMBER, key)
    return tuple(map(float, known))


def read_pair(source: Section, key: str) -> tuple[float, float] | None:
    """Read two numbers, the lower first, or null; absent means null."""
    if is_null(source, key):
        return None
    pair = read_figures(source, key)
    if len(pair) != 2 or pair[0] > pair[1]:
        raise source.refuse(Fault.NUMBER, key)
    return (pair[0], pair[1])


def is_null(source: Section, key: str) -> bool:
    """Say whether a key is absent or null."""
    return not source.has(key) or source.take(key) is None


def _refuse(slip: Slip) -> IntegrityError:
    return IntegrityError("space.bad_record", key=".".join(step.key for step in slip.way))
