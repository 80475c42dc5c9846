"""Gathering: casting one task, and keeping the replies that hold.

A reply counts when the site's pinned key signed it for exactly this study,
segment, round, kind and model, and when its update fits the model. Anything
else counts as a missing site and is named by the code of its flaw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consilium.federation.aggregation import Contribution, check_update, find_rule
from consilium.federation.ports import EVALUATE, TRAIN, Cast, Task
from consilium.federation.records import RoundCost
from consilium.gate.orders import Study
from consilium.gate.replies import SiteReply, verify_reply
from consilium.kernel.canonical import Json, digest_of
from consilium.kernel.errors import ConsiliumError, IntegrityError, PeerError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import PublicKey
from consilium.models.weights import Arrays, unpack_arrays

TRIES = 2
"""How often a task is cast before it fails for lack of a quorum."""

EVALUATION_S = 30.0
"""An evaluation may take at least so long: it trains local models besides, a round does not."""


@dataclass(slots=True)
class Gathered:
    """What one task brought: valid replies, and which flaw the others had."""

    replies: dict[ParticipantId, SiteReply] = field(default_factory=dict)
    bad: dict[str, Json] = field(default_factory=dict)
    bytes_up: int = 0
    bytes_down: int = 0

    def missing(self, sites: Sequence[ParticipantId]) -> list[ParticipantId]:
        """Name the sites that gave no valid reply."""
        return [site for site in sites if site not in self.replies]

    def countersigned(self) -> tuple[str, ...]:
        """Return the sites' statements over the model they were given."""
        return tuple(reply.countersignature for _, reply in sorted(self.replies.items()))

    def statements(self) -> dict[str, str]:
        """Return each site's signed reply, without its arrays."""
        return {site: reply.statement for site, reply in sorted(self.replies.items())}

    def facts(self) -> dict[str, Json]:
        """Return what each site said, with the number of cases behind it."""
        return {site: {"n": reply.n, **reply.facts} for site, reply in sorted(self.replies.items())}

    def cost(self, seconds: float) -> RoundCost:
        """Return what the task took."""
        return RoundCost(
            seconds=round(seconds, 6),
            work_s={site: round(reply.work_s, 6) for site, reply in sorted(self.replies.items())},
            bytes_up=self.bytes_up,
            bytes_down=self.bytes_down,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """Casts tasks of one segment. `tell` hears of each try below the quorum."""

    study: Study
    segment: int
    cast: Cast
    tell: Callable[[Task, Gathered], None]

    @property
    def sites(self) -> list[ParticipantId]:
        """Every site of the study, sorted."""
        return sorted(site.participant for site in self.study.sites)

    def gather(self, task: Task, active: Sequence[ParticipantId]) -> Gathered:
        """Cast a task until a quorum of valid replies is there, `TRIES` times at most.

        The first time the `active` sites are asked, the second time everyone
        who has not answered yet: sites that missed an earlier round too.

        Raises
        ------
        PeerError
            `federation.no_quorum`.

        Discloses
        ---------
        To the sites: the task's model.
        """
        gathered, asked = Gathered(), list(active)
        for _ in range(TRIES):
            answers = self.cast(
                task,
                sites=asked,
                deadline_s=self._deadline_s(task),
                quorum=self.study.quorum - len(gathered.replies),
            )
            gathered.bytes_down += len(task.model) * len(asked)
            self._sort(task, {site: answers[site] for site in asked if site in answers}, gathered)
            if len(gathered.replies) >= self.study.quorum:
                return gathered
            asked = gathered.missing(self.sites)
            self.tell(task, gathered)
        raise PeerError(
            "federation.no_quorum",
            round=task.round,
            answered=len(gathered.replies),
            quorum=self.study.quorum,
        )

    def _deadline_s(self, task: Task) -> float:
        least = EVALUATION_S if task.kind == EVALUATE else 0.0
        return max(self.study.deadline_s, least)

    def _sort(self, task: Task, answers: Mapping[ParticipantId, bytes], gathered: Gathered) -> None:
        """Sort answers into valid replies and named flaws."""
        expected = unpack_arrays(task.model) if task.kind == TRAIN else {}
        for site, data in sorted(answers.items()):
            gathered.bytes_up += len(data)
            try:
                gathered.replies[site] = self._judge(task, data, site=site, expected=expected)
            except ConsiliumError as error:
                gathered.bad[site] = error.code
            else:
                gathered.bad.pop(site, None)

    def _judge(
        self, task: Task, data: bytes, *, site: ParticipantId, expected: Arrays
    ) -> SiteReply:
        """Pass only this site's signed reply to exactly this task, with fitting arrays."""
        invitation = self.study.find_site(site)
        if invitation is None:
            raise IntegrityError("federation.foreign_reply", site=site)
        reply = verify_reply(
            data,
            key=PublicKey.from_text(invitation.key),
            study=self.study.study,
            kind=task.kind,
            round=task.round,
            model=digest_of(task.model),
        )
        if (reply.participant, reply.segment) != (site, self.segment):
            raise IntegrityError("federation.foreign_reply", site=site)
        needs_loss = task.kind == TRAIN and find_rule(self.study.rule).needs_loss
        check_update(
            as_contribution(reply, self.study), model=expected, site=site, needs_loss=needs_loss
        )
        return reply


def as_contribution(reply: SiteReply, study: Study) -> Contribution:
    """Take from a reply and its plan what aggregation needs.

    Discloses
    ---------
    Nothing: it runs at the hub, on what the sites' gates have let out.
    """
    loss: Any = reply.facts.get("loss_before")
    if isinstance(loss, bool) or not isinstance(loss, int | float):
        loss = None
    place = study.find_site(reply.participant)
    lacks = () if place is None else place.lacks
    return Contribution(update=reply.arrays, n=reply.n, loss=loss, lacks=lacks)
