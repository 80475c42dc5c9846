"""Recipes by entry point and digest, read without importing them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import fields, replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from consilium.federation.recipes.tabular_logistic.descent import Settings
from consilium.federation.registry import InstalledRecipe, Recipes, installed_recipes, read_recipe
from consilium.gate.orders import RecipeRef
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import InputError, IntegrityError, NotFoundError

NAME = "tabular-logistic"


@pytest.fixture
def copied(tmp_path: Path) -> InstalledRecipe:
    """A copy of the recipe's folder that a test may change."""
    installed = installed_recipes()[NAME]
    folder = Path(shutil.copytree(installed.folder, tmp_path / "copy"))
    return read_recipe(folder, entry=installed.entry)


def _ref(recipe: InstalledRecipe) -> RecipeRef:
    return RecipeRef(name=recipe.name, version=recipe.version, digest=recipe.digest)


def test_a_copy_of_the_folder_has_the_same_digest(copied: InstalledRecipe) -> None:
    assert copied.digest == installed_recipes()[NAME].digest


@pytest.mark.parametrize("file", ["recipe.toml", "descent.py", "__init__.py"])
def test_one_changed_byte_in_any_file_changes_the_digest(
    copied: InstalledRecipe, file: str
) -> None:
    path = copied.folder / file
    path.write_text(path.read_text() + "\n")
    assert read_recipe(copied.folder, entry=copied.entry).digest != copied.digest


def test_an_added_file_changes_the_digest_and_byte_code_does_not(copied: InstalledRecipe) -> None:
    cache = copied.folder / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "recipe.cpython-311.pyc").write_bytes(b"byte code")
    assert read_recipe(copied.folder, entry=copied.entry).digest == copied.digest
    (copied.folder / "extra.bin").write_bytes(b"weights")
    assert read_recipe(copied.folder, entry=copied.entry).digest != copied.digest


def test_digests_are_taken_without_importing_the_recipe() -> None:
    code = (
        "import sys; from consilium.federation.registry import Recipes; "
        "digests = Recipes().digests; "
        "print('tabular-mlp' in digests, any('tabular_' in name for name in sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "False"]


def test_the_base_recipes_and_the_round_loop_need_no_learning_library_and_no_database() -> None:
    code = (
        "import sys; from consilium.federation.registry import installed_recipes; "
        "import consilium.federation.site, consilium.federation.segment; "
        "installed = installed_recipes(); "
        "[installed[f'tabular-{kind}'].load() for kind in ('logistic', 'linear', 'cox', 'mlp')]; "
        "print([name for name in ('sklearn', 'scipy', 'pandas', 'torch', 'duckdb', 'sqlalchemy')"
        " if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_recipe_whose_files_changed_is_not_loaded(copied: InstalledRecipe) -> None:
    recipes = Recipes({NAME: copied})
    (copied.folder / "descent.py").write_text("import os\n")
    with pytest.raises(IntegrityError) as caught:
        recipes.get(_ref(copied))
    assert caught.value.code == "federation.recipe_changed"


def test_a_study_with_another_digest_gets_no_recipe(copied: InstalledRecipe) -> None:
    with pytest.raises(IntegrityError) as caught:
        Recipes().get(replace(_ref(copied), digest=digest_of(b"other release")))
    assert caught.value.code == "federation.recipe_changed"


def test_an_unknown_recipe_is_not_found(copied: InstalledRecipe) -> None:
    with pytest.raises(NotFoundError):
        Recipes().get(replace(_ref(copied), name="gradient-magic"))


def test_the_loaded_recipe_is_the_one_on_its_name_card() -> None:
    installed = installed_recipes()[NAME]
    recipe = Recipes().get(_ref(installed))
    assert (recipe.name, recipe.version) == (installed.name, installed.version)


def test_the_typed_settings_have_the_name_cards_defaults() -> None:
    schema = {setting.name: setting.default for setting in installed_recipes()[NAME].schema}
    typed = Settings()
    assert schema == {item.name: getattr(typed, item.name) for item in fields(Settings)}


@pytest.mark.parametrize(
    "text",
    ["", 'name = "x"', 'name = "x"\nversion = "1"\n[settings.a]\nkind = "magic"\ndefault = 1'],
)
def test_a_broken_name_card_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    entry = EntryPoint(name="x", value="x:R", group="consilium.recipes")
    with pytest.raises(InputError) as caught:
        read_recipe(tmp_path, entry=entry)
    assert caught.value.code == "federation.bad_recipe_file"
