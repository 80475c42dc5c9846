"""`consilium passport`: proving a model's passport, and what became known after it was signed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.options import AsJson
from consilium.cli.printing import emit, show_record, show_rows

app = typer.Typer()
_SHOWN = ("participant", "agreement", "rounds", "by", "time", "reason")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A file that ends in .passport.")],
    key: Annotated[str, typer.Option(help="Public key of the lead, as agreements show it.")],
    as_json: AsJson = False,
) -> None:
    """Prove a passport offline, with its weights beside it, and show agreements revoked since."""
    from consilium.ledger.keys import PublicKey
    from consilium.models.marks import verify_marked

    weights = file.with_suffix(".safetensors")
    found = verify_marked(
        file,
        key=PublicKey.from_text(key),
        weights=weights.read_bytes() if weights.is_file() else None,
    )
    passport = found.passport
    record = {
        "name": passport.name,
        "study": passport.lineage.study,
        "issuer": passport.issuer,
        "created": passport.created,
        "weights": passport.weights,
        "weights_checked": weights.is_file(),
    }
    marks = [{name: getattr(mark, name) for name in _SHOWN} for mark in found.marks]
    if as_json:
        emit({**record, "marks": marks})
        return
    show_record("Passport", record)
    rows = [[mark[name] for name in _SHOWN] for mark in marks]
    show_rows("Revoked agreements", _SHOWN, rows, empty="No agreement of this model was revoked.")
