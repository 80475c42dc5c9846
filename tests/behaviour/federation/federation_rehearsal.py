"""A small federation in one process: real keys, real replies, the real output gate for facts.

Tests of several folders load this file (see their `conftest.py`).
"""

from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from consilium.federation.contract import Needs
from consilium.federation.folder import SegmentFolder
from consilium.federation.ports import EVALUATE, Engine, EngineStatus, Task
from consilium.federation.records import StartingPoint
from consilium.federation.registry import Recipes
from consilium.federation.resumption import starting_point
from consilium.federation.site import SiteWorker
from consilium.gate.facts import CountRule, check_facts
from consilium.gate.orders import (
    ArrayNeed,
    FieldNeed,
    Invitation,
    Order,
    RecipeRef,
    Study,
    peek_study,
    sign_study,
)
from consilium.gate.replies import Answer, pack_reply
from consilium.kernel.canonical import Digest, Json, digest_of
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import (
    AgreementId,
    DatasetId,
    LeaseId,
    ParticipantId,
    StudyId,
    participant_id,
)
from consilium.ledger.keys import SigningKey
from consilium.models.weights import pack_arrays, unpack_arrays

SPACE = "rehearsal.test"
RECIPES = Recipes()


@dataclass(frozen=True, kw_only=True)
class SiteData:
    """What a hospital's array file holds."""

    x: np.ndarray[Any, Any]
    y: np.ndarray[Any, Any]
    part: np.ndarray[Any, Any]
    group: np.ndarray[Any, Any] | None = None

    def open(self) -> BinaryIO:
        return io.BytesIO(self.as_file())

    def as_file(self) -> bytes:
        group = np.arange(len(self.y)) if self.group is None else self.group
        stream = io.BytesIO()
        np.savez(
            stream,
            x=self.x.astype(np.float64),
            y=self.y.astype(np.float64),
            group=group.astype(np.int64),
            part=self.part.astype(np.int8),
        )
        return stream.getvalue()


@dataclass(frozen=True, kw_only=True)
class RehearsalLease:
    """What the desk hands out."""

    id: LeaseId
    file: BinaryIO
    facts: Mapping[str, Json]
    kept: bytes = b""


