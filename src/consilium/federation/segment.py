"""The round loop: the same code above every engine.

Each round: cast the model to the sites, keep the replies that hold, check the
quorum, aggregate in sorted order, make the round durable, go on. After the
last round one evaluation task takes the final model to every site. Of a secure
plan the loop gets the mean of the updates and never one of them. What happened
stands in the attempt's folder; nothing else is believed.

Who gave no valid reply to a round is not asked again in this segment, unless
the quorum would fail otherwise: it enters again with the next segment.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from consilium.federation.aggregation import aggregate, step_on_mean
from consilium.federation.folder import SegmentFolder
from consilium.federation.gathering import Gathered, Gathering, as_contribution
from consilium.federation.ports import EVALUATE, TRAIN, Ask, Cast, Task, ask_nobody
from consilium.federation.records import ClosedRound, RoundCost
from consilium.federation.summing import Summed, Summing
from consilium.gate.orders import Order, Study, peek_study
from consilium.gate.replies import SiteReply
from consilium.kernel.canonical import Json, digest_of
from consilium.kernel.clock import Clock, write_time
from consilium.kernel.errors import ConsiliumError, IntegrityError
from consilium.kernel.identifiers import ParticipantId
from consilium.models.weights import pack_arrays, unpack_arrays


def run_segment(
    order: Order,
    start: bytes,
    *,
    cast: Cast,
    folder: SegmentFolder,
    clock: Clock,
    ask: Ask = ask_nobody,
) -> None:
    """Run the rounds from `order.first_round` to the study's last, then one evaluation.

    Parameters
    ----------
    order : Order
        What every site was asked to admit.
    start : bytes
        The model the segment begins with; its fingerprint is `order.start`.
    cast : Cast
        Brings a task to the sites and the replies back.
    folder : SegmentFolder
        Made for this attempt by `SegmentFolder.create`; nobody else writes there.
    clock : Clock
        For the events' times; durations are taken from the monotonic clock.
    ask : Ask, optional
        Brings questions to the sites; a study with secure sums needs it.

    Raises
    ------
    ConsiliumError
        The same that the event `failed` names; the folder holds the truth.

    Discloses
    ---------
    To the sites: the model, which holds what their updates put into it. To the
    folder's readers: aggregates that the sites' gates have let out.
    """
    study, diary = peek_study(order.signed_study), _Diary(folder=folder, clock=clock)
    gathering = Gathering(
        study=study, segment=order.segment, cast=cast, tell=diary.tell_below_quorum
    )
    segment = _Segment(
        order=order,
        study=study,
        gathering=gathering,
        summing=Summing(order=order, gathering=gathering, ask=ask, folder=folder, tell=diary.tell),
        folder=folder,
        diary=diary,
    )
    try:
        segment.run(start)
    except ConsiliumError as error:
        diary.tell("failed", code=error.code, reason=error.public)
        raise
    except Exception as error:  # the job loop: whatever broke, the folder must say so
        diary.tell("failed", code="federation.loop_broke", reason=type(error).__name__)
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Diary:
    """Writes the events."""

    folder: SegmentFolder
    clock: Clock

    def tell(self, kind: str, **facts: Json) -> None:
        self.folder.add_event({"kind": kind, "time": write_time(self.clock.now()), **facts})

    def tell_below_quorum(self, task: Task, gathered: Gathered) -> None:
        self.tell(
            "below_quorum",
            task=task.kind,
            round=task.round,
            answered=sorted(gathered.replies),
            bad=gathered.bad,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """One run of the loop: what it was given, and its steps."""

    order: Order
    study: Study
    gathering: Gathering
    summing: Summing
    folder: SegmentFolder
    diary: _Diary

    def run(self, start: bytes) -> None:
        if digest_of(start) != self.order.start:
            raise IntegrityError("federation.wrong_start", study=self.study.study)
        model, state, active = start, self._rule_state(), self.gathering.sites
        for number in range(self.order.first_round, self.study.rounds + 1):
            if self._yields(number - 1):
                return
            model, state, active = self._round(number, model, state=state, active=active)
        if not self._yields(self.study.rounds):
            self._finish(model, active)

    def _yields(self, last: int) -> bool:
        """End the segment after round `last` if the coordinator wishes so."""
        wished = self.folder.should_yield()
        if wished:
            self.diary.tell("yielded", round=last)
        return wished

    def _rule_state(self) -> bytes:
        """Return the rule's memory; only the study's own start comes without one."""
        state = self.folder.start_rule()
        if not state and self.order.first_round > 1:
            raise IntegrityError("federation.broken_round", what="rule state")
        return state or pack_arrays({})

    def _round(
        self, number: int, model: bytes, *, state: bytes, active: list[ParticipantId]
    ) -> tuple[bytes, bytes, list[ParticipantId]]:
        """Run one round; return its model, the rule's memory and who answered."""
        began = time.monotonic()
        self.diary.tell("round_started", round=number, sites=active, bytes=len(model))
        gathered, summed = self._learn(Task(kind=TRAIN, round=number, model=model), active)
        new_model, new_state = self._step(model, state, gathered.replies, summed)
        closed = ClosedRound(
            study=self.study.study,
            segment=self.order.segment,
            attempt=self.order.attempt,
            round=number,
            model_in=digest_of(model),
            model=digest_of(new_model),
            rule_state=digest_of(new_state),
            replies=gathered.statements(),
            countersigned=gathered.countersigned(),
            confirmed=summed.confirmed if summed else (),
        )
        self.folder.write_round(closed, model=new_model, rule_state=new_state)
        self.diary.tell(
            "round_closed",
            round=number,
            model=closed.model,
            sites=sorted(gathered.replies),
            missing=gathered.missing(summed.wanted if summed else self.gathering.sites),
            bad=gathered.bad,
            facts=gathered.facts(),
            **({"cases": summed.cases} if summed else {}),
            **_plain(gathered.cost(time.monotonic() - began)),
        )
        return new_model, new_state, summed.active if summed else sorted(gathered.replies)

    def _learn(self, task: Task, active: list[ParticipantId]) -> tuple[Gathered, Summed | None]:
        """Gather the sites' updates, or of a secure plan their mean alone."""
        if self.study.secure is not None:
            return self.summing.run(task, active)
        return self.gathering.gather(task, active), None

    def _step(
        self,
        model: bytes,
        state: bytes,
        replies: Mapping[ParticipantId, SiteReply],
        summed: Summed | None,
    ) -> tuple[bytes, bytes]:
        """Apply the study's rule to the updates, or to their mean."""
        study, weights, memory = self.study, unpack_arrays(model), unpack_arrays(state)
        if summed is not None:
            result = step_on_mean(
                study.rule, weights, summed.mean, state=memory, settings=study.rule_settings
            )
        else:
            result = aggregate(
                study.rule,
                weights,
                contributions={
                    site: as_contribution(reply, study) for site, reply in replies.items()
                },
                state=memory,
                settings=study.rule_settings,
            )
        return pack_arrays(result.model), pack_arrays(result.state)

    def _finish(self, model: bytes, active: list[ParticipantId]) -> None:
        """Take the final model to the sites, and make the end durable."""
        began, last = time.monotonic(), self.study.rounds
        self.diary.tell("evaluation_started", round=last, sites=active, bytes=len(model))
        gathered = self.gathering.gather(Task(kind=EVALUATE, round=last, model=model), active)
        missing, digest = gathered.missing(self.gathering.sites), digest_of(model)
        evaluation: dict[str, Json] = {
            "study": self.study.study,
            "round": last,
            "model": digest,
            "replies": gathered.statements(),
            "facts": gathered.facts(),
            "countersigned": list(gathered.countersigned()),
            "missing": missing,
            "bad": gathered.bad,
        }
        self.folder.write_end(evaluation, model=model)
        self.diary.tell(
            "evaluated",
            model=digest,
            missing=missing,
            bad=gathered.bad,
            **_plain(gathered.cost(time.monotonic() - began)),
        )
        self.diary.tell("finished", round=last, model=digest)


def _plain(cost: RoundCost) -> dict[str, Json]:
    return {
        "seconds": cost.seconds,
        "overhead_s": round(cost.overhead_s, 6),
        "work_s": {**cost.work_s},
        "bytes_up": cost.bytes_up,
        "bytes_down": cost.bytes_down,
    }
