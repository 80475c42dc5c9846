"""`consilium passport`: showing and proving a passport, and what became known after it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from consilium.cli.options import AsJson
from consilium.cli.printing import emit, show_record, show_rows

if TYPE_CHECKING:
    from consilium.models.marks import Marked
    from consilium.models.verdicts import Verdict

app = typer.Typer()
_SHOWN = ("participant", "agreement", "rounds", "by", "time", "reason")
_VERDICT = ("participant", "outcome", "attack", "auc", "fpr", "tpr", "control", "time")
_File = Annotated[Path, typer.Argument(help="A file that ends in .passport.")]


@app.command()
def verify(
    file: _File,
    key: Annotated[str, typer.Option(help="Public key of the lead, as agreements show it.")],
    as_json: AsJson = False,
) -> None:
    """Prove a passport offline, with its weights beside it, and show what became known since."""
    from consilium.ledger.keys import PublicKey
    from consilium.models.marks import verify_marked

    weights = file.with_suffix(".safetensors")
    found = verify_marked(
        file,
        key=PublicKey.from_text(key),
        weights=weights.read_bytes() if weights.is_file() else None,
    )
    _tell(found, {"weights_checked": weights.is_file()}, as_json=as_json)


@app.command()
def show(file: _File, as_json: AsJson = False) -> None:
    """Show a passport with its marks as they lie there; `verify` proves them."""
    from consilium.models.marks import read_marked

    _tell(read_marked(file), {"proven": False}, as_json=as_json)


def _tell(found: Marked, more: dict[str, Any], *, as_json: bool) -> None:
    passport = found.passport
    record = {
        "name": passport.name,
        "study": passport.lineage.study,
        "issuer": passport.issuer,
        "created": passport.created,
        "weights": passport.weights,
        **more,
    }
    marks = [{name: getattr(mark, name) for name in _SHOWN} for mark in found.marks]
    verdicts = [one.verdict.as_record() for one in found.audits]
    if as_json:
        emit({**record, "marks": marks, "audits": verdicts})
        return
    show_record("Passport", record)
    rows = [[mark[name] for name in _SHOWN] for mark in marks]
    show_rows("Revoked agreements", _SHOWN, rows, empty="No agreement of this model was revoked.")
    attacks = [row for one in found.audits for row in _rows(one.verdict)]
    show_rows("Audits", _VERDICT, attacks, empty="No hospital has audited this model.")


def _rows(verdict: Verdict) -> list[list[object]]:
    from consilium.models.verdict_words import say_outcome

    said = {
        "participant": verdict.participant,
        "outcome": say_outcome(verdict),
        "time": verdict.time,
    }
    found = [{**said, **asdict(one), "attack": one.name} for one in verdict.attacks]
    return [[one[name] for name in _VERDICT] for one in found]
