"""A small space for the engine alone: a real FLARE server and sites, stand-in desks."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from consilium.federation.contract import Needs
from consilium.federation.flare.engine import FlareEngine
from consilium.federation.flare.kits import (
    SUBMITTER_ROLE,
    Credentials,
    DeskAddress,
    EngineAddress,
    write_server_kit,
    write_site_kit,
    write_submitter_kit,
)
from consilium.federation.flare.processes import SupervisedChild, client_command, server_command
from consilium.federation.folder import SegmentFolder
from consilium.federation.records import StartingPoint
from consilium.federation.registry import Recipes
from consilium.federation.secure import PassingMemory, SumDesk
from consilium.gate.orders import (
    ArrayNeed,
    FieldNeed,
    Invitation,
    Masking,
    Order,
    RecipeRef,
    Study,
    peek_study,
    sign_study,
)
from consilium.gate.replies import TRAIN, Answer, pack_reply
from consilium.gate.sums import MASKED, Question, SumPlace
from consilium.kernel.canonical import Digest, Json, digest_of
from consilium.kernel.clock import write_time
from consilium.kernel.errors import ConsiliumError
from consilium.kernel.identifiers import (
    AgreementId,
    DatasetId,
    LeaseId,
    ParticipantId,
    StudyId,
    new_urn,
    participant_id,
)
from consilium.ledger.keys import SigningKey
from consilium.models.weights import pack_arrays, unpack_arrays
from consilium.node.desk import DeskServer
from consilium.node.job_main import OpenLease

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("trust", "support")]
"""For the recorder of bytes, and a recipe of many parameters."""

SPACE = "test.example"
FEATURES = ("age", "dose")
KEY_SIZE = 2048


def wait_until(condition: Callable[[], bool], *, within_s: float, what: str) -> float:
    """Wait for a condition and return how long it took; fail when it does not come."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_s:
            raise AssertionError(f"{what}: not within {within_s} s")
        time.sleep(0.02)
    return time.monotonic() - began


