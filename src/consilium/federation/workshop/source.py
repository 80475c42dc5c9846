"""A recipe that is being written: found from its folder, before it is installed."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from consilium.federation.registry import GROUP, RECIPE_FILE, InstalledRecipe, read_recipe
from consilium.kernel.errors import InputError

PROJECT_FILE = "pyproject.toml"
_VALUE = re.compile(r"([a-z_][a-z0-9_]*)(\.[a-z_][a-z0-9_.]*)?:[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A recipe's project: its package's folder, what it offers and what it needs."""

    project: str
    package: Path
    recipe: InstalledRecipe
    requires: tuple[str, ...] = ()


def find_source(folder: Path) -> Source:
    """Read a recipe's project folder; imports nothing.

    Raises
    ------
    InputError
        `federation.no_recipe_source` with what is missing, or
        `federation.bad_recipe_file`.

    Discloses
    ---------
    Nothing: it reads this machine's files.
    """
    table = _read_project(folder / PROJECT_FILE)
    offered = table.get("project", {}).get("entry-points", {}).get(GROUP, {})
    if len(offered) != 1:
        raise _missing(f'{PROJECT_FILE}: [project.entry-points."{GROUP}"]')
    ((name, value),) = offered.items()
    found = _VALUE.fullmatch(str(value))
    if found is None:
        raise _missing(f'{PROJECT_FILE}: {name} = "package:RECIPE"')
    package = next(
        (place for place in (folder / "src" / found[1], folder / found[1]) if place.is_dir()), None
    )
    if package is None or not (package / RECIPE_FILE).is_file():
        raise _missing(f"{found[1]}/{RECIPE_FILE}")
    entry = EntryPoint(name=str(name), value=str(value), group=GROUP)
    return Source(
        project=str(table["project"].get("name", found[1])),
        package=package,
        recipe=read_recipe(package, entry=entry),
        requires=tuple(map(str, table["project"].get("dependencies", ()))),
    )


@contextmanager
def on_path(source: Source) -> Iterator[None]:
    """Let a recipe's package be imported from where it lies."""
    place = str(source.package.parent.resolve())
    sys.path.insert(0, place)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(place)
        for name in [name for name in sys.modules if name.split(".")[0] == source.package.name]:
            del sys.modules[name]


def _read_project(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _missing(PROJECT_FILE) from error


def _missing(what: str) -> InputError:
    return InputError("federation.no_recipe_source", missing=what)