@dataclass(kw_only=True)
class RehearsalDesk:
    """A hospital's counter without a node behind it; misbehaves when told to."""

    participant: ParticipantId
    key: SigningKey
    data: SiteData
    columns: Sequence[Mapping[str, Json]]
    public: bool = False
    refuses_admission: bool = False
    refuses_from_round: int = 10**9
    silent_in: set[int] = field(default_factory=set)
    spoil: Callable[[Answer, bytes], tuple[Answer, bytes]] | None = None
    leases: list[tuple[str, int, Digest]] = field(default_factory=list)
    kept: dict[int, bytes] = field(default_factory=dict)
    reported: list[tuple[str, str]] = field(default_factory=list)
    quiet: threading.Event = field(default_factory=threading.Event)
    _open: dict[LeaseId, tuple[str, int, Digest, Order]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def admit(self, order: bytes) -> None:
        Order.from_json(order)
        if self.refuses_admission:
            raise DeniedError("gate.other_start", study="refused")

    def report_refusal(self, code: str, reason: str, *, what: str = "admission") -> None:
        self.reported.append((what, code))

    def lease(self, order: bytes, *, kind: str, round: int, model: Digest) -> RehearsalLease:  # noqa: A002
        if round >= self.refuses_from_round:
            raise DeniedError("gate.other_start", study="revoked")
        if round in self.silent_in:
            self.quiet.wait(timeout=20)
        self.leases.append((kind, round, model))
        lease = LeaseId(f"lease-{next(self._numbers)}")
        self._open[lease] = (kind, round, model, Order.from_json(order))
        last = [done for done in self.kept if done < round or kind == EVALUATE]
        return RehearsalLease(
            id=lease,
            file=self.data.open(),
            kept=self.kept[max(last)] if last else b"",
            facts={
                "participant": self.participant,
                "columns": list(self.columns),
                "public": self.public,
                "min_cases": 0 if self.public else 10,
            },
        )

    def release(
        self, lease: LeaseId, *, update: bytes, facts: Mapping[str, Json], kept: bytes = b""
    ) -> bytes:
        kind, number, model, order = self._open.pop(lease)
        if kept:
            self.kept[number] = kept
        rule = CountRule(smallest=0 if self.public else 10, largest=len(self.data.y))
        checked = check_facts(facts, rule=rule)
        n, work_s = checked.pop("n"), checked.pop("work_s")
        answer = Answer(
            study=peek_study(order.signed_study).study,
            segment=order.segment,
            round=number,
            kind=kind,
            participant=self.participant,
            n=int(n),  # type: ignore[arg-type]
            model_in=model,
            facts=checked,
            work_s=float(work_s),  # type: ignore[arg-type]
        )
        if self.spoil:
            answer, update = self.spoil(answer, update)
        return pack_reply(self.key, answer, update=update)


@dataclass(kw_only=True)
class Rehearsal:
    """A study, its hospitals' desks and keys, and where its attempts lie."""

    study: Study
    signed: str
    start: bytes
    desks: dict[ParticipantId, RehearsalDesk]
    root: Path
    recipes: Recipes = field(default_factory=lambda: RECIPES)

    def attempts(self) -> list[SegmentFolder]:
        return [SegmentFolder(path) for path in sorted(self.root.glob("attempt-*"))]

    def begin(self, *, segment: int = 1) -> tuple[Order, StartingPoint, SegmentFolder]:
        """Make the next attempt, from the last accepted round."""
        point = starting_point(self.attempts(), self.study, self.start)
        number = len(self.attempts()) + 1
        order = point.order(self.signed, segment=segment, attempt=number)
        folder = SegmentFolder.create(self.root / f"attempt-{number:05d}", order, point)
        return order, point, folder

    def cast(self, order: Order) -> StraightCast:
        return StraightCast(self, order)

    def run(self, engine: Engine, *, timeout_s: float = 60.0) -> SegmentFolder:
        """Run one attempt on an engine to its end."""
        order, point, folder = self.begin()
        job = engine.submit(order, point.model, folder.path)
        await_end(engine, job, timeout_s=timeout_s)
        return folder


class StraightCast:
    """Asks one site after the other, in this thread; for tests of the loop alone."""

    def __init__(self, rehearsal: Rehearsal, order: Order) -> None:
        data = order.as_json()
        self.workers = {
            site: SiteWorker(data, desk=desk, recipes=rehearsal.recipes)
            for site, desk in rehearsal.desks.items()
        }
        self.asked: list[tuple[str, int, tuple[ParticipantId, ...]]] = []
        self.absent: dict[int, set[ParticipantId]] = {}
        self.die_in: tuple[str, int] | None = None

    def __call__(
        self, task: Task, *, sites: Sequence[ParticipantId], deadline_s: float, quorum: int
    ) -> dict[ParticipantId, bytes]:
        self.asked.append((task.kind, task.round, tuple(sites)))
        if self.die_in == (task.kind, task.round):
            raise KilledError
        gone = self.absent.get(task.round, set())
        answers = {}
        for site in sites:
            if site not in gone:
                try:
                    answers[site] = self.workers[site].work(task)
                except DeniedError:
                    continue
        return answers


class KilledError(BaseException):
    """Stands for kill -9: nothing may catch it."""


def await_end(engine: Engine, job: str, *, timeout_s: float) -> None:
    ends = time.monotonic() + timeout_s
    while engine.status(job) is EngineStatus.RUNNING:
        if time.monotonic() > ends:
            raise TimeoutError(job)
        time.sleep(0.02)


def number_features(width: int) -> tuple[FieldNeed, ...]:
    return tuple(FieldNeed(name=f"x{place}", kind="number") for place in range(width))


def make_cases(seed: int, *, n: int = 60, shift: float = 0.0, width: int = 4) -> SiteData:
    """Draw invented cases with a true logistic relation."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, width))
    z = x @ np.linspace(1.5, -1.0, width) + shift
    y = (generator.random(n) < 1 / (1 + np.exp(-z))).astype(float)
    part = (np.arange(n) % 3 == 0).astype(int)
    return SiteData(x=x, y=y, part=part)


def make_rehearsal(
    root: Path,
    *,
    sites: Mapping[str, SiteData] | None = None,
    features: tuple[FieldNeed, ...] | None = None,
    settings: Mapping[str, Any] | None = None,
    public: bool = False,
    **changes: Any,
) -> Rehearsal:
    """Make a study over invented (or given) data; `changes` are fields of `Study`."""
    sites = sites or {
        name: make_cases(number, shift=number / 2 - 0.5)
        for number, name in enumerate(("north", "south", "west"))
    }
    width = next(iter(sites.values())).x.shape[1]
    features = features or number_features(width)
    keys = {participant_id(SPACE, name): SigningKey.generate() for name in sites}
    installed = RECIPES.find("tabular-logistic")
    if installed is None:
        raise LookupError("the recipe is not installed")
    ref = RecipeRef(
        name=installed.name,
        version=installed.version,
        digest=installed.digest,
        settings={"local_steps": 20, **(settings or {})},
    )
    recipe, seed = RECIPES.get(ref), int(changes.get("seed", 42))
    arrays = recipe.initial(Needs(features=features), recipe.read_settings(ref.settings), seed=seed)
    start = pack_arrays(arrays)
    lead = next(iter(keys))
    study = Study(
        study=StudyId("urn:uuid:22222222-2222-4222-8222-222222222222"),
        space=SPACE,
        title="Rehearsal",
        question="Does the loop hold?",
        purpose="research",
        lead=lead,
        recipe=ref,
        features=features,
        label="outcome",
        rule="fedavg",
        start=digest_of(start),
        rounds=4,
        quorum=2,
        deadline_s=10.0,
        seed=seed,
        sites=tuple(
            Invitation(
                participant=site,
                agreement=AgreementId(f"urn:agreement:{site}"),
                dataset=DatasetId(f"urn:dataset:{site}"),
                key=key.public.text,
            )
            for site, key in keys.items()
        ),
        created="2026-01-01T00:00:00.000000Z",
        expires="2036-01-01T00:00:00.000000Z",
        layout=tuple(ArrayNeed(name=name, shape=arrays[name].shape) for name in sorted(arrays)),
    )
    study = replace(study, **changes)
    columns = [
        {"name": need.name, "kind": need.kind, "categories": list(need.categories)}
        for need in features
    ]
    desks = {
        site: RehearsalDesk(
            participant=site,
            key=keys[site],
            data=sites[site.rpartition(":")[2]],
            columns=columns,
            public=public,
        )
        for site in keys
    }
    signed = sign_study(keys[lead], study)
    return Rehearsal(study=study, signed=signed, start=start, desks=desks, root=root)


def weights_of(data: bytes) -> np.ndarray[Any, Any]:
    arrays = unpack_arrays(data)
    return np.concatenate([arrays[name].ravel() for name in sorted(arrays)])
