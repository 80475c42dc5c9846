"""Two connectors over real HTTP, each killed with signal 9 at every step of its outbox."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from parties import MESSAGES, MOMENTS, NAMES
from sqlalchemy import Connection, create_engine

from consilium.dataspace.records import Negotiation, Role, Transfer
from consilium.dataspace.store import get_agreement, list_history, list_processes
from consilium.dataspace.tables import OUTBOX
from consilium.ledger.tables import EVIDENCE

pytestmark = pytest.mark.scenario

MOST_PASSED = 4
"""Moments that may not come, because the peer's next message was quicker than its answer."""
NEGOTIATED = ["REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED"]
TRANSFERRED = ["REQUESTED", "STARTED", "SUSPENDED", "STARTED", "SUSPENDED", "STARTED", "COMPLETED"]


def test_every_process_ends_right_on_both_sides_whenever_a_side_is_killed(tmp_path: Path) -> None:
    program = Path(__file__).parent / "parties.py"
    run = subprocess.run(
        [sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    for name in NAMES:
        told = (tmp_path / f"{name}.deaths").read_text().split()
        died = [one for one in told if not one.endswith(":passed")]
        assert sorted(died) == sorted(set(died))
        assert len(died) == len(MESSAGES[name]) * len(MOMENTS)
        assert len(told) - len(died) <= MOST_PASSED
    agreements = []
    for name, role in zip(NAMES, (Role.CONSUMER, Role.PROVIDER), strict=True):
        with create_engine(f"sqlite:///{tmp_path / name}.db").connect() as connection:
            agreements.append(_check_side(connection, role))
            _check_evidence(connection)
    assert agreements[0] == agreements[1]


def _check_side(connection: Connection, role: Role) -> object:
    (talk,) = list_processes(connection, Negotiation)
    (run,) = list_processes(connection, Transfer)
    assert [one.state for one in list_history(connection, talk.pid)] == NEGOTIATED
    assert [one.state for one in list_history(connection, run.pid)] == TRANSFERRED
    assert connection.execute(OUTBOX.select()).first() is None
    agreement = get_agreement(connection, talk.agreement, role=role)
    assert (agreement.state, agreement.terms.count) == ("FINALIZED", 2)
    return agreement.policy


def _check_evidence(connection: Connection) -> None:
    """Each step stands in the evidence once: none was lost, none came twice."""
    kinds = Counter(row.kind for row in connection.execute(EVIDENCE.select()))
    once = {"negotiation.requested", "negotiation.offered", "negotiation.accepted"}
    once |= {"agreement.agreed", "agreement.verified", "agreement.finalized"}
    once |= {"transfer.requested", "transfer.completed"}
    assert {kind: kinds[kind] for kind in once} == dict.fromkeys(once, 1)
    assert (kinds["transfer.started"], kinds["transfer.suspended"]) == (3, 2)
    assert "process.abandoned" not in kinds
    assert "process.taken_back" not in kinds
