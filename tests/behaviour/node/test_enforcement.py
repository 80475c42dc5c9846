"""The node's timer: what it ends, whom it tells, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataspace_rehearsal import Hospital

from consilium.kernel.errors import DeniedError, NotFoundError, PeerError
from consilium.kernel.identifiers import AgreementId, ParticipantId, StudyId
from consilium.node.enforcement import Enforcement, end_revoked
from consilium.node.running import Stopped

STUDY = StudyId("urn:uuid:study")


class Hub:
    """Fails as often as the test says, and remembers what it was told."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.told: list[tuple[str, str, Any]] = []
        self.asked = threading.Semaphore(0)

    def call(self, method: str, target: str, document: Any = None) -> Any:
        self.told.append((method, target, document))
        self.asked.release()
        if self.failures:
            raise self.failures.pop(0)
        return {}

    def wait(self, times: int) -> None:
        for _ in range(times):
            assert self.asked.acquire(timeout=5)


class Gate:
    """Lets everything go on."""

    def find_refusal(self, order: bytes) -> DeniedError | None:
        return None


def make(hospital: Hospital, hub: Hub, folder: Path) -> Enforcement:
    return Enforcement(
        hospital.connector, judge=Gate(), hub=hub, models=folder, look_s=0.05, rest_s=0.01
    )


def stopped(**facts: str) -> Stopped:
    refusal = DeniedError("gate.transfer_not_started", study=STUDY, **facts)
    return Stopped(study=STUDY, agreement=AgreementId("urn:uuid:a"), refusal=refusal)


@pytest.fixture
def enforcement(south: Hospital, tmp_path: Path) -> Iterator[Enforcement]:
    found = make(south, Hub(), tmp_path / "models")
    found.start()
    yield found
    found.stop()


def test_it_runs_and_ends(enforcement: Enforcement) -> None:
    assert enforcement.jobs.list_pids() == []


def test_the_hub_is_told_until_it_has_heard(south: Hospital, tmp_path: Path) -> None:
    hub = Hub(
        PeerError("link.hub_away", hub="h", reason=""),
        PeerError("link.hub_away", hub="h", reason=""),
    )
    found = make(south, hub, tmp_path / "models")
    found._tell_hub(stopped(state="TERMINATED", ended_by="consilium:revoked"))
    hub.wait(3)
    assert not hub.asked.acquire(timeout=0.1)
    method, target, document = hub.told[-1]
    assert (method, target) == ("POST", f"/studies/{STUDY}/leave")
    assert document["code"] == "consilium:revoked"


def test_a_hub_that_knows_no_such_study_is_not_asked_again(south: Hospital, tmp_path: Path) -> None:
    hub = Hub(NotFoundError("study.unknown", study=STUDY))
    make(south, hub, tmp_path / "models")._tell_hub(stopped(state="TERMINATED"))
    hub.wait(1)
    assert not hub.asked.acquire(timeout=0.1)


def test_a_study_that_only_rests_is_not_left(south: Hospital, tmp_path: Path) -> None:
    hub = Hub()
    make(south, hub, tmp_path / "models")._tell_hub(stopped(state="SUSPENDED"))
    assert not hub.asked.acquire(timeout=0.1)


def test_transfers_with_a_revoked_member_end_before_that_is_written_down(
    south: Hospital,
) -> None:
    class Members:
        """One member is revoked."""

        recorded: list[ParticipantId]

        def __init__(self) -> None:
            self.recorded = []

        def list_revoked(self) -> list[ParticipantId]:
            return [ParticipantId("did:web:x")]

        def record_revoked(self, participant: ParticipantId) -> None:
            self.recorded.append(participant)

    members = Members()
    end_revoked(south.connector, members)
    assert members.recorded == ["did:web:x"]
