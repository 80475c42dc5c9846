"""What a site must not do twice, remembered beyond one sum.

Two sums of one round that differ by one site give that site's update by
subtraction. So a round of an attempt is joined once; of a round of a study one
survivor set is ever signed, whatever the attempt; and an update that was in a
signed sum is never masked for another round. With the same survivors a round
that was lost in a crash may be summed again: the sum is the same.
"""

from __future__ import annotations

from typing import Protocol

from consilium.federation.secure.plan import SumPlan
from consilium.kernel.canonical import Digest
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import StudyId


class SumMemory(Protocol):
    """One site's memory of sums. What a call notes stands before the call returns.

    Discloses
    ---------
    Nothing: it stays at the site and holds digests and counts.
    """

    def claim_round(self, plan: SumPlan) -> None:
        """Note that a round of an attempt is joined.

        Raises
        ------
        DeniedError
            `secure.round_again`.
        """
        ...

    def check_update(self, plan: SumPlan, update: Digest) -> None:
        """Return if no survivor set with this encoded update was signed in another round.

        Raises
        ------
        DeniedError
            `secure.update_again`.
        """
        ...

    def keep_set(self, plan: SumPlan, update: Digest, *, survivors: Digest, number: int) -> None:
        """Note that a survivor set of `number` sites is about to be signed; again is no harm.

        Raises
        ------
        DeniedError
            `secure.other_survivors` when another was signed in this round of the study.
        """
        ...

    def note_revealed(self, plan: SumPlan, *, seeds: int, keys: int) -> None:
        """Note that shares of so many survivors' seeds and lost sites' keys are about to go."""
        ...


class PassingMemory:
    """A memory for the life of a process: for rehearsals and simulations.

    Discloses
    ---------
    Nothing.
    """

    def __init__(self) -> None:
        self._joined: set[tuple[StudyId, int, int, int]] = set()
        self._sets: dict[tuple[StudyId, int], Digest] = {}
        self._updates: dict[tuple[StudyId, Digest], int] = {}

    def claim_round(self, plan: SumPlan) -> None:
        """Note that a round of an attempt is joined; `secure.round_again`."""
        if plan.key in self._joined:
            raise DeniedError("secure.round_again", round=plan.round, attempt=plan.attempt)
        self._joined.add(plan.key)

    def check_update(self, plan: SumPlan, update: Digest) -> None:
        """Return if the update is not used up; `secure.update_again`."""
        if self._updates.get((plan.study, update), plan.round) != plan.round:
            raise DeniedError("secure.update_again", round=plan.round)

    def keep_set(
        self,
        plan: SumPlan,
        update: Digest,
        *,
        survivors: Digest,
        number: int,  # noqa: ARG002
    ) -> None:
        """Note the one survivor set of a round; `secure.other_survivors`."""
        if self._sets.setdefault((plan.study, plan.round), survivors) != survivors:
            raise DeniedError("secure.other_survivors", round=plan.round)
        self._updates[plan.study, update] = plan.round

    def note_revealed(self, plan: SumPlan, *, seeds: int, keys: int) -> None:
        """Need no note: what is revealed follows from the signed set."""
