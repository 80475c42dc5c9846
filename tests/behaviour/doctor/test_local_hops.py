"""What the doctor finds within a node's folder, each fault made for real."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from doctor_bench import LOCAL, first_failed, look

from consilium.kernel.errors import StateError
from consilium.kernel.findings import State
from consilium.ledger.examination import check_disk, check_evidence
from consilium.ledger.lifetime import own_home
from consilium.node.membership import KeyFolder
from consilium.space.proof import verify_home


def change(home: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(home / "node.db")) as connection, connection:
        connection.execute(statement, values)


def test_a_quiet_node_in_order_has_no_fault_before_its_engine(home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    found = look(home)
    assert {hop for hop in LOCAL if found[hop].state is not State.OK} == set()
    assert found["home"].code == "doctor.home_quiet"
    assert found["hub"].code == "doctor.hub"
    assert found["relay"].code == "doctor.relay_quiet"
    after = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert after == before


def test_a_folder_without_a_node_stops_everything_but_the_program(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert first_failed(found) == ("home", "link.not_joined")
    states = {one.state for hop, one in found.items() if hop not in {"program", "home"}}
    assert states == {State.SKIPPED}


def test_an_exposed_key_is_named_with_its_remedy(home: Path) -> None:
    (home / "keys" / "engine.key").chmod(0o644)
    found = look(home)
    assert first_failed(found) == ("home", "doctor.exposed_key")
    assert "chmod 600" in found["home"].en


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_told_with_both_names(home: Path) -> None:
    os.chown(home, 65534, -1)
    found = look(home)
    assert first_failed(found) == ("home", "doctor.other_owner")
    assert "sudo -u" in found["home"].zh


def test_a_process_that_holds_the_folder_and_does_not_answer_is_told(home: Path) -> None:
    with own_home(home):
        assert first_failed(look(home)) == ("home", "doctor.home_mute")


def test_a_slip_in_the_settings_is_told_before_the_network_is_blamed(home: Path) -> None:
    found = look(home, environment={"CONSILIUM__NODE__MIN_CASES": "2"})
    assert first_failed(found) == ("settings", "node.bad_setting")
    assert found["tcp"].state is State.SKIPPED


def test_a_disk_without_room_and_one_that_fills_up(home: Path) -> None:
    assert check_disk(home, least=1 << 60).code == "doctor.disk_full"
    assert check_disk(home, low=1 << 60).state is State.WARNING
    assert not (home / ".doctor").exists()


def test_a_disk_that_takes_no_more_says_so(home: Path) -> None:
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # the system refuses more, for real
    try:
        with pytest.raises(StateError) as caught:
            check_disk(home)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
    assert caught.value.code == "ledger.disk_full"
    assert not list(home.glob(".*doctor*"))


def test_certificates_that_end_soon_and_those_that_have_ended(home: Path) -> None:
    late = look(home, shift=timedelta(days=6))["certificate"]
    assert (late.state, late.facts["days"]) == (State.WARNING, 1.0)
    ended = look(home, shift=timedelta(days=8))["certificate"]
    assert (ended.state, ended.code) == (State.FAILED, "doctor.certificate_ended")
    early = look(home, shift=timedelta(days=-1))["certificate"]
    assert (early.state, early.code) == (State.FAILED, "doctor.certificate_early")


def test_a_node_that_was_never_started_has_no_database_and_no_fault(home: Path) -> None:
    for path in home.glob("node.db*"):
        path.unlink()
    found = look(home)
    assert found["database"].code == "doctor.nothing_yet"
    assert {found[hop].state for hop in ("evidence", "datasets")} == {State.SKIPPED}
    assert not (home / "node.db").exists()


def test_a_database_of_a_newer_release_is_not_touched(home: Path) -> None:
    change(home, "UPDATE schema_version SET version_num = '9999'")
    assert first_failed(look(home)) == ("database", "ledger.newer_schema")


def test_a_database_of_an_earlier_release_is_told_and_left_as_it_is(home: Path) -> None:
    change(home, "UPDATE schema_version SET version_num = '0004'")
    found = look(home)["database"]
    assert (found.state, found.code) == (State.WARNING, "doctor.database_behind")
    with closing(sqlite3.connect(home / "node.db")) as connection:
        assert connection.execute("SELECT version_num FROM schema_version").fetchone() == ("0004",)


def test_a_damaged_database_is_named(home: Path) -> None:
    (home / "node.db").write_bytes(b"no database at all" * 100)
    hop, code = first_failed(look(home))
    assert (hop, code) == ("database", "ledger.database_damaged")


def test_a_changed_entry_of_evidence_stops_a_person(home: Path) -> None:
    change(home, "UPDATE evidence SET body = replace(body, 'began', 'ended') WHERE seq = 1")
    assert first_failed(look(home)) == ("evidence", "doctor.evidence_bad")


def test_a_long_log_is_left_to_the_command_that_verifies_it(home: Path) -> None:
    key = KeyFolder(home / "keys").signing_key().public
    found = check_evidence(f"sqlite:///{home / 'node.db'}", key, most=0)
    assert found.code == "doctor.evidence_long"


def test_a_dataset_without_its_array_file_is_named(home: Path) -> None:
    with closing(sqlite3.connect(home / "node.db")) as connection, connection:
        rows = connection.execute("PRAGMA table_info(datasets)").fetchall()
        values = {
            name: {"name": "heart", "arrays": f"sha256:{'0' * 64}"}.get(name, "0")
            for _, name, *_ in rows
        }
        marks = ", ".join("?" * len(values))
        connection.execute(
            f"INSERT INTO datasets ({', '.join(values)}) VALUES ({marks})", list(values.values())
        )
    found = look(home)
    assert first_failed(found) == ("datasets", "doctor.arrays_missing")
    assert found["datasets"].facts["dataset"] == "heart"


def test_a_copied_home_verifies_and_has_no_fault(joined: Path, home: Path) -> None:
    """What docs/operations.md says about backups: a copy is a whole home."""
    shutil.rmtree(home / "run", ignore_errors=True)
    assert verify_home(home) == verify_home(joined)
    assert verify_home(home).verified
    found = look(home)
    assert {found[hop].state for hop in (*LOCAL, "tls", "hub")} == {State.OK}
