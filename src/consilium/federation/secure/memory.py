"""What a site must not do twice, remembered beyond one sum.

A second sum of one round with the same update and one survivor fewer would give
that survivor's update by subtraction. So each round is joined once, and an
update is never masked again after a survivor set of its sum was signed.
"""

from __future__ import annotations

from consilium.federation.secure.plan import SumPlan
from consilium.kernel.canonical import Digest
from consilium.kernel.errors import DeniedError
from consilium.kernel.identifiers import StudyId


class SumMemory:
    """One site's memory of sums, for the life of a process.

    Discloses
    ---------
    Nothing: it stays at the site and holds digests.
    """

    def __init__(self) -> None:
        self._joined: set[tuple[StudyId, int, int, int]] = set()
        self._signed: set[tuple[StudyId, Digest]] = set()

    def claim_round(self, plan: SumPlan) -> None:
        """Note that a round is joined.

        Raises
        ------
        DeniedError
            `secure.round_again`.

        Discloses
        ---------
        Nothing.
        """
        if plan.key in self._joined:
            raise DeniedError("secure.round_again", round=plan.round, attempt=plan.attempt)
        self._joined.add(plan.key)

    def check_update(self, plan: SumPlan, update: Digest) -> None:
        """Return if no survivor set with this encoded update was ever signed.

        Raises
        ------
        DeniedError
            `secure.update_again`.

        Discloses
        ---------
        Nothing.
        """
        if (plan.study, update) in self._signed:
            raise DeniedError("secure.update_again", round=plan.round)

    def keep_update(self, plan: SumPlan, update: Digest) -> None:
        """Note that a survivor set with this encoded update is about to be signed.

        Discloses
        ---------
        Nothing.
        """
        self._signed.add((plan.study, update))
