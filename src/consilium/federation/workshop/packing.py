"""A recipe as one signed file: what an engineer hands out and a hospital installs.

The file is a Python wheel, so pip installs it; beside the package it holds a
statement (kind `recipe`) over name, version and digest, signed by whoever
releases the recipe. A hospital names the signer's key. It is asked for at the
first installation and for each new version, never taken from the file.
"""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path, PurePosixPath

from consilium.federation.registry import GROUP, InstalledRecipe, read_recipe
from consilium.federation.workshop.source import Source
from consilium.kernel.canonical import Json
from consilium.kernel.errors import ConsiliumError, InputError, IntegrityError, StateError
from consilium.ledger.files import write_atomic
from consilium.ledger.keys import PublicKey, SigningKey
from consilium.ledger.statements import sign_statement, verify_statement

KIND = "recipe"
SIGNATURE = "RECIPE.sig"
LARGEST_PACK = 64 * 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)
_INSTALL_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A pack that was read and verified: what it will install."""

    recipe: InstalledRecipe
    path: Path


def pack_recipe(source: Source, *, key: SigningKey, folder: Path) -> Path:
    """Write a recipe's signed pack; the same source and key give the same bytes.

    Returns
    -------
    Path
        `folder/consilium_recipe_NAME-VERSION-py3-none-any.whl`.

    Raises
    ------
    StateError
        `ledger.disk_full` or `ledger.cannot_write`.

    Discloses
    ---------
    The recipe's code, to whoever gets the file.
    """
    recipe = source.recipe
    stem = f"{source.project.replace('-', '_')}-{recipe.version}"
    info = f"{stem}.dist-info"
    facts: dict[str, Json] = {
        "name": recipe.name,
        "version": recipe.version,
        "digest": recipe.digest,
    }
    entries = {
        f"{source.package.name}/{place.relative_to(source.package).as_posix()}": place.read_bytes()
        for place in sorted(source.package.rglob("*"))
        if place.is_file() and "__pycache__" not in place.parts
    }
    needs = "".join(f"Requires-Dist: {one}\n" for one in source.requires)
    entries |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {source.project}\n"
        f"Version: {recipe.version}\n{needs}".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: consilium\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[{GROUP}]\n{recipe.entry.name} = "
        f"{recipe.entry.value}\n".encode(),
        f"{info}/{SIGNATURE}": sign_statement(key, KIND, facts).encode(),
    }
    record = "".join(f"{name},{_hash(data)},{len(data)}\n" for name, data in entries.items())
    entries[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    target = folder / f"{stem}-py3-none-any.whl"
    write_atomic(target, _zip(entries), mode=0o644)
    return target


def read_pack(path: Path, *, signer: PublicKey) -> Pack:
    """Read a pack and check that its signer released exactly these files.

    Raises
    ------
    InputError
        `federation.not_a_pack`.
    IntegrityError
        `ledger.bad_signature` when somebody else signed it,
        `federation.pack_changed` when its files are not the signed ones.

    Discloses
    ---------
    Nothing: it reads this machine's files.
    """
    try:
        if path.stat().st_size > LARGEST_PACK:
            raise InputError("federation.not_a_pack", file=path.name)
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            names = archive.namelist()
            _check_names(archive, path)
            signature = next(name for name in names if name.endswith(f".dist-info/{SIGNATURE}"))
            facts = verify_statement(archive.read(signature).decode("ascii"), KIND, signer)
            entry = _read_entry(archive, signature.replace(SIGNATURE, "entry_points.txt"))
            archive.extractall(folder)
            recipe = read_recipe(Path(folder) / entry.module.split(".")[0], entry=entry)
    except (OSError, zipfile.BadZipFile, StopIteration, KeyError, ValueError) as error:
        if isinstance(error, ConsiliumError):
            raise
        raise InputError("federation.not_a_pack", file=path.name) from error
    found = {"name": recipe.name, "version": recipe.version, "digest": recipe.digest}
    if found != facts:
        raise IntegrityError("federation.pack_changed", recipe=recipe.name)
    return Pack(recipe=recipe, path=path)


def install_recipe(pack: Pack) -> None:
    """Install a verified pack into this Python environment, without its dependencies.

    A running node knows it after its next start.

    Raises
    ------
    StateError
        `federation.install_failed`.

    Discloses
    ---------
    Nothing: nothing is fetched from anywhere.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--disable-pip-version-check", "--force-reinstall", str(pack.path)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_INSTALL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StateError("federation.install_failed", recipe=pack.recipe.name) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise StateError("federation.install_failed", recipe=pack.recipe.name, detail=last)


def _check_names(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse members that would land elsewhere, or are larger than a pack can be."""
    for member in archive.infolist():
        parts = PurePosixPath(member.filename).parts
        if member.filename.startswith("/") or ".." in parts or "\\" in member.filename:
            raise InputError("federation.not_a_pack", file=path.name)
    if sum(member.file_size for member in archive.infolist()) > LARGEST_PACK:
        raise InputError("federation.not_a_pack", file=path.name)


def _read_entry(archive: zipfile.ZipFile, name: str) -> EntryPoint:
    lines = archive.read(name).decode("utf-8").splitlines()
    title, value = (part.strip() for part in lines[1].split("=", 1))
    return EntryPoint(name=title, value=value, group=GROUP)


def _hash(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


def _zip(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return stream.getvalue()
