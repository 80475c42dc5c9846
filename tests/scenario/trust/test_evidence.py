"""Whoever meddles with a real node's evidence is found out by the command line, offline."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from consilium.kernel.errors import IntegrityError
from consilium.ledger.files import write_atomic

from .scene import LEAD, OTHER, Remains, entries_of, witnessed

pytestmark = pytest.mark.scenario

Meddle = Callable[[sqlite3.Connection], None]
PLACE, LATER = 7, 12


@dataclass(frozen=True)
class Said:
    """What the command said and how it ended."""

    code: int
    out: str
    err: str


def verify(home: Path, *options: str, language: str = "en") -> Said:
    """Run `consilium evidence verify` as an auditor would."""
    ran = subprocess.run(
        [sys.executable, "-m", "consilium", "evidence", "verify", "--home", str(home), *options],
        env=os.environ | {"CONSILIUM_LANG": language},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Said(ran.returncode, ran.stdout, ran.stderr)


def copy_home(remains: Remains, member: str, to: Path, *, database: Path | None = None) -> Path:
    """Copy what an auditor is given: settings, keys, and the database of the stopped node."""
    home = remains.node(member)
    shutil.copytree(home / "keys", to / "keys")
    shutil.copy(home / "node.toml", to)
    with (
        closing(sqlite3.connect(database or home / "node.db")) as source,
        closing(sqlite3.connect(to / "node.db")) as copy,
    ):
        source.backup(copy)
    return to


def checkpoint_of(remains: Remains, member: str, folder: Path) -> Path:
    """Write down the last checkpoint that the hub received of a member."""
    path = folder / f"{member}.checkpoint"
    size, note = witnessed(remains.home, remains.plan, member)
    assert size > entries_of(remains.early[member])
    write_atomic(path, note.encode())
    return path


def flip_a_bit(log: sqlite3.Connection) -> None:
    [[body]] = log.execute("SELECT body FROM evidence WHERE seq = ?", [PLACE]).fetchall()
    changed = bytearray(body)
    changed[len(changed) // 2] ^= 1
    log.execute("UPDATE evidence SET body = ? WHERE seq = ?", [bytes(changed), PLACE])


def delete_one(log: sqlite3.Connection) -> None:
    log.execute("DELETE FROM evidence WHERE seq = ?", [PLACE])


def swap_two(log: sqlite3.Connection) -> None:
    for old, new in ((PLACE, -1), (LATER, PLACE), (-1, LATER)):
        log.execute("UPDATE evidence SET seq = ? WHERE seq = ?", [new, old])


def cut_the_tail(log: sqlite3.Connection) -> None:
    log.execute("DELETE FROM evidence WHERE seq >= ?", [PLACE])


@pytest.mark.parametrize(
    ("meddle", "reason"),
    [
        (flip_a_bit, "ledger.entry_changed"),
        (delete_one, "ledger.entry_missing"),
        (swap_two, "ledger.entry_moved"),
        (cut_the_tail, "ledger.tail_cut"),
    ],
)
def test_what_was_done_to_the_log_is_named_with_its_first_bad_entry(
    remains: Remains, tmp_path: Path, meddle: Meddle, reason: str
) -> None:
    home = copy_home(remains, LEAD, tmp_path / "copy")
    with closing(sqlite3.connect(home / "node.db")) as log, log:
        meddle(log)
    for language in ("en", "zh"):
        said = verify(home, language=language)
        assert said.code == IntegrityError.exit_code == 7
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert f"[{reason}]" in said.err
        assert re.search(rf"\b{PLACE}\b", said.err)
        assert ("存证" in said.err) == (language == "zh")
        assert "Traceback" not in said.err


def test_a_log_that_was_set_back_is_found_by_what_the_hub_received_last(
    remains: Remains, tmp_path: Path
) -> None:
    early = remains.early[OTHER]
    home = copy_home(remains, OTHER, tmp_path / "copy", database=early)
    checkpoint = checkpoint_of(remains, OTHER, tmp_path)
    kept = entries_of(early)

    # By itself it is a log like any other; only the hub knows that there was more.
    alone = verify(home)
    assert (alone.code, alone.err) == (0, "")
    assert alone.out.startswith(f"✓ {kept} entries")

    for language in ("en", "zh"):
        said = verify(home, "--checkpoint", str(checkpoint), language=language)
        assert said.code == 7
        assert "[ledger.tail_cut]" in said.err
        assert str(kept + 1) in said.err
    told = json.loads(verify(home, "--checkpoint", str(checkpoint), "--json").out)
    assert (told["verified"], told["first_bad"], told["reason"]) == (
        False,
        kept + 1,
        "ledger.tail_cut",
    )


def test_an_untouched_log_fits_what_the_hub_received(remains: Remains, tmp_path: Path) -> None:
    for member in (LEAD, OTHER):
        home = copy_home(remains, member, tmp_path / member)
        said = verify(home, "--checkpoint", str(checkpoint_of(remains, member, tmp_path)))
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith(f"✓ {entries_of(home / 'node.db')} entries")


def test_a_checkpoint_of_another_hospital_proves_nothing(remains: Remains, tmp_path: Path) -> None:
    home = copy_home(remains, LEAD, tmp_path / "copy")
    said = verify(home, "--checkpoint", str(checkpoint_of(remains, OTHER, tmp_path)))
    assert said.code == 7
    assert said.err.count("\n") == 1
