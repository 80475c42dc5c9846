"""A member list held in memory."""

from __future__ import annotations

from collections.abc import Mapping

from consilium.kernel.errors import NotFoundError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import PublicKey


class HeldDirectory:
    """Knows the participants it was given; for rehearsals, notebooks and tests.

    Parameters
    ----------
    keys : mapping
        Each participant's public key; may be filled later.
    locations : mapping, optional
        Where participants are, for those of whom it is known.
    """

    def __init__(
        self,
        keys: Mapping[ParticipantId, PublicKey],
        *,
        locations: Mapping[ParticipantId, str] | None = None,
    ) -> None:
        self._keys = keys
        self._locations = {} if locations is None else locations

    def key_of(self, participant: ParticipantId) -> PublicKey:
        """Return the participant's key.

        Raises
        ------
        NotFoundError
            `dataspace.unknown_participant`.

        Discloses
        ---------
        Nothing.
        """
        if participant not in self._keys:
            raise NotFoundError("dataspace.unknown_participant", participant=participant)
        return self._keys[participant]

    def location_of(self, participant: ParticipantId) -> str:
        """Return the participant's country or region, "" if unknown.

        Discloses
        ---------
        Nothing.
        """
        return self._locations.get(participant, "")
