"""What the doctor finds at a hub that is not running; the running one is in the scenarios."""

from __future__ import annotations

import socket
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from doctor_bench import ShiftedClock, first_failed
from hub_rehearsal import CLOCK, free_port

from consilium.cli import main
from consilium.hub.doctor import examine_hub
from consilium.hub.init import init_hub
from consilium.kernel.findings import Finding, State


@pytest.fixture
def hub_home(tmp_path: Path) -> Path:
    home = tmp_path / "hub"
    ports = {"hub.port": free_port(), "hub.engine_port": free_port(), "hub.listen": "127.0.0.1"}
    init_hub(home, space="glioma", title="glioma", host="localhost", clock=CLOCK, others=ports)
    return home


def look(home: Path, shift: timedelta = timedelta(0)) -> dict[str, Finding]:
    clock = ShiftedClock(shift)
    return {one.hop: one for one in examine_hub(home, environment={}, clock=clock)}


def test_a_hub_that_was_never_started_has_no_fault(hub_home: Path) -> None:
    found = look(hub_home)
    assert [hop for hop, one in found.items() if one.state is State.FAILED] == []
    assert found["settings"].state is State.OK
    assert found["port"].code == "doctor.port_free"
    assert found["signer"].code == "doctor.signer_quiet"
    with pytest.raises(SystemExit) as ended:
        main(["doctor", str(hub_home), "--json"])
    assert ended.value.code == 0


def test_a_port_that_somebody_else_has_is_named(hub_home: Path) -> None:
    port = int(look(hub_home)["port"].facts["engine_port"])
    with closing(socket.create_server(("127.0.0.1", port))):
        found = look(hub_home)
    assert first_failed(found) == ("port", "boundary.port_taken")
    assert str(port) in found["port"].en


def test_a_hub_that_was_off_for_too_long_is_told(hub_home: Path) -> None:
    found = look(hub_home, timedelta(days=31))
    assert first_failed(found) == ("certificate", "doctor.certificate_ended")


def test_a_folder_of_nobody_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", str(tmp_path)])
    assert ended.value.code == 3
    assert "consilium doctor HOME" in capsys.readouterr().err
