"""What all sites agreed on before a secure sum, and how many of them may be lost.

Everything here comes from the study and its signed agreements, never from the
hub: a hub that could choose the members or the threshold could open a sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from consilium.federation.secure.encoding import FixedPoint
from consilium.gate.orders import FEWEST_SUMMED, Masking, Order, Study
from consilium.kernel.canonical import Digest, Json, digest_json, is_digest
from consilium.kernel.errors import InputError, IntegrityError
from consilium.kernel.identifiers import ParticipantId, StudyId
from consilium.ledger.keys import PublicKey

LEAST_SITES = FEWEST_SUMMED
"""A sum of two is no secret between the two, and a sum of one is none at all."""

MOST_SITES = 1000
_VERSION = 1


def threshold_of(sites: int) -> int:
    """Return t = max(3, ⌈2K/3⌉): so many sites must answer at every step.

    K - t sites may be lost. While 2t > K + c, a hub with c colluding sites
    cannot get two survivor sets signed, and sees only sums over at least
    t - c others.

    Raises
    ------
    InputError
        `secure.too_few_sites` below 3; `secure.bad_plan` above 1,000.

    Discloses
    ---------
    Nothing: it counts invited sites.

    Sources
    -------
    Bonawitz et al., CCS 2017 (doi 10.1145/3133956.3133982), section 4.
    """
    if sites < LEAST_SITES:
        raise InputError("secure.too_few_sites", sites=sites, least=LEAST_SITES)
    if sites > MOST_SITES:
        raise InputError("secure.bad_plan", reason=f"more than {MOST_SITES} sites")
    return max(LEAST_SITES, -(-2 * sites // 3))


def plan_of(study: Study, order: Order, *, round: int, model: Digest) -> SumPlan:  # noqa: A002
    """Make the plan of one round's sum from what the lead signed and the order adds.

    The hub and every site make it for themselves.

    Parameters
    ----------
    study, order
        A study with `secure`, and the segment of it.
    round, model
        The round, and the digest of the weights that go in.

    Raises
    ------
    InputError
        `secure.too_few_sites`, `secure.bad_plan`, `secure.bad_encoding`.

    Discloses
    ---------
    Nothing: it repeats the plan.
    """
    if study.secure is None:
        raise InputError("secure.bad_plan", reason="the study's plan has no `secure`")
    return SumPlan(
        study=study.study,
        segment=order.segment,
        attempt=order.attempt,
        round=round,
        model=model,
        roster={site.participant: PublicKey.from_text(site.key) for site in study.sites},
        size=sum(math.prod(array.shape) for array in study.layout),
        encoding=encoding_of(study.secure, sites=len(study.sites)),
    )


def encoding_of(masking: Masking, *, sites: int) -> FixedPoint:
    """Make the encoding that a study's plan names, for so many hospitals.

    Raises
    ------
    InputError
        `secure.bad_encoding`.

    Discloses
    ---------
    Nothing: these are settings of the study.
    """
    return FixedPoint(
        sites=sites,
        clip=masking.clip,
        max_cases=masking.max_cases,
        bits=64 if masking.bits == 64 else 32,
    )


@dataclass(frozen=True, kw_only=True)
class SumPlan:
    """One secure sum: whose, of what, in which round.

    Its digest stands in every message and in every mask's derivation, so that
    neither fits another study, segment, attempt, round, model or roster.

    Parameters
    ----------
    study, segment, attempt, round, model
        The round; numbers at least 1, `model` the digest of the weights in.
    roster : mapping of participant to PublicKey
        Every invited site and the key that its agreement pins; 3 to 1,000.
    size : int
        Number of coordinates of an update, at least 1.
    encoding : FixedPoint
        For exactly so many sites as the roster has.

    Raises
    ------
    InputError
        `secure.too_few_sites`, `secure.bad_plan`.

    Discloses
    ---------
    Nothing: it holds what every member and the hub know.
    """

    study: StudyId
    segment: int
    attempt: int
    round: int
    model: Digest
    roster: Mapping[ParticipantId, PublicKey]
    size: int
    encoding: FixedPoint

    def __post_init__(self) -> None:
        _ = self.threshold
        if min(self.segment, self.attempt, self.round, self.size) < 1:
            raise InputError("secure.bad_plan", reason="numbers begin at 1")
        if not is_digest(self.model):
            raise InputError("secure.bad_plan", reason="the model is named by its digest")
        if len(set(self.roster.values())) != len(self.roster):
            raise InputError("secure.bad_plan", reason="two sites have one key")
        if self.encoding.sites != len(self.roster):
            raise InputError("secure.bad_plan", reason="the encoding is for other sites")

    @cached_property
    def threshold(self) -> int:
        """So many sites must answer at every step."""
        return threshold_of(len(self.roster))

    @cached_property
    def sites(self) -> tuple[ParticipantId, ...]:
        """Every invited site, sorted."""
        return tuple(sorted(self.roster))

    @cached_property
    def points(self) -> dict[ParticipantId, int]:
        """Where each site's shares are evaluated: 1 to K, in sorted order."""
        return {site: number for number, site in enumerate(self.sites, start=1)}

    @property
    def key(self) -> tuple[StudyId, int, int, int]:
        """The round alone: study, segment, attempt, round."""
        return self.study, self.segment, self.attempt, self.round

    @cached_property
    def digest(self) -> Digest:
        """Fingerprint everything that was agreed."""
        roster: dict[str, Json] = {site: key.text for site, key in self.roster.items()}
        return digest_json(
            {
                "version": _VERSION,
                "study": self.study,
                "segment": self.segment,
                "attempt": self.attempt,
                "round": self.round,
                "model": self.model,
                "roster": roster,
                "threshold": self.threshold,
                "size": self.size,
                "encoding": self.encoding.as_document(),
            }
        )

    def key_of(self, site: object, *, kind: str) -> PublicKey:
        """Return a member's pinned key.

        Raises
        ------
        IntegrityError
            `secure.foreign_message`.
        """
        if not isinstance(site, str) or site not in self.roster:
            raise IntegrityError("secure.foreign_message", kind=kind, site=str(site)[:80])
        return self.roster[ParticipantId(site)]
