"""What federation asks of others: an engine, a desk at the hospital, a way to cast tasks.

Four seams keep the learning apart from everything that carries it:

* `Engine` runs a segment somewhere; the study itself is ours (NVIDIA FLARE in
  real spaces, `federation.local` in one process);
* `Cast` sends one task to the sites and gathers replies; the round loop of
  `federation.segment` is the same code above every cast;
* `Ask` puts one small question to each site and gathers the answers: the steps of a
  secure sum around its one task;
* `Desk` is the hospital's counter: the only way to data, the only way out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

from consilium.gate import replies
from consilium.gate.orders import Order
from consilium.gate.sums import Question
from consilium.kernel.canonical import Digest, Json
from consilium.kernel.identifiers import LeaseId, ParticipantId

TRAIN = replies.TRAIN
EVALUATE = replies.EVALUATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work for every site: the same bytes for each.

    `kind` is `train` or `evaluate`; `round` counts from 1 (an evaluation
    carries the number of the last round); `model` is a safetensors file.
    """

    kind: str
    round: int
    model: bytes


class Cast(Protocol):
    """Sends one task to the sites and gathers their replies."""

    def __call__(
        self, task: Task, *, sites: Sequence[ParticipantId], deadline_s: float, quorum: int
    ) -> dict[ParticipantId, bytes]:
        """Return the replies that came, by site.

        Returns as soon as every site that is still alive has answered, and at
        the latest after `deadline_s`, then with what has come. A site that is
        dead, refuses or fails is simply absent. `quorum` is for engines that
        want to know it; the round loop checks it again.
        """
        ...


class Note(Protocol):
    """Hears of each answer the moment it comes, from whatever thread it came in."""

    def __call__(self, task: str, number: int, *, site: ParticipantId, size: int) -> None:
        """Note kind of task, round, site and bytes; must return at once."""
        ...


class Ask(Protocol):
    """Puts a question to each site and gathers their answers."""

    def __call__(
        self, questions: Mapping[ParticipantId, Question], *, deadline_s: float
    ) -> dict[ParticipantId, bytes]:
        """Return the answers that came, by site; who is dead, refuses or fails is absent.

        Returns as soon as every site that is still alive has answered, and at
        the latest after `deadline_s`.
        """
        ...


def ask_nobody(
    questions: Mapping[ParticipantId, Question],  # noqa: ARG001
    *,
    deadline_s: float,  # noqa: ARG001
) -> dict[ParticipantId, bytes]:
    """Reach no site: for casts that carry tasks alone."""
    return {}


class Lease(Protocol):
    """The right to open one dataset for one round, and the opened array file.

    A shape, not the gate's own class: a job process holds leases that came over
    a socket, and needs none of the gate's database to do so.

    `facts` tells what the file does not: `participant` (the site's own
    identifier), `columns` (of `x`, in order, each with `name`, `kind` and
    `categories`), `public` (declared public: small counts may show) and
    `min_cases` (the smallest count that may leave).
    """

    @property
    def id(self) -> LeaseId:
        """Name of the lease, given back at release."""
        ...

    @property
    def file(self) -> BinaryIO:
        """The array file, open for reading and seekable."""
        ...

    @property
    def facts(self) -> Mapping[str, Json]:
        """What the job process may know about the data."""
        ...

    @property
    def kept(self) -> bytes:
        """What the site kept after its last round before this one: safetensors, or nothing."""
        ...


class Desk(Protocol):
    """The node's counter, where a job process asks."""

    def admit(self, order: bytes) -> None:
        """Let a segment begin at this hospital, before any job process exists.

        Raises
        ------
        DeniedError, IntegrityError, InputError
            With the rule or the flaw.
        """
        ...

    def report_refusal(self, code: str, reason: str, *, what: str = "admission") -> None:
        """Keep as evidence what was refused before the gate could be asked about it.

        `what` is `admission`, `task` or `command`.
        """
        ...

    def lease(self, order: bytes, *, kind: str, round: int, model: Digest) -> Lease:  # noqa: A002
        """Open the data for one task, or refuse; asked anew each round.

        Whoever takes the lease closes its file.

        Raises
        ------
        DeniedError, IntegrityError, InputError
            With the rule or the flaw.
        """
        ...

    def release(
        self, lease: LeaseId, *, update: bytes, facts: Mapping[str, Json], kept: bytes = b""
    ) -> bytes:
        """Pass a result through the output gate and sign it.

        `update` is a safetensors file (without arrays for an evaluation).
        `facts` always holds `n` (cases behind the result) and `work_s`.
        `kept` stays here, for the site's next round. Returns the bytes of the
        reply to send; of a secure plan's training they are masked.
        """
        ...

    def converse(self, order: bytes, question: Question) -> bytes:
        """Answer one step of a secure sum, or refuse.

        Raises
        ------
        DeniedError, IntegrityError, InputError, StateError
            With the rule or the flaw.
        """
        ...


class JobDesk(Desk, Protocol):
    """The counter as a job process of its own sees it."""

    def stay(self, order: bytes) -> None:
        """Let the node end this process from now on, at any moment."""
        ...


class SiteWork(Protocol):
    """The hospital's side of a segment, as an engine adapter sees it."""

    def work(self, task: Task) -> bytes:
        """Do one task and return the bytes to send back."""
        ...

    def converse(self, question: Question) -> bytes:
        """Answer one step of a secure sum."""
        ...


class EngineStatus(StrEnum):
    """What an engine says of a job. Never the truth about a study: the folder is."""

    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


class Engine(Protocol):
    """Runs segments. Two real ones: `federation.flare` and `federation.local`."""

    def submit(self, order: Order, start: bytes, folder: Path) -> str:
        """Begin a segment and return the job's name.

        `folder` was made by `SegmentFolder.create` and belongs to this attempt
        alone. The sites asked are those of the order's study.
        """
        ...

    def status(self, job: str) -> EngineStatus:
        """Say whether the job still runs; done or not is told by our folder."""
        ...

    def refusals(self, job: str) -> dict[ParticipantId, str]:
        """Return what hospitals said who did not admit the job."""
        ...

    def sites(self) -> frozenset[ParticipantId]:
        """Return the hospitals connected now."""
        ...

    def abort(self, job: str) -> None:
        """Stop the job; silent when it has ended or is unknown."""
        ...

    def close(self) -> None:
        """Let go of everything the engine holds."""
        ...
