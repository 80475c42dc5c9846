"""Every command explains itself, and the first help is quick."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
import typer

from consilium.cli import DEMO, NOUNS, build_app
from consilium.cli.boundary import run_app

VERBS = {
    "hub": {"init", "serve", "token", "revoke", "members", "checkpoint", "status"},
    "node": {"join", "serve", "status", "members", "accept"},
    "dataset": {"add", "list", "show"},
    "catalog": {"search"},
    "agreement": {"list", "show", "request", "revoke"},
    "negotiation": {
        "list",
        "show",
        "request",
        "offer",
        "counter",
        "accept",
        "agree",
        "verify",
        "finalize",
        "terminate",
    },
    "transfer": {
        "list",
        "show",
        "request",
        "start",
        "suspend",
        "resume",
        "complete",
        "terminate",
    },
    "study": {"run", "rehearse", "show", "stop", "list"},
    "recipe": {"list", "show", "new", "check", "key", "pack", "install"},
    "passport": {"verify", "show"},
    "backup": {"make", "prove", "restore"},
    "evidence": {"verify", "list", "prove", "export", "fetch"},
    "model": {"list", "export", "audit", "mark"},
    "person": {"add", "list", "show", "disable", "enable", "password", "role"},
    "queue": {"list", "show", "settle", "delegate"},
    "approval": {"request", "list", "approve", "withdraw"},
    "statistics": {
        "count",
        "mean",
        "histogram",
        "quantile",
        "crosstab",
        "missing",
        "survival",
        "correlation",
        "regression",
    },
    "space": {"up", "run", "down", "status"},
    "data": {"fetch"},
    "phantom": {"write"},
}


def run(*arguments: str) -> int:
    named = next((each for each in arguments if not each.startswith("-")), "")
    return run_app(lambda: build_app(named), list(arguments))


def verbs_of(app: typer.Typer) -> dict[str, str]:
    return {
        str(each.name or (each.callback and each.callback.__name__)): (
            (each.callback and each.callback.__doc__) or ""
        )
        for each in app.registered_commands
    }


def test_the_nouns_are_the_documented_ones() -> None:
    assert set(NOUNS) == set(VERBS)


@pytest.mark.parametrize("noun", sorted(VERBS))
def test_each_noun_offers_its_verbs_and_explains_them(
    noun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verbs_of(import_module(f"consilium.cli.{noun}").app)
    assert set(found) == VERBS[noun]
    assert all(found.values())
    assert run(noun, "--help") == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS[noun])
    for verb in VERBS[noun]:
        assert run(noun, verb, "--help") == 0


def test_the_demo_explains_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(DEMO, "--help") == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--data", "--seed", "--keep", "--json"))


def test_the_first_help_names_everything_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from consilium.cli import build_app\n"
        "from consilium.cli.boundary import run_app\n"
        "assert run_app(lambda: build_app(''), ['--help']) == 0\n"
        "heavy = {'numpy', 'sqlalchemy', 'httpx', 'fastapi', 'duckdb', 'sklearn', 'nvflare'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("[]")
    assert all(noun in done.stdout for noun in (*VERBS, DEMO))


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("consilium ")