_CERTIFIES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """A certificate authority for one test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SPACE)])
        self._certificate = (
            self._builder(self._name, self._key.public_key(), timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_CERTIFIES, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def issue(
        self, name: str, *, role: str = "", host: str = "", life: timedelta = timedelta(days=30)
    ) -> Credentials:
        """Issue what the space's signer would issue for an engine identity."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_SIZE)
        subject = [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "consilium"),
        ]
        if role:
            subject.append(x509.NameAttribute(NameOID.UNSTRUCTURED_NAME, role))
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = self._builder(x509.Name(subject), key.public_key(), life)
        if host:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
            )
        certificate = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False).sign(
            self._key, hashes.SHA256()
        )
        return Credentials(
            root=_pem(self._certificate),
            certificate=_pem(certificate),
            key=key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def _builder(self, subject: x509.Name, key: Any, life: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + life)
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _go_on(number: int) -> None:
    """Open the data of a round at once."""


def _answer(step: str, number: int) -> None:
    """Answer a step of a secure sum at once."""


@dataclass
class StandInDesk:
    """A hospital's counter without a gate: it opens data and signs what it is given."""

    name: str
    data: Path
    key: SigningKey = field(default_factory=SigningKey.generate)
    admitted: list[bytes] = field(default_factory=list)
    leases: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    refuse_admission: ConsiliumError | None = None
    refuse_lease: ConsiliumError | None = None
    hold: Callable[[int], None] = _go_on
    hear: Callable[[str, int], None] = _answer
    """Called before a step of a secure sum is answered."""

    @property
    def participant(self) -> ParticipantId:
        return participant_id(SPACE, self.name)

    def admit(self, order: bytes) -> None:
        if self.refuse_admission:
            raise self.refuse_admission
        self.admitted.append(order)

    def report_refusal(self, code: str, reason: str, *, what: str = "admission") -> None:
        assert reason
        self.refused.append(code if what == "admission" else f"{what} {code}")

    def lease(self, order: bytes, *, kind: str, round: int, model: Digest) -> OpenLease:  # noqa: A002
        self.leases.append(round)
        self.hold(round)
        if self.refuse_lease:
            raise self.refuse_lease
        self._task = (Order.from_json(order), kind, round, model)
        facts: dict[str, Json] = {
            "participant": self.participant,
            "columns": [{"name": name, "kind": "number"} for name in FEATURES],
            "min_cases": 1,
        }
        return OpenLease(id=LeaseId(new_urn()), file=self.data.open("rb"), facts=facts)

    @cached_property
    def sums(self) -> SumDesk:
        return SumDesk(self.participant, key=self.key, memory=PassingMemory())

    def converse(self, order: bytes, question: Question) -> bytes:
        self.hear(question.step, question.round)
        return self.sums.answer(_place(Order.from_json(order), question), question)

    def release(
        self, lease: LeaseId, *, update: bytes, facts: Mapping[str, Json], kept: bytes = b""
    ) -> bytes:
        order, kind, number, model = self._task
        rest = {name: value for name, value in facts.items() if name not in ("n", "work_s")}
        answer = Answer(
            study=peek_study(order.signed_study).study,
            segment=order.segment,
            round=number,
            kind=kind,
            participant=self.participant,
            n=int(str(facts["n"])),
            model_in=model,
            facts=rest,
            work_s=float(str(facts["work_s"])),
        )
        if kind == TRAIN and peek_study(order.signed_study).secure is not None:
            place = _place(order, Question(step="", round=number, model=model))
            masked = self.sums.mask(place, unpack_arrays(update), cases=answer.n)
            answer = replace(answer, n=0, facts={}, masked=masked.statement)
            update = pack_arrays({MASKED: masked.vector})
        return pack_reply(self.key, answer, update=update)


def _place(order: Order, question: Question) -> SumPlace:
    return SumPlace(
        study=peek_study(order.signed_study),
        order=order,
        round=question.round,
        model=question.model,
    )


@dataclass
class Site:
    """One hospital: its desk, and its FLARE client under supervision."""

    desk: StandInDesk
    kit: Path
    counter: DeskServer
    child: SupervisedChild

    def start(self) -> None:
        self.counter.serve()
        self.child.start()

    def stop(self) -> None:
        self.child.stop()
        self.counter.close()

    @property
    def processes(self) -> list[psutil.Process]:
        return family(self.child)


def family(child: SupervisedChild) -> list[psutil.Process]:
    """List a supervised process and everything below it."""
    pid = child.state.pid
    if pid is None:
        return []
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def all_gone(processes: list[psutil.Process]) -> bool:
    """Say whether processes have ended; those that nobody has buried yet count as ended."""
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            continue
    return True


class EngineSpace:
    """A hub's engine and some sites on this machine's loopback."""

    def __init__(
        self, folder: Path, names: tuple[str, ...], *, recipe: str = "tabular-logistic"
    ) -> None:
        self.folder = folder
        self.recipe = recipe
        self.authority = Authority()
        self.address = EngineAddress(
            host="localhost", port=_free_port(), project=SPACE, server=f"engine.{SPACE}"
        )
        self.server_kit = folder / "server"
        self.submitter_kit = folder / "submitter"
        self.submitter = f"submitter@{SPACE}"
        self.server_credentials = self.authority.issue(self.address.server, host="localhost")
        self._write_hub()
        self.server = SupervisedChild(
            "engine", server_command(self.server_kit), folder=self.server_kit
        )
        self.engine = FlareEngine(self.server_kit, space=SPACE)
        self.credentials: dict[str, Credentials] = {}
        self.sites = {name: self._make_site(name) for name in names}
        self.lead = SigningKey.generate()
        self.jobs: list[str] = []

    def start(self) -> None:
        self.server.start()
        for site in self.sites.values():
            site.start()
        self.wait_for_sites(*self.sites)

    def stop(self) -> None:
        for site in self.sites.values():
            site.stop()
        self.server.stop()

    def wait_for_sites(self, *names: str, within_s: float = 60.0) -> float:
        wanted = {participant_id(SPACE, name) for name in names}
        return wait_until(
            lambda: self.engine.sites() >= wanted, within_s=within_s, what=f"sites {names}"
        )

    def order(
        self,
        *,
        rounds: int = 3,
        quorum: int = 2,
        deadline_s: float = 20.0,
        seed: int = 1,
        secure: Masking | None = None,
    ) -> tuple[Order, bytes]:
        """Write a signed study over all sites, and an order for its first segment."""
        recipe = Recipes().find(self.recipe)
        assert recipe is not None
        ref = RecipeRef(name=recipe.name, version=recipe.version, digest=recipe.digest)
        features = tuple(FieldNeed(name=name, kind="number") for name in FEATURES)
        code = recipe.load()
        needs = Needs(features=features)
        arrays = code.initial(needs, code.read_settings(recipe.check_settings({})), seed=seed)
        start = pack_arrays(arrays)
        now = datetime.now(UTC)
        study = Study(
            study=StudyId(new_urn()),
            space=SPACE,
            title="Engine test",
            question="Does the engine work?",
            purpose="testing",
            lead=participant_id(SPACE, "lead"),
            recipe=ref,
            features=features,
            label="ill",
            rule="fedavg",
            start=digest_of(start),
            rounds=rounds,
            quorum=quorum,
            deadline_s=deadline_s,
            seed=seed,
            sites=tuple(self._invite(site.desk) for site in self.sites.values()),
            created=write_time(now),
            expires=write_time(now + timedelta(days=1)),
            layout=tuple(
                ArrayNeed(name=name, shape=tuple(array.shape))
                for name, array in sorted(arrays.items())
            ),
            secure=secure,
        )
        signed = sign_study(self.lead, study)
        return (
            Order(signed_study=signed, segment=1, attempt=1, first_round=1, start=digest_of(start)),
            start,
        )

    @contextmanager
    def lent(self) -> Iterator[EngineSpace]:
        """Give the running space to one test: everybody there and at rest, and as it was after."""
        self.wait_for_sites(*self.sites)
        children = [self.server, *(site.child for site in self.sites.values())]
        wait_until(
            lambda: all(len(family(child)) == 2 for child in children),
            within_s=30,
            what="the end of every job process",
        )
        yield self
        for site in self.sites.values():
            site.desk.hold = _go_on
            site.desk.hear = _answer

    def order_again(self, order: Order) -> Order:
        """Write the order of the next attempt at the same segment."""
        return replace(order, attempt=order.attempt + 1)

    def submit(self, order: Order, start: bytes) -> tuple[str, SegmentFolder]:
        path = self.folder / "studies" / order.digest[-12:]
        folder = SegmentFolder.create(path, order, StartingPoint(first_round=1, model=start))
        job = self.engine.submit(order, start, path)
        self.jobs.append(job)
        return job, folder

    def run(self, order: Order, start: bytes, *, within_s: float = 60.0) -> SegmentFolder:
        job, folder = self.submit(order, start)
        self.wait_for_end(job, folder, within_s=within_s)
        return folder

    def wait_for_end(self, job: str, folder: SegmentFolder, *, within_s: float = 60.0) -> float:
        def ended() -> bool:
            kinds = {event["kind"] for event in folder.events()}
            assert "failed" not in kinds, (folder.events(), self.engine.refusals(job))
            return folder.has_ended()

        return wait_until(ended, within_s=within_s, what=f"end of {job}")

    def wait_for_round(self, folder: SegmentFolder, number: int, *, within_s: float = 40.0) -> None:
        wait_until(
            lambda: number in folder.rounds(), within_s=within_s, what=f"end of round {number}"
        )

    def lead_through(self, name: str, port: int) -> None:
        """Let one site reach the hub through another port of the loopback."""
        desk = DeskAddress(
            path="consilium.node.job_main.SocketDesk",
            arguments={"address": str(self.folder / f"{name}.sock")},
        )
        write_site_kit(
            self.sites[name].kit,
            name=name,
            address=replace(self.address, port=port),
            credentials=self.credentials[name],
            desk=desk,
        )

    def _invite(self, desk: StandInDesk) -> Invitation:
        return Invitation(
            participant=desk.participant,
            agreement=AgreementId(f"agreement-{desk.name}"),
            dataset=DatasetId(f"dataset-{desk.name}"),
            key=desk.key.public.text,
        )

    def _write_hub(self) -> None:
        write_submitter_kit(
            self.submitter_kit,
            username=self.submitter,
            address=self.address,
            credentials=self.authority.issue(self.submitter, role=SUBMITTER_ROLE),
        )
        write_server_kit(
            self.server_kit,
            address=self.address,
            credentials=self.server_credentials,
            submitter=self.submitter_kit,
        )

    def _make_site(self, name: str) -> Site:
        kit, socket_path = self.folder / name, self.folder / f"{name}.sock"
        credentials = self.credentials[name] = self.authority.issue(name)
        write_site_kit(
            kit,
            name=name,
            address=self.address,
            credentials=credentials,
            desk=DeskAddress(
                path="consilium.node.job_main.SocketDesk", arguments={"address": str(socket_path)}
            ),
        )
        desk = StandInDesk(name, _write_data(self.folder / f"{name}.npz", seed=len(name)))
        return Site(
            desk=desk,
            kit=kit,
            counter=DeskServer(socket_path, desk),
            child=SupervisedChild(name, client_command(kit), folder=kit),
        )


def _write_data(path: Path, *, seed: int) -> Path:
    chance = np.random.default_rng(seed)
    n = 60
    x = chance.normal(size=(n, len(FEATURES)))
    y = (x[:, 0] + chance.normal(size=n) > 0).astype(np.float64)
    part = (np.arange(n) % 3 == 0).astype(np.int8)
    np.savez(path, x=x, y=y, group=np.arange(n), part=part)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def engine_spaces(folder: Path) -> Iterator[Callable[..., EngineSpace]]:
    """Make spaces that leave nothing behind."""
    made: list[EngineSpace] = []

    def make(*names: str, **given: Any) -> EngineSpace:
        space = EngineSpace(folder / f"space-{len(made)}", names, **given)
        made.append(space)
        return space

    yield make
    for space in made:
        space.stop()
    wait_until(lambda: not _processes_in(folder), within_s=10, what="no process left behind")
    assert not list(folder.glob("*/*.sock"))


@pytest.fixture
def make_space(tmp_path: Path) -> Iterator[Callable[..., EngineSpace]]:
    """Make spaces for one test."""
    with engine_spaces(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def make_lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., EngineSpace]]:
    """Make spaces that the tests of a file share."""
    with engine_spaces(tmp_path_factory.mktemp("engine")) as make:
        yield make


def _processes_in(folder: Path) -> list[int]:
    """Find engine processes whose kits lie in a folder; their forks bear the same command."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or [])
    ]
