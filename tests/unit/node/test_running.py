"""Job processes that the node ends: by the kernel's handle, by word, with evidence."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from consilium.dataspace.connector import Bell
from consilium.gate.orders import FieldNeed, Invitation, Order, RecipeRef, Study, sign_study
from consilium.kernel.canonical import digest_of
from consilium.kernel.clock import SystemClock
from consilium.kernel.errors import DeniedError, InputError
from consilium.kernel.identifiers import AgreementId, DatasetId, ParticipantId, StudyId
from consilium.ledger.database import Database, open_database
from consilium.ledger.keys import SigningKey
from consilium.node.desk import DeskServer
from consilium.node.job_main import SocketDesk
from consilium.node.running import RunningJobs, Stopped

ME = ParticipantId("did:web:example.org:south")
AGREEMENT = AgreementId("urn:uuid:agreement")
SOON_S = 5.0
JOB = """
import sys, time
from consilium.node.job_main import SocketDesk
order = sys.stdin.buffer.read()
SocketDesk(sys.argv[1]).stay(order)
print("staying", flush=True)
while True:
    sum(range(100000))
"""


def write_order() -> bytes:
    key = SigningKey.generate()
    study = Study(
        study=StudyId("urn:uuid:study"),
        space="example.org",
        title="A study",
        question="",
        purpose="research",
        lead=ParticipantId("did:web:example.org:north"),
        recipe=RecipeRef(name="r", version="1", digest=digest_of(b"r")),
        features=(FieldNeed(name="age", kind="number"),),
        label="ill",
        rule="fedavg",
        start=digest_of(b"start"),
        rounds=1,
        quorum=1,
        deadline_s=5.0,
        seed=1,
        sites=(
            Invitation(
                participant=ME,
                agreement=AGREEMENT,
                dataset=DatasetId("urn:uuid:dataset"),
                key=key.public.text,
            ),
        ),
        created="2026-01-01T00:00:00.000000Z",
        expires="2027-01-01T00:00:00.000000Z",
    )
    signed = sign_study(key, study)
    return Order(
        signed_study=signed, segment=1, attempt=1, first_round=1, start=study.start
    ).as_json()


@dataclass
class Bench:
    """A desk with a judge who says what the test wants."""

    folder: Path
    database: Database
    bell: Bell = field(default_factory=Bell)
    refusal: DeniedError | None = None
    told: list[Stopped] = field(default_factory=list)
    order: bytes = field(default_factory=write_order)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jobs = RunningJobs(
            self.database, me=ME, judge=self, bell=self.bell, tell=self.told.append, look_s=0.2
        )
        self.jobs.start()
        desk: Any = self
        self.path = self.folder / "desk.sock"
        self.desk = DeskServer(self.path, desk, keeper=self.jobs)
        self.desk.serve()

    def find_refusal(self, order: bytes) -> DeniedError | None:
        assert order == self.order
        return self.refusal

    def start_job(self, *, wait: bool = True) -> subprocess.Popen[str]:
        job = subprocess.Popen(
            [sys.executable, "-c", JOB, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(job)
        assert job.stdin is not None
        assert job.stdout is not None
        job.stdin.buffer.write(self.order)
        job.stdin.close()
        if wait:
            assert job.stdout.readline() == "staying\n"
        return job

    def close(self) -> None:
        self.jobs.stop()
        for job in self.processes:
            job.kill()
            job.wait()
            if job.stdout is not None:
                job.stdout.close()
        self.desk.close()
        self.database.close()

    def entries(self) -> list[Any]:
        return self.database.evidence.entries(limit=100, kind="study.stopped")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    database = open_database(
        f"sqlite:///{tmp_path / 'node.db'}",
        key=SigningKey.generate(),
        clock=SystemClock(),
        origin=ME,
    )
    found = Bench(tmp_path, database)
    yield found
    found.close()


def wait_until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_job_in_the_middle_of_its_work_is_gone_at_once_and_the_evidence_says_so(
    bench: Bench,
) -> None:
    job = bench.start_job()
    assert bench.jobs.list_pids() == [job.pid]
    began = time.monotonic()
    bench.refusal = DeniedError(
        "gate.agreement_revoked", agreement=AGREEMENT, by="did:web:x", time="now"
    )
    bench.bell.ring()
    assert job.wait(SOON_S) < 0
    assert time.monotonic() - began < 2
    wait_until(lambda: bool(bench.told))
    [entry] = bench.entries()
    assert entry.subject == "urn:uuid:study"
    assert (entry.facts["code"], entry.facts["process_gone"]) == ("gate.agreement_revoked", True)
    assert bench.told[0].agreement == AGREEMENT
    wait_until(lambda: bench.jobs.list_pids() == [])


def test_a_refusal_that_nobody_rang_for_is_found_at_the_next_look(bench: Bench) -> None:
    job = bench.start_job()
    bench.refusal = DeniedError("gate.study_expired", study="urn:uuid:study")
    assert job.wait(SOON_S) < 0


def test_a_job_that_comes_after_the_refusal_does_not_begin(bench: Bench) -> None:
    bench.refusal = DeniedError("gate.study_expired", study="urn:uuid:study")
    job = bench.start_job(wait=False)
    assert job.wait(SOON_S) != 0
    assert job.stdout is not None
    assert job.stdout.read() == ""


def test_a_process_that_the_node_may_not_kill_ends_by_its_word(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.pidfd_open", _not_here)
    job = bench.start_job()
    bench.refusal = DeniedError("gate.study_expired", study="urn:uuid:study")
    bench.bell.ring()
    assert job.wait(SOON_S) == 75
    wait_until(lambda: bool(bench.entries()))


def _not_here(_pid: int) -> int:
    raise OSError("no such call on this kernel")


def test_a_job_that_ends_by_itself_is_forgotten_without_a_word(bench: Bench) -> None:
    job = bench.start_job()
    job.kill()
    wait_until(lambda: bench.jobs.list_pids() == [])
    assert bench.entries() == []
    assert bench.told == []


def test_a_job_whose_study_is_complete_may_end_by_itself(bench: Bench) -> None:
    job = bench.start_job()
    bench.refusal = DeniedError("gate.transfer_not_started", study="s", state="COMPLETED")
    bench.jobs.look()
    bench.jobs.look()
    assert job.poll() is None


def test_every_job_of_a_study_is_ended_once_though_many_look(bench: Bench) -> None:
    jobs = [bench.start_job(), bench.start_job()]
    bench.refusal = DeniedError("gate.study_expired", study="urn:uuid:study")
    looks = [threading.Thread(target=bench.jobs.look) for _ in range(4)]
    for look in looks:
        look.start()
    for look in looks:
        look.join()
    for job in jobs:
        assert job.wait(SOON_S) < 0
    wait_until(lambda: len(bench.told) == 2)
    assert len(bench.entries()) == 2


def test_an_order_that_cannot_be_read_is_not_kept(bench: Bench) -> None:
    with pytest.raises(InputError):
        SocketDesk(str(bench.path)).stay(b"no order")
    assert bench.jobs.list_pids() == []
