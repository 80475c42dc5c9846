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

from consilium.federation.contract import Needs, Recipe
from consilium.federation.settings_schema import (
    Setting,
    describe_schema,
    fill_settings,
    read_schema,
)
from consilium.gate.orders import TABLE, TARGETS, RecipeRef
from consilium.kernel.canonical import Digest, Json, digest_json, digest_of
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError

GROUP = "consilium.recipes"
RECIPE_FILE = "recipe.toml"
MODALITIES = ("table", "image", "signal")
"""Kinds of data that a recipe can say it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What a recipe says of itself: the data it takes, what it predicts, what leaves.

    `modalities` are of `MODALITIES`, `targets` kinds of target. `personal`:
    hospitals may keep models of their own. `noise`: it can train with noise
    that bounds what is told of one patient. `rules` are the only aggregation
    rules that it goes with; empty for any that averages.
    """

    modalities: tuple[str, ...]
    targets: tuple[str, ...]
    model_family: str
    discloses_en: str
    discloses_zh: str
    personal: bool = False
    noise: bool = False
    rules: tuple[str, ...] = ()

    def serves(self, needs: Needs) -> bool:
        """Say whether the recipe takes such fields and predicts such a target."""
        kinds = {need.kind if not need.is_column else TABLE for need in needs.features}
        return needs.target.kind in self.targets and kinds <= set(self.modalities)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledRecipe:
    """A recipe on this machine, not yet imported."""

    name: str
    version: str
    digest: Digest
    schema: tuple[Setting, ...]
    capability: Capability
    titles: Mapping[str, str]
    folder: Path
    entry: EntryPoint

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
        NotFoundError
            `federation.recipe_lacks_package` when what it stands on is not installed.
        """
        if read_recipe(self.folder, entry=self.entry).digest != self.digest:
            raise IntegrityError("federation.recipe_changed", recipe=self.name)
        try:
            return cast("Recipe", self.entry.load())
        except ModuleNotFoundError as error:
            raise NotFoundError(
                "federation.recipe_lacks_package", recipe=self.name, package=error.name
            ) from error


class Recipes:
    """The recipes that this installation brings."""

    def __init__(self, installed: Mapping[str, InstalledRecipe] | None = None) -> None:
        self._installed = dict(installed_recipes() if installed is None else installed)
        self._loaded: dict[Digest, Recipe] = {}

    def list(self) -> list[InstalledRecipe]:
        """Return every installed recipe, by name."""
        return [self._installed[name] for name in sorted(self._installed)]

    @property
    def digests(self) -> dict[str, Digest]:
        """Digest by recipe name, for the gate."""
        return {name: recipe.digest for name, recipe in self._installed.items()}

    @property
    def noisy(self) -> frozenset[str]:
        """Names of the recipes whose capability says that they draw noise."""
        return frozenset(name for name, one in self._installed.items() if one.capability.noise)

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
        capability = _read_capability(table["capability"])
        titles = {word: str(table.get(f"title_{word}", name)) for word in ("en", "zh")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "federation.bad_recipe_file", reason=f"{entry.name}: {type(error).__name__}"
        ) from error
    digest = recipe_digest(folder, name=name, version=version, schema=schema)
    return InstalledRecipe(
        name=name,
        version=version,
        digest=digest,
        schema=schema,
        capability=capability,
        titles=titles,
        folder=folder,
        entry=entry,
    )


def _read_capability(table: Mapping[str, Any]) -> Capability:
    """Read the table; an unknown key is a `TypeError`, an impossible value a `ValueError`."""
    lists = ("modalities", "targets", "rules")
    found = Capability(
        **dict(table) | {name: tuple(map(str, table.get(name, ()))) for name in lists}
    )
    words = (found.model_family, found.discloses_en, found.discloses_zh)
    flags = (found.personal, found.noise)
    known = set(found.modalities) <= set(MODALITIES) and set(found.targets) <= set(TARGETS)
    if not (known and found.modalities and found.targets):
        raise ValueError("modalities, targets")
    if not all(isinstance(word, str) and word for word in words):
        raise ValueError("words")
    if not all(isinstance(flag, bool) for flag in flags):
        raise ValueError("flags")
    return found


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
