"""`consilium model`: models of the studies that this hospital led, and audits of models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_record, show_rows
from consilium.cli.speaking import As, PasswordFile, speaker
from consilium.kernel.errors import NotFoundError, StateError
from consilium.models.verdict_words import OUTCOMES, REASONS
from consilium.space.client import connect

app = typer.Typer()
_SHOWN = ("participant", "outcome", "reason", "members", "others", "references", "limit", "time")
_FIGURES = ("name", "auc", "auc_low", "auc_high", "fpr", "tpr", "tpr_low", "tpr_high", "control")


@app.command("list")
def list_models(home: Home = HERE, as_json: AsJson = False) -> None:
    """List the models that this node keeps."""
    with connect(home) as node:
        found = node.models.list()
    if as_json:
        emit(found)
        return
    rows = [(one["name"], one["digest"], one["study"], one["created"]) for one in found]
    columns = ("name", "digest", "study", "made")
    show_rows("Models", columns, rows, empty="No model yet: `consilium study run`.")


@app.command()
def export(
    digest: Annotated[str, typer.Argument(help="The model's fingerprint, sha256:…")],
    to: Annotated[Path, typer.Option(help="Folder to write to.")],
    as_: As,
    password_file: PasswordFile = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Write a released model with its passport and card into a folder, to hand it out."""
    with connect(home) as node:
        who = speaker(as_, password_file)
        record = node.models.export(digest, to=to, speaker=who)
    emit(record) if as_json else typer.echo("\n".join(record["files"]))


@app.command()
def audit(
    digest: Annotated[str, typer.Argument(help="The model's fingerprint, sha256:…")],
    folder: Annotated[
        Path | None, typer.Option(help="Where passport and weights of another's model lie.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="File to write the signed verdict to, for the lead.")
    ] = None,
    limit: Annotated[
        float | None, typer.Option(help="Greatest area of an attack that passes; 0.6.")
    ] = None,
    references: Annotated[
        int | None, typer.Option(help="Reference models; 16 for tables, 0 with images.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Attack a model with this hospital's own patients before its release; sign the verdict."""
    _refuse_taken(to)
    with connect(home) as node:
        found = node.models.audit(
            digest, folder=folder, limit=limit, references=references, progress=_Line()
        )
    if to is not None and found["statement"]:
        to.write_text(found["statement"] + "\n", encoding="ascii")
    emit(found) if as_json else _show(found)


@app.command()
def mark(
    file: Annotated[Path, typer.Argument(help="A verdict that another hospital signed.")],
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Lay another hospital's verdict beside the passport of a model that this hospital led."""
    try:
        statement = file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFoundError("cli.no_verdict", file=str(file)) from error
    with connect(home) as node:
        found = node.models.mark(statement)
    emit(found) if as_json else _show(found)


def _refuse_taken(to: Path | None) -> None:
    """Refuse a file that is there, or a folder that is not, before the attack and not after it."""
    if to is not None and (to.exists() or not to.absolute().parent.is_dir()):
        raise StateError("cli.cannot_write_verdict", file=str(to))


class _Line:
    """Says how many reference models are trained, each number once."""

    def __init__(self) -> None:
        self._told: dict[str, Any] = {}

    def __call__(self, report: Mapping[str, Any]) -> None:
        progress = report.get("progress") or {}
        if progress and progress != self._told:
            typer.echo(f"{progress['done']}/{progress['total']}", err=True)
            self._told = progress


def _show(found: dict[str, Any]) -> None:
    shown = {name: found[name] for name in _SHOWN}
    shown |= {"outcome": OUTCOMES[found["outcome"]]}
    shown |= {"reason": REASONS.get(found["reason"], "")}
    shown |= {name: found[name] for name in ("withheld", "marked") if found.get(name)}
    show_record("Verdict", {name: value for name, value in shown.items() if value != ""})
    rows = [[one[name] for name in _FIGURES] for one in found["attacks"]]
    show_rows("Attacks", _FIGURES, rows)
