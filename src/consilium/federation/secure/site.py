"""A site in one secure sum: five steps, each once, each answered with one message.

1. `announce`  fresh keys for this round, and the commitment of a fresh seed
2. `share`     shares of both secrets, sealed for every other member
3. `mask`      the update under the self mask and one mask for each member
4. `confirm`   a signature on one survivor set, never on a second
5. `reveal`    for each member one share: the seed's of a survivor, the key's of
               a lost site; never both, and only for the set that a threshold of
               sites signed alike

Asked again for 4 or 5 with the same set it gives the same text. A message that
cannot be taken raises and changes nothing.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from consilium.federation.secure.encoding import Ring
from consilium.federation.secure.masks import (
    add_mask,
    commit_seed,
    open_box,
    pair_seed,
    seal_box,
    self_seed,
)
from consilium.federation.secure.members import (
    Step,
    check_enough,
    check_survivors,
    check_turn,
    read_announcements,
    survivors_of,
    transcript_of,
    verify_confirmed,
)
from consilium.federation.secure.memory import SumMemory
from consilium.federation.secure.messages import (
    Announcement,
    Announcements,
    Confirmation,
    Delivery,
    MaskedUpdate,
    Revealed,
    SealedShares,
    SurvivorCall,
    Upload,
    sign_message,
)
from consilium.federation.secure.plan import SumPlan
from consilium.federation.secure.sharing import SECRET_BYTES, SHARE_BYTES, Draw, split_secret
from consilium.kernel.canonical import Digest, digest_of
from consilium.kernel.errors import DeniedError, InputError, IntegrityError
from consilium.kernel.identifiers import ParticipantId
from consilium.ledger.keys import SigningKey


class SummingSite:
    """One site's part in one sum.

    Parameters
    ----------
    plan : SumPlan
        From the study and its agreements.
    site : ParticipantId
        Who we are; on the roster, under `key`.
    key : SigningKey
        Signs our messages.
    memory : SumMemory
        What we did in other sums.
    draw : callable, optional
        Source of randomness; another than the system's in tests only.

    Raises
    ------
    IntegrityError
        `secure.foreign_message` if the roster does not hold us with this key.
    DeniedError
        `secure.round_again`.

    Discloses
    ---------
    To the hub, nothing of the update but its share in a sum over at least the
    plan's threshold of sites; see docs/secure-aggregation.md.

    Sources
    -------
    Bonawitz et al., CCS 2017 (doi 10.1145/3133956.3133982), figure 4, the
    variant with consistency check; commitments of both secrets are added.
    """

    def __init__(
        self,
        plan: SumPlan,
        site: ParticipantId,
        *,
        key: SigningKey,
        memory: SumMemory,
        draw: Draw = secrets.token_bytes,
    ) -> None:
        if plan.key_of(site, kind="roster") != key.public:
            raise IntegrityError("secure.foreign_message", kind="roster", site=site)
        memory.claim_round(plan)
        self._plan, self._site, self._key, self._memory = plan, site, key, memory
        self._draw = draw
        self._masking = X25519PrivateKey.from_private_bytes(draw(SECRET_BYTES))
        self._sealing = X25519PrivateKey.from_private_bytes(draw(SECRET_BYTES))
        self._seed = draw(SECRET_BYTES)
        self._step = Step.ANNOUNCE
        self._announced = ""
        self._shown: tuple[str, ...] = ()
        self._peers: dict[ParticipantId, Announcement] = {}
        self._shares: dict[ParticipantId, bytes] = {}
        self._update = Digest("")
        self._confirmed: tuple[Digest, str] | None = None
        self._revealed = ""

    @property
    def step(self) -> Step:
        """What comes next."""
        return self._step

    @property
    def plan(self) -> SumPlan:
        """Which sum it is."""
        return self._plan

    def announce(self) -> str:
        """Give our signed `Announcement`.

        Raises
        ------
        StateError
            `secure.out_of_turn`.

        Discloses
        ---------
        Fresh public keys and a commitment: nothing of the data.
        """
        check_turn(self._step, Step.ANNOUNCE)
        self._announced = self._sign(
            Announcement(
                site=self._site,
                masking=self._masking.public_key().public_bytes_raw(),
                sealing=self._sealing.public_key().public_bytes_raw(),
                commitment=commit_seed(self._seed, plan=self._plan.digest, site=self._site),
            )
        )
        self._step = Step.SHARE
        return self._announced

    def share(self, shown: Announcements) -> str:
        """Give our signed `SealedShares` for all who announced.

        Raises
        ------
        StateError
            `secure.out_of_turn`, `secure.too_many_lost`.
        InputError, IntegrityError
            As `read_announcements`; `secure.not_shown` if our own is missing
            or is not the one we gave; `secure.bad_key`.

        Discloses
        ---------
        Sealed shares of fresh secrets: nothing of the data.
        """
        check_turn(self._step, Step.SHARE)
        if self._announced not in shown.statements:
            raise IntegrityError("secure.not_shown")
        peers = read_announcements(shown.statements, plan=self._plan)
        check_enough(peers, step=Step.ANNOUNCE, plan=self._plan)
        seeds = self._split(self._seed, peers)
        keys = self._split(self._masking.private_bytes_raw(), peers)
        boxes = {
            site: seal_box(
                seeds[site] + keys[site],
                own=self._sealing,
                peer=one.sealing,
                plan=self._plan.digest,
                way=(self._site, site),
            )
            for site, one in peers.items()
            if site != self._site
        }
        self._peers, self._shown = peers, shown.statements
        self._shares = {self._site: seeds[self._site] + keys[self._site]}
        self._step = Step.MASK
        return self._sign(SealedShares(site=self._site, boxes=boxes))

    def mask(
        self, delivery: Delivery, update: npt.NDArray[np.floating[Any]], *, cases: int
    ) -> Upload:
        """Give our update under its masks.

        Parameters
        ----------
        delivery : Delivery
            The boxes for us. We and their senders are the sum's members.
        update : array of shape (n_parameters,), float32 or float64
            As in `FixedPoint.encode`.
        cases : int
            Our weight, 1 to the encoding's `max_cases`.

        Raises
        ------
        StateError
            `secure.out_of_turn`, `secure.too_many_lost`.
        InputError
            `secure.bad_update`.
        IntegrityError
            `secure.foreign_message` for a box of somebody who did not
            announce; `secure.bad_box`, `secure.bad_key`.
        DeniedError
            `secure.update_again`.

        Discloses
        ---------
        To the hub with fewer than t colluding sites, nothing until a threshold
        of sites has confirmed who is in the sum; then the sum.
        """
        check_turn(self._step, Step.MASK)
        if update.size != self._plan.size:
            raise InputError("secure.bad_update", reason="another size than the plan's")
        shares = self._shares | self._open(delivery)
        check_enough(shares, step=Step.SHARE, plan=self._plan)
        vector = self._plan.encoding.encode(update, cases=cases)
        digest = digest_of(vector.tobytes())
        self._memory.check_update(self._plan, digest)
        self._cover(vector, members=sorted(shares))
        body = vector.tobytes()
        self._shares, self._update = shares, digest
        self._step = Step.CONFIRM
        statement = self._sign(MaskedUpdate(site=self._site, body=digest_of(body)))
        return Upload(statement=statement, body=body)

    def confirm(self, call: SurvivorCall) -> str:
        """Give our signed `Confirmation` of a survivor set: of one only.

        Raises
        ------
        StateError
            `secure.out_of_turn`, `secure.too_many_lost`.
        DeniedError
            `secure.both_shares`; `secure.not_a_survivor` if we are not in it;
            `secure.other_survivors` if we have confirmed another, in this sum or
            in another of the same round.

        Discloses
        ---------
        Nothing of the data.
        """
        wanted = self._check_call(call)
        if self._confirmed is None:
            check_turn(self._step, Step.CONFIRM)
            self._memory.keep_set(
                self._plan, self._update, survivors=wanted, number=len(call.survivors)
            )
            said = Confirmation(site=self._site, transcript=self._transcript(), survivors=wanted)
            self._confirmed = wanted, self._sign(said)
            self._step = Step.REVEAL
        return self._confirmed[1]

    def reveal(self, call: SurvivorCall) -> str:
        """Give our signed `Revealed`: one share for each member. Our secrets are forgotten.

        Raises
        ------
        StateError
            `secure.out_of_turn`, `secure.too_many_lost`.
        DeniedError
            As `confirm`; `secure.unconfirmed` unless a threshold of survivors
            has confirmed this set and this transcript.
        InputError, IntegrityError
            As `verify_message`; `secure.doubled_message`.

        Discloses
        ---------
        Shares of survivors' seeds and of lost sites' keys: with a threshold of
        answers the hub learns the survivors' sum, and no single update.
        """
        self._check_call(call)
        if self._revealed:
            return self._revealed
        check_turn(self._step, Step.REVEAL)
        verify_confirmed(
            call.confirmations,
            survivors=call.survivors,
            plan=self._plan,
            transcript=self._transcript(),
        )
        self._memory.note_revealed(self._plan, seeds=len(call.survivors), keys=len(call.lost))
        self._revealed = self._sign(
            Revealed(
                site=self._site,
                seeds={site: self._shares[site][:SHARE_BYTES] for site in call.survivors},
                keys={site: self._shares[site][SHARE_BYTES:] for site in call.lost},
            )
        )
        self._shares, self._seed = {}, b""
        del self._masking, self._sealing
        self._step = Step.DONE
        return self._revealed

    def _check_call(self, call: SurvivorCall) -> Digest:
        if self._step not in (Step.CONFIRM, Step.REVEAL, Step.DONE):
            check_turn(self._step, Step.CONFIRM)
        wanted = survivors_of(call)
        if self._confirmed is not None and self._confirmed[0] != wanted:
            raise DeniedError("secure.other_survivors", round=self._plan.round)
        if not self._revealed:  # the shares, and so the members, are forgotten after that
            check_survivors(call, members=self._shares, plan=self._plan)
        if self._site not in call.survivors:
            raise DeniedError("secure.not_a_survivor")
        return wanted

    def _transcript(self) -> Digest:
        return transcript_of(self._shown, members=self._shares)

    def _split(
        self, secret: bytes, peers: dict[ParticipantId, Announcement]
    ) -> dict[ParticipantId, bytes]:
        points = {site: self._plan.points[site] for site in peers}
        found = split_secret(
            secret, threshold=self._plan.threshold, points=[*points.values()], draw=self._draw
        )
        return {site: found[point] for site, point in points.items()}

    def _open(self, delivery: Delivery) -> dict[ParticipantId, bytes]:
        found = {}
        for site, box in delivery.boxes.items():
            if site == self._site or site not in self._peers:
                raise IntegrityError("secure.foreign_message", kind="box", site=site[:80])
            found[site] = open_box(
                box,
                own=self._sealing,
                peer=self._peers[site].sealing,
                plan=self._plan.digest,
                way=(site, self._site),
            )
        return found

    def _cover(self, vector: Ring, *, members: list[ParticipantId]) -> None:
        plan = self._plan.digest
        add_mask(vector, self_seed(self._seed, plan=plan, site=self._site))
        for site in members:
            if site != self._site:
                pair = (self._site, site)
                seed = pair_seed(self._masking, self._peers[site].masking, plan=plan, pair=pair)
                add_mask(vector, seed, negative=site < self._site)

    def _sign(
        self, message: Announcement | SealedShares | MaskedUpdate | Confirmation | Revealed
    ) -> str:
        return sign_message(self._key, message, plan=self._plan)
