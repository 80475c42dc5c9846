"""`consilium doctor`: which hop is at fault, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from consilium.cli.language import language_of
from consilium.cli.options import HERE, AsJson
from consilium.cli.printing import emit, show_rows
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import NotFoundError, StateError
from consilium.kernel.findings import Finding, State, first_failure

MARKS = {State.OK: "✓", State.WARNING: "!", State.FAILED: "✗", State.SKIPPED: "–"}


def doctor(
    home: Annotated[Path, typer.Argument(help="Folder of the node or hub.")] = HERE,
    as_json: AsJson = False,
) -> None:
    """Examine a node or hub hop by hop, and name the one at fault with its remedy."""
    kind, findings = _examine(home)
    found = list(findings)
    failure = first_failure(found)
    if as_json:
        emit(
            {
                "home": str(home.resolve()),
                "kind": kind,
                "ok": failure is None,
                "first": failure.hop if failure else None,
                "findings": [one.as_record() for one in found],
            }
        )
    else:
        _show(found, failure)
    raise typer.Exit(StateError.exit_code if failure else 0)


def _examine(home: Path) -> tuple[str, Iterator[Finding]]:
    """Tell a node's folder from a hub's, and begin."""
    clock = SystemClock()
    if (home / "node.toml").is_file():
        from consilium.node.doctor import examine_node

        return "node", examine_node(home, environment=os.environ, clock=clock)
    if (home / "hub.toml").is_file():
        from consilium.hub.doctor import examine_hub

        return "hub", examine_hub(home, environment=os.environ, clock=clock)
    raise NotFoundError("doctor.no_home", home=str(home.resolve()))


def _show(found: list[Finding], failure: Finding | None) -> None:
    language = language_of(os.environ)
    rows = [(MARKS[one.state], one.hop, one.text(language)) for one in found]
    show_rows("Doctor", ("", "hop", ""), rows)
    if failure is not None:
        typer.echo(f"✗ {failure.hop}: {failure.text(language)} [{failure.code}]", err=True)
