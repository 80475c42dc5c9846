"""Installed recipes: found by entry point, known by digest, loaded by both.

A recipe's digest is SHA-256 over its name, version, settings schema and every
file of its folder. It is taken from the files, without importing anything, so
a node can compare it with a study's before foreign code runs.
"""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

from consilium.federation.contract import Recipe
from consilium.federation.settings_schema import (
    Setting,
    describe_schema,
    fill_settings,
    read_schema,
)
from consilium.gate.orders import RecipeRef
from consilium.kernel.canonical import Digest, Json, digest_json, digest_of
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError

GROUP = "consilium.recipes"
RECIPE_FILE = "recipe.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledRecipe:
    """A recipe on this machine, not yet imported."""

    name: str
    version: str
    digest: Digest
    schema: tuple[Setting, ...]
    folder: Path
    entry: EntryPoint
    draws_noise: bool = False

    def check_settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings with defaults filled in.

        Raises
        ------
        InputError
            `federation.unknown_setting`, `federation.bad_setting`.
        """
        return fill_settings(self.schema, given, owner=self.name)

    def load(self) -> Recipe:
        """Import the recipe, after its files were fingerprinted once more.

        Raises
        ------
        IntegrityError
            `federation.recipe_changed` when the files are no longer those of the digest.
        """
        if read_recipe(self.folder, entry=self.entry).digest != self.digest:
            raise IntegrityError("federation.recipe_changed", recipe=self.name)
        return cast("Recipe", self.entry.load())


class Recipes:
    """The recipes that this installation brings."""

    def __init__(self, installed: Mapping[str, InstalledRecipe] | None = None) -> None:
        self._installed = dict(installed_recipes() if installed is None else installed)
        self._loaded: dict[Digest, Recipe] = {}

    @property
    def digests(self) -> dict[str, Digest]:
        """Digest by recipe name, for the gate."""
        return {name: recipe.digest for name, recipe in self._installed.items()}

    @property
    def noisy(self) -> frozenset[str]:
        """Names of the recipes whose capability says that they draw noise."""
        return frozenset(name for name, one in self._installed.items() if one.draws_noise)

    def find(self, name: str) -> InstalledRecipe | None:
        """Return an installed recipe by name."""
        return self._installed.get(name)

    def get(self, ref: RecipeRef) -> Recipe:
        """Load the recipe that a study names, if its digest is the installed one.

        Raises
        ------
        NotFoundError
            `federation.no_recipe`.
        IntegrityError
            `federation.recipe_changed`.
        """
        found = self.find(ref.name)
        if found is None:
            raise NotFoundError("federation.no_recipe", recipe=ref.name)
        if found.digest != ref.digest:
            raise IntegrityError("federation.recipe_changed", recipe=ref.name)
        if ref.digest not in self._loaded:
            self._loaded[ref.digest] = found.load()
        return self._loaded[ref.digest]


def installed_recipes() -> dict[str, InstalledRecipe]:
    """Find every recipe whose package offers it, by name; imports none of them.

    Discloses
    ---------
    Nothing: it reads this machine's installed files.
    """
    found = (read_recipe(_folder_of(entry), entry=entry) for entry in entry_points(group=GROUP))
    return {recipe.name: recipe for recipe in found}


def read_recipe(folder: Path, *, entry: EntryPoint) -> InstalledRecipe:
    """Read a recipe's folder and fingerprint it.

    Raises
    ------
    InputError
        `federation.bad_recipe_file`.

    Discloses
    ---------
    Nothing: it reads this machine's installed files.
    """
    try:
        table = tomllib.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))
        name, version = str(table["name"]), str(table["version"])
        schema = read_schema(table.get("settings", {}))
        draws_noise = table.get("capability", {}).get("noise") is True
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            "federation.bad_recipe_file", reason=f"{entry.name}: {type(error).__name__}"
        ) from error
    digest = recipe_digest(folder, name=name, version=version, schema=schema)
    return InstalledRecipe(
        name=name,
        version=version,
        digest=digest,
        schema=schema,
        folder=folder,
        entry=entry,
        draws_noise=draws_noise,
    )


def recipe_digest(folder: Path, *, name: str, version: str, schema: Sequence[Setting]) -> Digest:
    """Fingerprint name, version, settings schema and every file of a folder, sorted by path.

    Byte-code that Python leaves behind does not count.

    Discloses
    ---------
    Nothing: it reads this machine's installed files.
    """
    files: dict[str, Json] = {
        path.relative_to(folder).as_posix(): digest_of(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    settings = describe_schema(schema)
    return digest_json({"name": name, "version": version, "settings": settings, "files": files})


def _folder_of(entry: EntryPoint) -> Path:
    spec = importlib.util.find_spec(entry.module)
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise InputError("federation.bad_recipe_file", reason=f"{entry.name}: is not a folder")
    return Path(next(iter(places)))
