"""A pack installs exactly what its signer released, or nothing."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from consilium.federation.workshop import (
    check_recipe,
    find_source,
    install_recipe,
    pack_recipe,
    read_pack,
    write_template,
)
from consilium.federation.workshop.source import on_path
from consilium.kernel.errors import InputError, IntegrityError, StateError
from consilium.ledger.keys import SigningKey

NAME = "test-sprout"
KEY = SigningKey.generate()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "sprout"
    write_template(folder, NAME)
    return folder


@pytest.fixture
def pack(project: Path, tmp_path: Path) -> Path:
    return pack_recipe(find_source(project), key=KEY, folder=tmp_path)


def rewrite(pack: Path, name: str, change: bytes) -> None:
    """Add bytes to one member of a pack."""
    with zipfile.ZipFile(pack) as archive:
        held = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(pack, "w") as archive:
        for member, data in held.items():
            archive.writestr(member, data + change if member == name else data)


def test_the_new_recipe_passes_every_check_as_it_is(project: Path) -> None:
    source = find_source(project)
    with on_path(source):
        findings = list(check_recipe(source.recipe))
    assert findings
    assert [one for one in findings if not one.holds] == []


def test_the_same_recipe_packs_to_the_same_bytes(project: Path, pack: Path, tmp_path: Path) -> None:
    first = pack.read_bytes()
    again = pack_recipe(find_source(project), key=KEY, folder=tmp_path)
    assert again.read_bytes() == first


def test_a_pack_is_read_for_its_signer_only(pack: Path) -> None:
    assert read_pack(pack, signer=KEY.public).recipe.name == NAME
    with pytest.raises(IntegrityError) as refusal:
        read_pack(pack, signer=SigningKey.generate().public)
    assert refusal.value.code == "ledger.bad_signature"


@pytest.mark.parametrize("file", ["recipe.py", "recipe.toml", "__init__.py"])
def test_a_changed_file_is_refused(pack: Path, file: str) -> None:
    rewrite(pack, f"test_sprout/{file}", b"\n# more\n")
    with pytest.raises(IntegrityError) as refusal:
        read_pack(pack, signer=KEY.public)
    assert refusal.value.code == "federation.pack_changed"


@pytest.mark.parametrize("name", ["../away.py", "/etc/away.py"])
def test_a_file_that_would_land_elsewhere_is_refused(pack: Path, name: str) -> None:
    with zipfile.ZipFile(pack, "a") as archive:
        archive.writestr(name, b"")
    with pytest.raises(InputError) as refusal:
        read_pack(pack, signer=KEY.public)
    assert refusal.value.code == "federation.not_a_pack"


def test_what_is_no_pack_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"no zip")
    for name in ("a.whl", "missing.whl"):
        with pytest.raises(InputError) as refusal:
            read_pack(tmp_path / name, signer=KEY.public)
        assert refusal.value.code == "federation.not_a_pack"


def test_a_folder_that_is_taken_and_a_bad_name_are_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(StateError) as taken:
        write_template(project, NAME)
    assert taken.value.code == "federation.recipe_folder_taken"
    with pytest.raises(InputError) as named:
        write_template(tmp_path / "new", "../Evil")
    assert named.value.code == "federation.bad_recipe_name"
    assert not (tmp_path / "new").exists()


def test_a_folder_without_a_recipe_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        find_source(tmp_path)
    assert "pyproject.toml" in refusal.value.public


@pytest.mark.slow
def test_an_installed_pack_is_found_by_its_entry_point(pack: Path) -> None:
    install_recipe(read_pack(pack, signer=KEY.public))
    listing = "from consilium.federation.registry import Recipes; print(Recipes().digests)"
    try:
        found = subprocess.run(
            [sys.executable, "-c", listing], capture_output=True, text=True, check=True
        )
        digest = read_pack(pack, signer=KEY.public).recipe.digest
        assert f"'{NAME}': '{digest}'" in found.stdout
    finally:
        remove = [sys.executable, "-m", "pip", "uninstall", "-y", "-q", f"consilium-recipe-{NAME}"]
        subprocess.run(remove, check=True, capture_output=True)
