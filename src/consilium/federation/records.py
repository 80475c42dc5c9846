"""The records of a segment: what a round was, what a starting point is.

They are inert. The folder writes and reads them, the round loop makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from consilium.gate.orders import Order
from consilium.kernel.canonical import Digest, canonical_bytes, digest_of, read_json
from consilium.kernel.errors import IntegrityError
from consilium.kernel.identifiers import ParticipantId, StudyId


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedRound:
    """One round whose files are durable.

    A round is *closed* when this record is on the disk. It is *accepted* when
    a quorum of sites has countersigned `model`; those statements come with the
    replies to the next task, so they stand in the next round's `countersigned`.
    """

    study: StudyId
    segment: int
    attempt: int
    round: int
    model_in: Digest
    model: Digest
    rule_state: Digest
    replies: dict[str, str]
    """Each site's signed reply statement, without the update itself."""
    countersigned: tuple[str, ...]
    """The sites' signed statements over `model_in`."""
    confirmed: tuple[str, ...] = ()
    """Of a secure sum: the sites' signed confirmations of who is in it."""

    def as_json(self) -> bytes:
        """Write canonical bytes."""
        texts = {"countersigned": list(self.countersigned), "confirmed": list(self.confirmed)}
        return canonical_bytes(asdict(self) | texts)

    @classmethod
    def from_json(cls, data: bytes) -> ClosedRound:
        """Read what `as_json` wrote.

        Raises
        ------
        IntegrityError
            `federation.broken_round` when a field is missing or unknown.
        """
        plain = read_json(data)
        try:
            found = dict(plain)  # type: ignore[arg-type]
            texts = {name: tuple(found[name]) for name in ("countersigned", "confirmed")}  # type: ignore[arg-type]
            return cls(**found | texts)  # type: ignore[arg-type]
        except (TypeError, ValueError, KeyError) as error:
            raise IntegrityError("federation.broken_round", what="record") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class StartingPoint:
    """Where a segment begins: the study's own start, or an accepted round.

    `rule_state` is the aggregation rule's memory as a safetensors file; empty
    bytes at the study's own start. `countersigned` goes into the order. `called`
    names, by round, the hospitals that were asked to confirm a secure sum of a
    round from here on: that round can be summed with the same ones only.
    """

    first_round: int
    model: bytes
    rule_state: bytes = b""
    countersigned: tuple[str, ...] = ()
    called: Mapping[int, tuple[ParticipantId, ...]] = field(default_factory=dict)

    def order(self, signed_study: str, *, segment: int, attempt: int) -> Order:
        """Write the order of a segment that begins here."""
        return Order(
            signed_study=signed_study,
            segment=segment,
            attempt=attempt,
            first_round=self.first_round,
            start=digest_of(self.model),
            countersigned=self.countersigned,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCost:
    """What one round took. Seconds, bytes on the wire as the loop sees them.

    `overhead_s` is what the round took beyond the slowest site's own work.
    """

    seconds: float
    work_s: dict[str, float]
    bytes_up: int
    bytes_down: int

    @property
    def overhead_s(self) -> float:
        """Seconds of the round beyond the slowest site's work; never below 0."""
        return max(0.0, self.seconds - max(self.work_s.values(), default=0.0))
