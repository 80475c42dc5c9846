"""A new recipe's folder: a whole small recipe that passes every check as it is."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from consilium.kernel.errors import InputError, StateError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md": "README.md",
    "recipe.toml.txt": "src/{package}/recipe.toml",
    "init.py.txt": "src/{package}/__init__.py",
    "recipe.py.txt": "src/{package}/recipe.py",
    "test_recipe.py.txt": "tests/test_recipe.py",
}


def write_template(folder: Path, name: str) -> list[Path]:
    """Write a new recipe's project into a folder that is not there yet, or empty.

    Parameters
    ----------
    folder : Path
        Made if need be.
    name : str
        The recipe's: small letters, digits and hyphens, at most 60.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        `federation.bad_recipe_name`.
    StateError
        `federation.recipe_folder_taken`.

    Discloses
    ---------
    Nothing.
    """
    if not _NAME.fullmatch(name) or len(name) > 60:
        raise InputError("federation.bad_recipe_name", name=name[:80])
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StateError("federation.recipe_folder_taken", folder=str(folder))
    package = name.replace("-", "_")
    kind = "".join(part.capitalize() for part in name.split("-"))
    written = []
    for source, place in _FILES.items():
        text = files(__package__).joinpath("template_files", source).read_text(encoding="utf-8")
        for mark, word in (("@NAME@", name), ("@PACKAGE@", package), ("@CLASS@", kind)):
            text = text.replace(mark, word)
        path = folder / place.format(package=package)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
