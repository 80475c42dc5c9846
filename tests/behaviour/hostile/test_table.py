"""The table of attacks in docs/trust.md and the tests here say the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from attacks import ATTACKS, Attack

from consilium.kernel.errors import texts

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "trust.md"
LEAST = 40
WORDS = {"event.not_the_hubs"}
"""Rules that refuse without an error: what is named there is left out, nothing else stops."""


def attacks() -> list[Attack]:
    for file in sorted(HERE.glob("test_*.py")):
        if file.name != Path(__file__).name:
            _read(file)
    return sorted(ATTACKS.values(), key=lambda one: (one.name[0], int(one.name[1:])))


def _read(file: Path) -> None:
    """Have a module's tests enter themselves into the list, whichever of them run here."""
    spec = importlib.util.spec_from_file_location(f"hostile_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(str(file))
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_the_page_lists_every_attack_as_its_test_has_it() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if is_row(line)]
    assert rows == [one.row for one in attacks()]


def is_row(line: str) -> bool:
    name = line.split("|")[1].strip() if line.count("|") == 5 else ""
    return name[1:].isdigit() and name[0].isupper()


def test_there_are_enough_of_them_and_each_rule_has_its_sentence() -> None:
    found = attacks()
    assert len(found) >= LEAST
    for one in found:
        code = one.refused_by.partition(" ")[0]
        assert code in WORDS or code in texts(), one.name
        assert one.evidence.endswith((".refused", ".unproven")), one.name
