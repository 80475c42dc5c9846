"""The command line: noun, then verb; tables for people, `--json` for programs.

Each noun lives in a file of its own and is imported only when it is named, so
that the help of the whole stays quick.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from consilium.cli.boundary import run_app
from consilium.kernel.version import __version__

NOUNS = {
    "hub": "Found and serve a space's hub; hand out join tokens.",
    "node": "Join a space and serve a hospital's node.",
    "dataset": "Connect tables and look at their quality.",
    "catalog": "Search what the hospitals of the space offer.",
    "agreement": "Ask for agreements, read them, end them.",
    "negotiation": "Negotiate agreements step by step, in either role.",
    "transfer": "Pause, resume and end studies under agreements.",
    "study": "Run studies across hospitals and watch them.",
    "recipe": "What sites can train with; write, try, sign and install recipes.",
    "passport": "Prove where a model comes from, and what was revoked since.",
    "model": "Hand out models that were released.",
    "statistics": "Ask for counts, means, tables and regressions over agreements.",
    "evidence": "Prove what happened.",
    "backup": "Copy a home, prove the copy, restore it.",
    "person": "Accounts and their roles.",
    "queue": "What waits for a person.",
    "approval": "Release what leaves, two persons together.",
    "space": "A whole space on one machine, from one file.",
    "data": "Fetch open data to begin with.",
    "phantom": "Draw invented eyes for demonstrations and tests.",
}
"""Nouns of several verbs; `consilium.cli.<noun>` holds `app`."""
DEMO = "demo"
DOCTOR = "doctor"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    named = next((each for each in given if not each.startswith("-")), "")
    code = run_app(lambda: build_app(named), given)
    # All is done and said; a second Ctrl-C must not spoil the exit code.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(code)


def build_app(named: str) -> typer.Typer:
    """Build the commands; only the noun that is `named` is imported."""
    app = typer.Typer(
        help="Consilium (会诊): hospitals train together; no patient record leaves its hospital.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_begin)
    app.command(
        DEMO,
        help="Four hospitals, one model: the whole way on this machine.",
        rich_help_panel="Begin here",
    )(import_module("consilium.cli.demo").demo if named == DEMO else _later)
    app.command(
        DOCTOR, help="Name the hop at fault between this folder and its hub, and the remedy."
    )(import_module("consilium.cli.doctor").doctor if named == DOCTOR else _later)
    for noun, words in NOUNS.items():
        group = import_module(f"consilium.cli.{noun}").app if noun == named else typer.Typer()
        app.add_typer(group, name=noun, help=words, no_args_is_help=True)
    return app


def _later() -> None:
    """Stand in for a command that is not called."""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"consilium {__version__}")
        raise typer.Exit


def _begin(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and end.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """Take the options that stand before the noun."""


__all__ = ["main"]
