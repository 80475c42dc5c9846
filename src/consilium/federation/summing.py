"""One round as a secure sum, at the hub: ask, cast, and read nothing but the mean.

The steps around the one task of a round go as small questions: keys, sealed
shares, the boxes; then training, whose replies are masked; then the survivors
are named, confirmed, and the sum is opened. What is asked and checked in each
step is `consilium.federation.secure`'s.

Who was asked to confirm a round is written down before they are asked. If the
round is lost after that, in this attempt or by a crash, the sites will sign no
other set for it, so the next attempt asks the same ones again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from consilium.federation.contract import Matrix
from consilium.federation.folder import SegmentFolder
from consilium.federation.gathering import Gathered, Gathering
from consilium.federation.ports import Ask, Task
from consilium.federation.secure.aggregator import SumAggregator
from consilium.federation.secure.desk import ANNOUNCE, CONFIRM, DELIVER, REVEAL, SHARE
from consilium.federation.secure.encoding import restore_arrays
from consilium.federation.secure.messages import SurvivorCall, Upload
from consilium.federation.secure.plan import plan_of
from consilium.gate.orders import Order
from consilium.gate.replies import SiteReply
from consilium.gate.sums import MASKED, Question
from consilium.kernel.canonical import Json, canonical_bytes, digest_of
from consilium.kernel.errors import ConsiliumError, IntegrityError, PeerError, StateError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.statements import peek_statement
from consilium.models.weights import unpack_arrays

STEP_S = 20.0
"""Longest wait for the answers of one step; each is a matter of milliseconds."""


class Tell(Protocol):
    """Hears what happened."""

    def __call__(self, kind: str, **facts: Json) -> None:
        """Keep an event."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Summed:
    """What a secure round brought.

    `mean` is the weighted mean of the survivors' updates, float64 arrays of the
    model's names and shapes; `cases` their training cases together; `confirmed`
    the signed confirmations; `wanted` who could be in it, `active` who is asked
    in the next round.
    """

    mean: Mapping[str, Matrix]
    cases: int
    confirmed: tuple[str, ...]
    wanted: list[ParticipantId]
    active: list[ParticipantId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summing:
    """Runs the secure rounds of one segment."""

    order: Order
    gathering: Gathering
    ask: Ask
    folder: SegmentFolder
    tell: Tell

    def run(self, task: Task, active: Sequence[ParticipantId]) -> tuple[Gathered, Summed]:
        """Run one round: from fresh keys to the mean.

        Parameters
        ----------
        task : Task
            To train.
        active : sequence of ParticipantId
            Whom to ask first; everyone else if these are too few. A round that
            was called before is asked of those who were called, and nobody else.

        Raises
        ------
        StateError
            `secure.too_many_lost`; `federation.sum_waits`.
        PeerError
            `federation.no_quorum`.
        IntegrityError
            `secure.false_share`, `secure.bad_sum`.

        Discloses
        ---------
        To the sites: the model, keys, and who takes part. To the hub: the mean
        of at least a quorum of updates and their cases together, no single one.
        """
        return _Round(summing=self, task=task).run(active)


@dataclass(slots=True, kw_only=True)
class _Round:
    summing: Summing
    task: Task
    gathered: Gathered = field(default_factory=Gathered)
    hub: SumAggregator = field(init=False)

    def __post_init__(self) -> None:
        order, study = self.summing.order, self.summing.gathering.study
        model = digest_of(self.task.model)
        self.hub = SumAggregator(plan_of(study, order, round=self.task.round, model=model))

    def run(self, active: Sequence[ParticipantId]) -> tuple[Gathered, Summed]:
        fixed = self.summing.folder.called().get(self.task.round, ())
        ready = self._agree(active, fixed)
        self._train(ready)
        call = self._call(fixed)
        self._put(CONFIRM, dict.fromkeys(call.survivors, _bytes(call)), self.hub.take_confirmation)
        final, sites = self.hub.reveal_call(), self.summing.gathering.sites
        self._put(REVEAL, dict.fromkeys(call.survivors, _bytes(final)), self.hub.take_revealed)
        found = self.hub.total()
        summed = Summed(
            mean=restore_arrays(found.mean, like=unpack_arrays(self.task.model)),
            cases=found.cases,
            confirmed=final.confirmations,
            wanted=sorted(fixed) or sites,
            active=sites if fixed else list(call.survivors),
        )
        return self.gathered, summed

    def _agree(
        self, active: Sequence[ParticipantId], fixed: Collection[ParticipantId]
    ) -> list[ParticipantId]:
        """Exchange keys and shares; return who has everything to mask with."""
        gathering, hub = self.summing.gathering, self.hub
        asked = sorted(fixed) or list(active)
        self._put(ANNOUNCE, dict.fromkeys(asked, b""), hub.take_announcement, patient=True)
        if not fixed and len(hub.announced) < gathering.study.quorum:
            others = [site for site in gathering.sites if site not in hub.announced]
            self._put(ANNOUNCE, dict.fromkeys(others, b""), hub.take_announcement)
        announced = sorted(hub.announced)
        shown = canonical_bytes(hub.announcements().as_document())
        self._put(SHARE, dict.fromkeys(announced, shown), hub.take_shares)
        boxes = {site: _bytes(one) for site, one in hub.deliveries().items()}
        ready: list[ParticipantId] = []
        self._ask(DELIVER, boxes, lambda site, _: ready.append(site))
        self._tell("sum_agreed", sites=[*ready])
        return ready

    def _train(self, ready: Sequence[ParticipantId]) -> None:
        """Cast the task, and add what comes to the sum."""
        gathering, task = self.summing.gathering, self.task
        answers = gathering.cast(
            task,
            sites=ready,
            deadline_s=gathering.deadline_s(task),
            quorum=gathering.study.quorum,
        )
        self.gathered.bytes_down += len(task.model) * len(ready)
        for site in sorted(set(answers) & set(ready)):
            self._hear(site, answers[site], self._add)

    def _add(self, site: ParticipantId, data: bytes) -> None:
        reply = self.summing.gathering.judge(self.task, data, site=site)
        self.hub.take_masked(_upload(reply))
        self.gathered.replies[site] = reply

    def _call(self, fixed: Collection[ParticipantId]) -> SurvivorCall:
        """Name the survivors, and write them down before anyone is asked to sign."""
        number, quorum = self.task.round, self.summing.gathering.study.quorum
        came = set(self.gathered.replies)
        if fixed and came != set(fixed):
            raise StateError(
                "federation.sum_waits",
                round=number,
                wanted=len(fixed),
                missing=", ".join(sorted(set(fixed) - came)),
            )
        if len(came) < quorum:
            raise PeerError("federation.no_quorum", round=number, answered=len(came), quorum=quorum)
        call = self.hub.survivor_call()
        self.summing.folder.write_called(number, call.survivors)
        self._tell("sum_called", survivors=[*call.survivors], lost=[*call.lost])
        return call

    def _put(
        self,
        step: str,
        words: Mapping[ParticipantId, bytes],
        take: Callable[[str], None],
        *,
        patient: bool = False,
    ) -> None:
        """Ask a step's question, and take what is in order."""
        self._ask(step, words, lambda _, answer: take(answer.decode()), patient=patient)

    def _ask(
        self,
        step: str,
        words: Mapping[ParticipantId, bytes],
        take: Callable[[ParticipantId, bytes], None],
        *,
        patient: bool = False,
    ) -> None:
        longest = self.summing.gathering.deadline_s(self.task)
        model = digest_of(self.task.model)
        questions = {
            site: Question(step=step, round=self.task.round, model=model, message=word)
            for site, word in words.items()
        }
        answers = self.summing.ask(
            questions, deadline_s=longest if patient else min(longest, STEP_S)
        )
        self.gathered.bytes_down += sum(map(len, words.values()))
        for site in sorted(set(answers) & set(words)):
            self._hear(site, answers[site], take)

    def _hear(
        self, site: ParticipantId, data: bytes, take: Callable[[ParticipantId, bytes], None]
    ) -> None:
        """Take one answer; a flaw is named, and the site counts as lost from here on."""
        self.gathered.bytes_up += len(data)
        try:
            take(site, data)
        except UnicodeDecodeError:
            self.gathered.bad[site] = "secure.not_a_message"
        except ConsiliumError as error:
            self.gathered.bad[site] = error.code

    def _tell(self, kind: str, **facts: Json) -> None:
        self.summing.tell(kind, round=self.task.round, **facts)


def _upload(reply: SiteReply) -> Upload:
    """Take a masked update from a site's reply; its statement must be that site's own."""
    if set(reply.arrays) != {MASKED} or peek_statement(reply.masked).get("site") != (
        reply.participant
    ):
        raise IntegrityError("secure.foreign_message", kind="sum-masked", site=reply.participant)
    return Upload(statement=reply.masked, body=reply.arrays[MASKED].tobytes())


class _Document(Protocol):
    def as_document(self) -> dict[str, Json]: ...


def _bytes(word: _Document) -> bytes:
    return canonical_bytes(word.as_document())
