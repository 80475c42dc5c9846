"""`consilium recipe`: what is installed, and how to write, try, sign and install one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from consilium.cli.options import AsJson
from consilium.cli.printing import emit, show_record, show_rows
from consilium.federation.registry import InstalledRecipe, Recipes
from consilium.federation.settings_schema import describe_schema
from consilium.federation.workshop import (
    Finding,
    check_recipe,
    find_source,
    install_recipe,
    pack_recipe,
    read_pack,
    write_template,
)
from consilium.federation.workshop.source import Source, on_path
from consilium.kernel.errors import InputError, NotFoundError
from consilium.ledger.keys import PublicKey, SigningKey

app = typer.Typer()
Folder = Annotated[Path, typer.Argument(help="The recipe's project folder.")]
Key = Annotated[Path, typer.Option("--key", help="File with the release key.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A setting, NAME=VALUE; repeatable.")]


@app.command("list")
def list_recipes(as_json: AsJson = False) -> None:
    """List the recipes installed here."""
    found = Recipes().list()
    if as_json:
        emit([_record(one) for one in found])
        return
    rows = [
        (
            one.name,
            one.version,
            ", ".join(one.capability.modalities),
            ", ".join(one.capability.targets),
            one.digest[:19],
        )
        for one in found
    ]
    show_rows("Recipes", ("name", "version", "modalities", "targets", "digest"), rows)


@app.command()
def show(name: str, as_json: AsJson = False) -> None:
    """Show one installed recipe: what it can do, what leaves, its settings."""
    record = _record(_installed(name))
    if as_json:
        emit(record)
        return
    settings, capability = record.pop("settings"), record.pop("capability")
    show_record("Recipe", record | capability)
    rows = [(name, one["default"], one["range"], one["meaning"]) for name, one in settings.items()]
    show_rows("Settings", ("name", "default", "range", "meaning"), rows, empty="No settings.")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits and hyphens.")],
    folder: Annotated[
        Path | None, typer.Option(help="Where; NAME in this folder if left out.")
    ] = None,
) -> None:
    """Write a new recipe to begin with: small, whole, and passing every check."""
    place = folder or Path(name)
    for path in write_template(place, name):
        typer.echo(str(path))


@app.command()
def check(
    recipe: Annotated[str, typer.Argument(help="A project folder, or an installed recipe's name.")],
    setting: Set = None,
    as_json: AsJson = False,
) -> None:
    """Try a recipe on mock rows: everything that every recipe must hold to."""
    findings = list(_findings(recipe, _settings(setting or [])))
    if as_json:
        emit([asdict(one) for one in findings])
    else:
        _show_findings(findings)
    _stop_if_flawed(recipe, findings)


@app.command()
def key(path: Annotated[Path, typer.Argument(help="A file that is not there yet.")]) -> None:
    """Make a key that signs recipes, and print its public half for the hospitals."""
    typer.echo(SigningKey.create(path).public.text)


@app.command()
def pack(
    folder: Folder,
    key: Key,
    out: Annotated[Path, typer.Option(help="Folder for the file.")] = Path(),
) -> None:
    """Check a recipe, sign it, and write the one file that hospitals install."""
    signing, source = SigningKey.load(key), find_source(folder)
    with on_path(source):
        _stop_if_flawed(str(folder), list(check_recipe(source.recipe)))
    typer.echo(str(pack_recipe(source, key=signing, folder=out)))


@app.command()
def install(
    file: Annotated[Path, typer.Argument(help="What `recipe pack` wrote.")],
    signer: Annotated[str, typer.Option(help="The signer's public key, as it was told to you.")],
    as_json: AsJson = False,
) -> None:
    """Verify a signed recipe and install it here; the node knows it after its next start."""
    found = read_pack(file, signer=PublicKey.from_text(signer))
    install_recipe(found)
    record = {
        "name": found.recipe.name,
        "version": found.recipe.version,
        "digest": found.recipe.digest,
    }
    emit(record) if as_json else show_record("Recipe", record)


def _installed(name: str) -> InstalledRecipe:
    found = Recipes().find(name)
    if found is None:
        raise NotFoundError("federation.no_recipe", recipe=name)
    return found


def _findings(recipe: str, settings: dict[str, Any]) -> Iterator[Finding]:
    source: Source | None = find_source(Path(recipe)) if Path(recipe).is_dir() else None
    installed = source.recipe if source else _installed(recipe)
    with on_path(source) if source else nullcontext():
        yield from check_recipe(installed, settings=settings)


def _show_findings(findings: list[Finding]) -> None:
    for what in dict.fromkeys(one.what for one in findings):
        rows = [(one.check, one.holds, one.flaw) for one in findings if one.what == what]
        show_rows(what, ("check", "holds", "flaw"), rows)


def _stop_if_flawed(recipe: str, findings: list[Finding]) -> None:
    flawed = [one for one in findings if not one.holds]
    if flawed:
        raise InputError(
            "federation.recipe_flawed",
            recipe=recipe,
            failed=len(flawed),
            checks=len(findings),
            detail=f"{flawed[0].check} {flawed[0].flaw}",
        )


def _settings(given: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE as TOML would; a word stays a word."""
    found: dict[str, Any] = {}
    for one in given:
        name, _, value = one.partition("=")
        try:
            found[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[name] = value
    return found


def _record(one: InstalledRecipe) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "digest": one.digest,
        **{f"title_{language}": title for language, title in one.titles.items()},
        "capability": asdict(one.capability),
        "settings": describe_schema(one.schema),
    }
