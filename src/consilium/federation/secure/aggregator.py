"""The hub's part in one secure sum: it collects, passes on, and sums.

Nothing here protects a secret: the sites do. Its checks are for a sum that is
right, and for errors that name who did not follow. Each step is closed by
asking for what goes to the sites next; what comes later counts as lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from consilium.federation.contract import Matrix
from consilium.federation.secure.members import (
    Step,
    check_enough,
    check_survivors,
    check_turn,
    survivors_of,
    transcript_of,
)
from consilium.federation.secure.messages import (
    Announcement,
    Announcements,
    Confirmation,
    Delivery,
    M,
    MaskedUpdate,
    Revealed,
    SealedShares,
    SurvivorCall,
    Upload,
    verify_message,
)
from consilium.federation.secure.plan import SumPlan
from consilium.federation.secure.unmasking import recover_secrets, remove_masks
from consilium.kernel.canonical import digest_of
from consilium.kernel.errors import IntegrityError
from consilium.kernel.identifiers import ParticipantId


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureSum:
    """What comes out: the weighted mean, all cases together, and whose updates are in it."""

    mean: Matrix
    cases: int
    survivors: tuple[ParticipantId, ...]


class SumAggregator:
    """The hub's part in one sum.

    Every `take_` verifies the sender's signature and the plan, and raises on
    anything else (`ledger.bad_signature`, `secure.foreign_message`,
    `secure.doubled_message`, `secure.not_a_message`, `secure.out_of_turn`);
    what was refused changes nothing, so that the caller may go on without it.

    Parameters
    ----------
    plan : SumPlan
        From the study and its agreements.

    Discloses
    ---------
    The sum of at least the plan's threshold of updates; no single one.
    """

    def __init__(self, plan: SumPlan) -> None:
        self._plan = plan
        self._step = Step.ANNOUNCE
        self._statements: dict[ParticipantId, str] = {}
        self._announced: dict[ParticipantId, Announcement] = {}
        self._boxes: dict[ParticipantId, Mapping[ParticipantId, bytes]] = {}
        self._total = np.zeros(plan.size + 1, dtype=plan.encoding.dtype)
        self._uploaded: set[ParticipantId] = set()
        self._confirmed: dict[ParticipantId, str] = {}
        self._revealed: dict[ParticipantId, Revealed] = {}

    @property
    def step(self) -> Step:
        """Which messages are taken now."""
        return self._step

    @property
    def announced(self) -> frozenset[ParticipantId]:
        """Who has announced so far."""
        return frozenset(self._announced)

    def take_announcement(self, text: str) -> None:
        """Take a site's announcement.

        Discloses
        ---------
        Nothing.
        """
        one = self._verify(text, Announcement, step=Step.ANNOUNCE, seen=self._announced)
        self._announced[one.site], self._statements[one.site] = one, text

    def announcements(self) -> Announcements:
        """Close step 1; to be shown to every site that announced.

        Raises
        ------
        StateError
            `secure.too_many_lost`, `secure.out_of_turn`.

        Discloses
        ---------
        Public keys, to the sites.
        """
        self._close(Step.ANNOUNCE, self._announced, then=Step.SHARE)
        return Announcements(statements=tuple(text for _, text in sorted(self._statements.items())))

    def take_shares(self, text: str) -> None:
        """Take a site's sealed shares: a box for each other site that announced.

        Discloses
        ---------
        Nothing: the boxes are sealed for others.
        """
        one = self._verify(text, SealedShares, step=Step.SHARE, seen=self._boxes)
        if {*one.boxes, one.site} != {*self._announced}:
            raise IntegrityError("secure.foreign_message", kind=one.KIND, site=one.site)
        self._boxes[one.site] = one.boxes

    def deliveries(self) -> dict[ParticipantId, Delivery]:
        """Close step 2; who shared is a member, and gets the boxes of the others.

        Raises
        ------
        StateError
            `secure.too_many_lost`, `secure.out_of_turn`.

        Discloses
        ---------
        To each member, shares of the others' fresh secrets.
        """
        self._close(Step.SHARE, self._boxes, then=Step.MASK)
        return {
            site: Delivery(
                boxes={peer: self._boxes[peer][site] for peer in self._boxes if peer != site}
            )
            for site in self._boxes
        }

    def take_masked(self, upload: Upload) -> None:
        """Add a member's masked update to the sum.

        Discloses
        ---------
        Nothing: the update looks uniform.
        """
        one = self._verify(upload.statement, MaskedUpdate, step=Step.MASK, seen=self._uploaded)
        vector = np.frombuffer(upload.body[: self._total.nbytes], dtype=np.uint8)
        whole = len(upload.body) == vector.size == self._total.nbytes
        if not whole or one.site not in self._boxes or digest_of(upload.body) != one.body:
            raise IntegrityError("secure.foreign_message", kind=one.KIND, site=one.site)
        self._total += vector.view(self._total.dtype)
        self._uploaded.add(one.site)

    def survivor_call(self) -> SurvivorCall:
        """Close step 3; survivors are whose updates came. To be shown to them.

        Raises
        ------
        StateError
            `secure.too_many_lost`, `secure.out_of_turn`.

        Discloses
        ---------
        Who is in the sum, to the sites.
        """
        self._close(Step.MASK, self._uploaded, then=Step.CONFIRM)
        return self._call()

    def take_confirmation(self, text: str) -> None:
        """Take a survivor's confirmation of the set and of what it was shown.

        Discloses
        ---------
        Nothing.
        """
        one = self._verify(text, Confirmation, step=Step.CONFIRM, seen=self._confirmed)
        shown = transcript_of(self._statements.values(), members=self._boxes)
        if one.site not in self._uploaded:
            raise IntegrityError("secure.foreign_message", kind=one.KIND, site=one.site)
        if (one.transcript, one.survivors) != (shown, survivors_of(self._call())):
            raise IntegrityError("secure.foreign_message", kind=one.KIND, site=one.site)
        self._confirmed[one.site] = text

    def reveal_call(self) -> SurvivorCall:
        """Close step 4; the survivor set with its confirmations, for all survivors.

        Raises
        ------
        StateError
            `secure.too_many_lost`, `secure.out_of_turn`.

        Discloses
        ---------
        Signatures, to the sites.
        """
        self._close(Step.CONFIRM, self._confirmed, then=Step.REVEAL)
        confirmations = tuple(text for _, text in sorted(self._confirmed.items()))
        call = self._call()
        return SurvivorCall(survivors=call.survivors, lost=call.lost, confirmations=confirmations)

    def take_revealed(self, text: str) -> None:
        """Take a survivor's shares.

        Discloses
        ---------
        With a threshold of them, the survivors' self masks and the lost sites'
        masks: the sum.
        """
        one = self._verify(text, Revealed, step=Step.REVEAL, seen=self._revealed)
        call = self._call()
        given = ({*one.seeds}, {*one.keys})
        if one.site not in self._uploaded or given != ({*call.survivors}, {*call.lost}):
            raise IntegrityError("secure.foreign_message", kind=one.KIND, site=one.site)
        self._revealed[one.site] = one

    def total(self) -> SecureSum:
        """Close step 5: take the masks off the sum, and read it.

        Raises
        ------
        StateError
            `secure.too_many_lost`, `secure.out_of_turn`.
        IntegrityError
            `secure.false_share` if shares do not give what a site committed
            to; `secure.bad_sum` if the sum is none of encoded updates.

        Discloses
        ---------
        The survivors' weighted mean and their cases together.
        """
        check_turn(self._step, Step.REVEAL)
        check_enough(self._revealed, step=Step.REVEAL, plan=self._plan)
        call = self._call()
        check_survivors(call, members=self._boxes, plan=self._plan)
        found = recover_secrets(self._revealed, announced=self._announced, plan=self._plan)
        remove_masks(self._total, found, announced=self._announced, plan=self._plan)
        self._step = Step.DONE
        mean, cases = self._plan.encoding.decode(self._total, contributors=len(call.survivors))
        return SecureSum(mean=mean, cases=cases, survivors=call.survivors)

    def _call(self) -> SurvivorCall:
        lost = sorted(set(self._boxes) - self._uploaded)
        return SurvivorCall(survivors=tuple(sorted(self._uploaded)), lost=tuple(lost))

    def _close(
        self,
        step: Step,
        sites: Mapping[ParticipantId, object] | set[ParticipantId],
        *,
        then: Step,
    ) -> None:
        check_turn(self._step, step)
        check_enough(sites, step=step, plan=self._plan)
        self._step = then

    def _verify(
        self,
        text: str,
        kind: type[M],
        *,
        step: Step,
        seen: Mapping[ParticipantId, object] | set[ParticipantId],
    ) -> M:
        check_turn(self._step, step)
        one = verify_message(text, kind, plan=self._plan)
        if one.site in seen:
            raise IntegrityError("secure.doubled_message", kind=kind.KIND, site=one.site)
        return one
