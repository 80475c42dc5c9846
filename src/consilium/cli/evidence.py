"""`consilium evidence`: reading the log, proving it, handing it to an auditor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from consilium.cli.language import language_of
from consilium.cli.options import HERE, AsJson, Home
from consilium.cli.printing import emit, show_rows
from consilium.cli.speaking import As, PasswordFile, speaker
from consilium.kernel.errors import InputError, IntegrityError
from consilium.ledger.auditing import ExportVerdict, verify_export
from consilium.ledger.verification import Verdict
from consilium.space.proof import verify_home

app = typer.Typer()


@app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="An export to check; without it, the home's whole log.")
    ] = None,
    home: Home = HERE,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="File with a checkpoint that somebody else holds.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Fingerprint of the key that must have signed the export.")
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option(help="Fingerprint of a key that must have cosigned it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prove offline that no entry was changed, removed, moved or cut off."""
    verdict: Verdict | ExportVerdict
    if file is None:
        verdict = verify_home(home, checkpoint=[_read(each) for each in checkpoint or ()])
        good = f"{verdict.entries} entries, {verdict.checkpoints} checkpoints · {verdict.root}"
    else:
        verdict = verify_export(file, key=key, witnesses=witness or ())
        good = _describe(verdict)
    if as_json:
        emit(verdict.as_record())
    elif verdict.verified:
        typer.echo(f"✓ {good}")
    else:
        typer.echo(f"✗ {verdict.text(language_of(os.environ))} [{verdict.reason_code}]", err=True)
    raise typer.Exit(0 if verdict.verified else IntegrityError.exit_code)


@app.command("list")
def list_entries(
    home: Home = HERE,
    after: Annotated[int, typer.Option(min=0, help="Only entries after this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List entries of the evidence log, oldest first."""
    from consilium.space.client import connect

    with connect(home) as node:
        found = node.evidence.list(after=after, limit=limit)
    if as_json:
        emit(found)
        return
    rows = [(each["seq"], each["time"], each["kind"], each["subject"]) for each in found]
    show_rows("Evidence", ("seq #", "time", "kind", "subject"), rows, empty="No entries.")


@app.command()
def prove(
    seq: Annotated[int, typer.Argument(min=1, help="Number of the entry.")],
    home: Home = HERE,
    out: Annotated[
        Path | None, typer.Option(help="Write an export of this entry instead of printing.")
    ] = None,
    as_: As = "",
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Prove that one entry stands in the log: inclusion proof, checkpoint, cosignatures."""
    from consilium.space.client import connect

    who = speaker(as_, password_file) if as_ else None
    with connect(home) as node:
        if out is not None:
            made = node.evidence.export(out, first=seq, last=seq, speaker=who)
            _show_export(out, made, as_json=as_json)
            return
        found = node.evidence.prove(seq)
    if as_json:
        emit(found)
        return
    typer.echo(found["entry"])
    typer.echo(f"\nleaf {found['index']} of {found['size']} ({found['hash']}): {found['leaf']}")
    for step in found["proof"]:
        typer.echo(f"     {step}")
    typer.echo(f"root {found['root']}\n\n{found['checkpoint']}")


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("evidence.zip"),
    home: Home = HERE,
    first: Annotated[int | None, typer.Option("--from", min=1, help="First entry.")] = None,
    last: Annotated[int | None, typer.Option("--to", min=1, help="Last entry.")] = None,
    subject: Annotated[
        str, typer.Option(help="Instead: all entries that name this study or agreement.")
    ] = "",
    as_: As = "",
    password_file: PasswordFile = None,
    as_json: AsJson = False,
) -> None:
    """Write one file by which an auditor proves entries offline; two persons release it."""
    from consilium.space.client import connect

    who = speaker(as_, password_file) if as_ else None
    with connect(home) as node:
        made = node.evidence.export(out, first=first, last=last, subject=subject, speaker=who)
    _show_export(out, made, as_json=as_json)


@app.command()
def fetch(
    digest: Annotated[str, typer.Argument(help="The export's fingerprint, sha256:…")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("evidence.zip"),
    as_: As = "",
    password_file: PasswordFile = None,
    home: Home = HERE,
) -> None:
    """Write an export that was made before and is released now."""
    from consilium.space.client import connect

    who = speaker(as_, password_file) if as_ else None
    with connect(home) as node:
        node.evidence.fetch(digest, out, speaker=who)
    typer.echo(f"✓ {out}")


def _show_export(out: Path, made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(made)
        return
    cosigned = ", ".join(made["witnesses"]) or "nobody yet"
    typer.echo(f"✓ {out}: {made['entries']} of {made['size']} entries, cosigned by {cosigned}")


def _describe(verdict: ExportVerdict) -> str:
    """Say what an export proves, and under whose keys: those the reader has to compare."""
    mark = "as named" if verdict.pinned else "NOT NAMED BY YOU: compare it before you rely on it"
    lines = [
        f"{verdict.entries} of {verdict.size} entries of {verdict.origin} · {verdict.root}",
        f"  signed by   {verdict.key} ({mark})",
    ]
    for each in verdict.witnesses:
        fingerprint = each.key.fingerprint
        mark = "as named" if fingerprint in verdict.expected else "not named by you"
        lines.append(f"  cosigned by {fingerprint} {each.witness} at {each.moment} ({mark})")
    if not verdict.witnesses:
        lines.append("  cosigned by nobody: its owner could have rewritten it before signing")
    return "\n".join(lines)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cli.no_checkpoint", file=str(path)) from error
